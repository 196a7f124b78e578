"""Where does a result go? To stdout as lines, or to the folder of -o; a fold's value as text or JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mapreduce.cli.messages import say
from mapreduce.cli.watch import tell_summary, watched_engine
from mapreduce.dataclass import is_dataclass_instance
from mapreduce.errors import UsageError
from mapreduce.job import Fold

if TYPE_CHECKING:
    from mapreduce.cli.engine_options import EngineOptions
    from mapreduce.dataset import Dataset
    from mapreduce.job import Chain, Job
    from mapreduce.result import Result


COPY_BYTES = 1 << 20


def check_printable(options: EngineOptions) -> None:
    """Refuse, before anything runs, what could not be printed. Raises UsageError."""
    if options.output is None and options.output_format == "parquet":
        raise UsageError("Parquet can't be printed; name a folder for it with -o DIR")


def run_and_tell(job: Job | Fold | Chain, dataset: Dataset, options: EngineOptions) -> None:
    """Run the job, give out its result, and tell the summary."""
    from mapreduce.cli.inputs import without_stdin

    if options.tracker and dataset.reads_stdin:
        raise UsageError("a tracker can't read standard input; write it to a file that the tracker sees, and name that")
    printing: dict[str, Any] = {"output_format": _printed_format(job, options)} if options.output is None else {}
    with without_stdin(dataset) as dataset, watched_engine(options) as engine:
        result = engine.run(job, dataset, output=options.output, **printing)
        summary = engine.summary
    extra: dict[str, Any] = {"already_complete": result.already_complete, "output": options.output}
    if options.incremental:
        extra |= {"splits": result.splits, "reused_splits": result.reused_splits}
    if isinstance(job, Fold):
        extra["value"] = plain(result.value)
    if options.output is None or isinstance(job, Fold):  # a value's file is no text
        print_result(result, job, options)
    if options.output is not None and not options.quiet and not options.json:
        if result.already_complete:
            say(f"already complete: {options.output} (--fresh runs it again)")
        else:
            say(f"wrote {options.output}")
    tell_summary(summary, options, extra)


def print_result(result: Result, job: Job | Fold | Chain, options: EngineOptions) -> None:
    """Print to stdout. A reader that goes away ends it (BrokenPipeError)."""
    if isinstance(job, Fold):
        if not options.json:
            sys.stdout.write(value_text(result.value))
        sys.stdout.flush()
        return
    from shutil import copyfileobj

    out = sys.stdout.buffer
    sys.stdout.flush()
    for number, path in enumerate(result.part_files()):
        with open(path, "rb") as part:
            if number and path.suffix == ".csv":
                part.readline()  # one header is enough; it never holds a newline of its own
            copyfileobj(part, out, COPY_BYTES)
    out.flush()


def _printed_format(job: Any, options: EngineOptions) -> str | None:
    """Workers write what is printed, in the format in which it is printed; a fold's value is printed here."""
    if isinstance(job, Fold):
        return None
    own = str(getattr(job, "output_format", "tsv"))
    return options.output_format or ("tsv" if own == "parquet" else own)


def value_text(value: Any) -> str:
    """A fold's value as lines: name<TAB>value for mappings and dataclasses, else as Python prints it."""
    page = _unfolded(value)
    if isinstance(page, Mapping):
        return "".join(f"{name}\t{_cell(entry)}\n" for name, entry in _flat(page))
    return f"{_cell(page)}\n"


def _unfolded(value: Any) -> Any:
    """A dataclass as a mapping, all the way down; anything else as it is."""
    if not is_dataclass_instance(value):
        return value
    from dataclasses import asdict

    return asdict(value)


def plain(value: Any) -> Any:
    """The value as JSON can hold it: arrays as lists, dataclasses as objects, anything else as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else repr(value)
    value = _unfolded(value)
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset | Iterator):
        return [plain(entry) for entry in value]
    to_list = getattr(value, "tolist", None)  # numpy's arrays and scalars
    return plain(to_list()) if callable(to_list) else str(value)


def _flat(page: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Entries of nested mappings by names such as 'coef.rooms'."""
    for name, entry in page.items():
        if isinstance(entry, Mapping):
            yield from _flat(entry, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", entry


def _cell(value: Any) -> str:
    item = plain(value)
    return item if isinstance(item, str) else repr(item) if isinstance(item, float) else _json(item)


def _json(item: Any) -> str:
    import json

    return json.dumps(item, ensure_ascii=False)
