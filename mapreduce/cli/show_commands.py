"""What do `mapreduce jobs` and `mapreduce show` print? The built-ins, a line each; one in full, to learn from."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

import click

from mapreduce.cli.load_job import Found, Kind, builtins_of, load_algorithm, load_job
from mapreduce.cli.options import options_of
from mapreduce.errors import UsageError, near


@click.command("jobs", short_help="List the built-in jobs and algorithms.")
def jobs_command() -> None:
    """List the built-in jobs (for `run`) and algorithms (for `fit`), a line each."""
    width = max((len(name) for kind in Kind for name in builtins_of(kind)), default=0)
    for kind, heading in ((Kind.JOB, "Jobs, for `mapreduce run`"), (Kind.ALGORITHM, "Algorithms, for `mapreduce fit`")):
        click.echo(f"{heading}:")
        for name, target in builtins_of(kind).items():
            click.echo(_fitting(f"  {name:<{width}}  {_first_line(target)}".rstrip()))
    click.echo("`mapreduce show NAME` prints documentation, options and source.")


@click.command("show", short_help="Print a job's documentation, options and source.")
@click.argument("name", metavar="JOB")
def show_command(name: str) -> None:
    """Print the documentation, options and source of a job or algorithm, built-in or your own.

    \b
    mapreduce show wordcount
    mapreduce show my_jobs.py:Sessions
    """
    found = _find(name)
    options = options_of(found.cls)
    lines = [_title(found), "", _documentation(found.cls, [option.name for option in options]), ""]
    lines.append("Options (--set NAME=VALUE):" if options else "It takes no options.")
    lines += [f"  {option.describe()}" for option in options]
    if hasattr(found.cls, "map") or hasattr(found.cls, "map_block"):
        lines.append(f"Input: {getattr(found.cls, 'input_format', 'text')}")
    lines += ["", "Source:", "", _source(found.cls)]
    click.echo("\n".join(lines).rstrip())


def _fitting(line: str) -> str:
    """The line as a terminal shows it without a break; whole where it goes to a file."""
    import shutil
    import sys

    width = shutil.get_terminal_size().columns
    return line if len(line) <= width or not sys.stdout.isatty() else line[: width - 3] + "..."


def _find(name: str) -> Found:
    if ":" in name or name.endswith(".py"):
        try:
            return load_job(name)
        except UsageError as error:
            try:
                return load_algorithm(name)
            except UsageError:
                raise error from None
    key = name.replace("-", "_")
    if key in builtins_of(Kind.ALGORITHM):
        return load_algorithm(name)
    if name not in builtins_of(Kind.JOB) and key not in builtins_of(Kind.JOB):
        known = [*builtins_of(Kind.JOB), *builtins_of(Kind.ALGORITHM)]
        raise UsageError(f"no job or algorithm {name!r}; {near(name, known)} (`mapreduce jobs` lists all)")
    return load_job(name)


def _title(found: Found) -> str:
    """The name, and where the class is: 'my_jobs.py:Sessions', 'wordcount: algorithms.wordcount.WordCount'."""
    cls = found.cls
    place, _, attribute = found.name.rpartition(":")
    file = found.name if not place and attribute.endswith(".py") else place
    if file.endswith(".py"):
        return f"{file}:{cls.__qualname__}"
    return f"{found.name}: {cls.__module__}.{cls.__qualname__}"


def _documentation(cls: type[Any], options: Sequence[str]) -> str:
    """The class's own words but for its options, which have a list of their own. The module's stand in the source."""
    text = inspect.cleandoc(cls.__doc__ or "")
    kept, margin = [], -1  # of the option whose words these are
    for line in text.splitlines():
        depth = len(line) - len(line.lstrip())
        if line.partition(":")[0].strip() in options:
            margin = depth
        elif not (line.strip() and 0 <= margin < depth):
            kept.append(line)
            margin = -1
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip() or "(no documentation)"


def _source(cls: type[Any]) -> str:
    """The file that holds the class: a job is read with what stands around it."""
    try:
        with open(inspect.getfile(cls), encoding="utf-8") as file:
            return file.read()
    except (OSError, TypeError) as error:
        return f"(not available: {error})"


def _first_line(target: str) -> str:
    """The first line of a class's docstring, read from the source: importing all would load numpy and more."""
    import ast
    from importlib.util import find_spec

    module_name, _, class_name = target.partition(":")
    spec = find_spec(module_name)
    if spec is None or spec.origin is None:
        return "(missing)"
    with open(spec.origin, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return "(missing)"
