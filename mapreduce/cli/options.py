"""Which options does a job, algorithm or reader take, and what does a NAME=VALUE on the command line mean to it?

The options are the parameters of the constructor (or reader function). A value is parsed by the parameter's annotation,
or by the type of its default where it has none.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, get_args, get_origin

from mapreduce.cli.values import describe_type, parse_value
from mapreduce.dataclass import dataclass
from mapreduce.errors import UsageError, near

_UNNAMED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)


@dataclass(frozen=True, slots=True)
class Option:
    """A parameter that --set or --read may name. `doc` comes from `Annotated[type, "doc"]` or the docstring."""

    name: str
    annotation: Any
    default: Any
    required: bool
    doc: str

    @property
    def type_text(self) -> str:
        return describe_type(self.annotation)

    def describe(self) -> str:
        """One line for `show`: 'k: int = 10   how many'."""
        head = f"{self.name}: {self.type_text}"
        head += " (required)" if self.required else f" = {self.default!r}"
        return f"{head}   {self.doc}".rstrip()


def options_of(target: Callable[..., Any], skip: Iterable[str] = ()) -> list[Option]:
    """The options of a class or function, in order, but for those in `skip`."""
    call = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]
    if call is object.__init__:
        return []
    parameters = list(inspect.signature(call).parameters.values())
    hints = _hints(call)
    doc = "\n".join(filter(None, (inspect.getdoc(target), inspect.getdoc(call))))
    skipped = {"self", *skip}
    return [
        _option(parameter, hints.get(parameter.name, parameter.annotation), doc)
        for parameter in parameters
        if parameter.kind not in _UNNAMED and parameter.name not in skipped
    ]


def bind_options(
    target: Callable[..., Any],
    assignments: Sequence[str],
    *,
    what: str,
    flag: str = "--set",
    skip: Iterable[str] = (),
    partial: bool = False,
) -> dict[str, Any]:
    """Keyword arguments for `target` from NAME=VALUE texts. Raises UsageError: unknown, twice, unparsable, missing.

    `partial`: what is missing comes from elsewhere.
    """
    options = {option.name: option for option in options_of(target, skip)}
    bound: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise UsageError(f"{flag} {assignment}: write it as NAME=VALUE")
        if name not in options:
            known = near(name, list(options)) if options else f"{what} takes no options"
            raise UsageError(f"{flag} {assignment}: {what} has no option {name!r}; {known}")
        if name in bound:
            raise UsageError(f"{flag} {assignment}: {name!r} is set twice")
        try:
            bound[name] = parse_value(text, options[name].annotation, name)
        except ValueError as error:
            raise UsageError(f"{flag} {assignment}: {error}") from None
    for option in options.values():
        if option.required and option.name not in bound and not partial:
            said = f" ({option.doc})" if option.doc else ""
            kind = option.type_text
            raise UsageError(f"{what} needs {option.name}{said}; add {flag} {option.name}={kind.upper()}")
    return bound


def _hints(call: Callable[..., Any]) -> dict[str, Any]:
    from typing import get_type_hints

    try:
        return get_type_hints(call, include_extras=True)
    except (NameError, TypeError):  # a name imported only under TYPE_CHECKING: the default's type decides
        return {}


def _option(parameter: inspect.Parameter, annotation: Any, doc: str) -> Option:
    text = _doc_of(parameter.name, doc)
    if get_origin(annotation) is Annotated:
        annotation, *notes = get_args(annotation)
        text = next((note for note in notes if isinstance(note, str)), text)
    required = parameter.default is inspect.Parameter.empty
    if annotation is inspect.Parameter.empty or isinstance(annotation, str):
        known = not required and parameter.default is not None
        annotation = type(parameter.default) if known else str
    return Option(parameter.name, annotation, None if required else parameter.default, required, text)


def _doc_of(name: str, doc: str) -> str:
    """What a docstring says of a parameter in a line 'name: text', ':param name: text' or 'name (type): text', and in
    lines below it that are set in further."""
    title = rf"(?::param\s+)?`{{0,2}}{re.escape(name)}`{{0,2}}(?:\s*\([^)]*\))?"
    match = re.search(rf"^([ \t]*){title}\s*:\s+(\S.*(?:\n\1[ \t]+\S.*)*)$", doc, re.M)
    return " ".join(match.group(2).split()) if match else ""
