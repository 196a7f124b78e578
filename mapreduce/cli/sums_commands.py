"""What do `refit` and `forget` do? Bring a model that keeps its sums up to date, without reading what it has read.

The estimator does it: `refit(dataset)`, `forget(path, ...)` and `fit_kept(features, target)`; see
`algorithms/sums_estimator.py`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mapreduce.cli.engine_options import EngineOptions, with_engine_options
from mapreduce.cli.messages import say
from mapreduce.cli.model_commands import FORMAT, READ, check_free, read_model, tell_model
from mapreduce.errors import ResourceError, UsageError

if TYPE_CHECKING:
    from mapreduce.dataset import Dataset

SHOWN_FILES = 5
LOCK = "_lock"
"""In the folder of a model that is being changed."""


@click.command("refit", short_help="Fit a model again, reading only what is new.")
@click.argument("model", metavar="MODEL")
@click.argument("inputs", metavar="[INPUT]...", nargs=-1)
@click.option("--only", is_flag=True, help="Learn from INPUT alone; forget all other files.")
@click.option("--target", metavar="COLUMN", help="Another column to predict, of those whose sums are kept.")
@click.option("--features", metavar="A,B,...", help="Other columns to predict from, of those whose sums are kept.")
@click.option("--algorithm", metavar="NAME", help="Another algorithm that learns from the same sums.")
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="An option; see `show ALGORITHM`.")
@click.option("-o", "--output", metavar="MODEL", help="Folder for the new model. Default: in the place of the old one.")
@FORMAT
@READ
@with_engine_options(expect="folds")
def refit_command(
    model: str,
    inputs: tuple[str, ...],
    only: bool,
    target: str | None,
    features: str | None,
    algorithm: str | None,
    assignments: tuple[str, ...],
    input_format: str | None,
    reading: tuple[str, ...],
    options: EngineOptions,
) -> None:
    """Fit MODEL again, which was fitted with --keep-sums, to the rows of INPUT too.

    Read is only what is new or changed: a file that the model knows is compared by its content, and takes the place of
    what it held before. Files that are not named stay. The model is that of a fresh fit, bit for bit.

    Without INPUT nothing is read: another target, other features or options are fitted from the sums.

    \b
    mapreduce refit model/ sales/*.csv
    mapreduce refit model/ --target rent --features area,rooms --set alpha=0.1 -o rent/
    """
    from mapreduce.cli.watch import watched_engine

    if only and not inputs:
        raise UsageError("--only says which files are learned from; name them: refit MODEL INPUT... --only")
    output = options.output or Path(model)
    if options.output is not None:
        check_free(options.output, fresh=options.fresh)
    with _alone(model, output):
        loaded, _ = read_model(model)
        kept = _kept_of(loaded, model)
        chosen = _chosen(loaded, algorithm, assignments)
        chosen.feature_names_, chosen.target_name_ = _columns(loaded, kept, target, features)
        chosen.kept_sums_ = kept
        changes = summary = None
        if inputs:
            dataset = _rows_as_before(chosen, kept, inputs, input_format, reading)
            with watched_engine(options) as engine:
                changes = chosen.refit(dataset, engine=engine, only=only)
                summary = engine.summary
        else:
            chosen.fit_kept(chosen.feature_names_, chosen.target_name_)
        chosen.save(output)
    if changes is not None and not options.quiet:
        _tell_changes(chosen, changes)
    tell_model(chosen.name, chosen, _saved_to(options, output), summary)


@click.command("forget", short_help="Take a file's rows out of a model, with proof.")
@click.argument("model", metavar="MODEL")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="MODEL", help="Folder for the new model. Default: in the place of the old one.")
@click.option("--fresh", is_flag=True, help="Replace an output that exists.")
@click.option("--json", "as_json", is_flag=True, help="Print the proof as one JSON object.")
def forget_command(model: str, files: tuple[str, ...], output: str | None, fresh: bool, as_json: bool) -> None:
    """Subtract the rows of each FILE (or of all files in a folder) from MODEL, which was fitted with --keep-sums.

    The file is not needed any more. The proof: the sums that are left after subtracting, and those of all other rows
    added afresh, have the same SHA-256; so nothing of the file is left in them, or in the model that follows from them.

    \b
    mapreduce forget model/ sales/march.csv
    """
    if output is not None:
        check_free(Path(output), fresh=fresh)
    with _alone(model, Path(output or model)):
        loaded, _ = read_model(model)
        _kept_of(loaded, model)
        proof = loaded.forget(*files)
        loaded.save(output or model)
    if as_json:
        page = {
            "algorithm": loaded.name,
            "forgotten": proof.files,
            "rows": proof.rows,
            "sums_before": proof.before,
            "sums_less_the_files": proof.subtracted,
            "sums_of_all_others": proof.afresh,
            "holds": proof.holds,
            "output": output or model,
        }
        sys.stdout.write(json.dumps(page) + "\n")
        return
    lines = [
        f"forgotten            {proof.rows:,} rows of {_some(proof.files)}",
        f"sums before          {proof.before}",
        f"less these rows      {proof.subtracted}",
        f"all others, afresh   {proof.afresh}",
        "equal                the model is that of never having seen them",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    say(f"wrote {output or model}")


@contextmanager
def _alone(model: str, output: Path) -> Iterator[None]:
    """While a model is read, changed and put in its own place nobody else does that: no change is lost. Who writes to
    another folder takes no lock. Raises ResourceError if another process is at it."""
    from mapreduce.storage.locks import HeldByAnotherError, take_lock

    if not Path(model).is_dir() or output.resolve() != Path(model).resolve():
        yield
        return
    try:
        lock = take_lock(Path(model, LOCK))
    except HeldByAnotherError as error:
        raise ResourceError(
            f"another refit or forget is changing {model} (pid {error.owner}); wait for it, or write to another folder "
            "with -o"
        ) from None
    except OSError as error:
        raise ResourceError(
            f"the model cannot be written to {model}: {error.strerror}; choose another folder with -o"
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):
            lock.path.unlink()
        lock.release()


def _kept_of(loaded: Any, model: str) -> Any:
    """The sums that a model keeps. Raises UsageError where there are none."""
    kept = getattr(loaded, "kept_sums_", None)
    if kept is None:
        raise UsageError(f"{model} keeps no sums; fit it with --keep-sums")
    return kept


def _chosen(loaded: Any, algorithm: str | None, assignments: tuple[str, ...]) -> Any:
    """The estimator that is to be fitted: as the model was, but for what is set."""
    from mapreduce.cli.load_job import load_algorithm
    from mapreduce.cli.options import bind_options

    if algorithm is not None and algorithm != loaded.name:
        cls = load_algorithm(algorithm).cls
        if not hasattr(cls, "fit_kept"):
            raise UsageError(f"{algorithm} does not learn from sums of one pass; fit it afresh")
        return cls(**bind_options(cls, assignments, what=algorithm))
    changed = bind_options(type(loaded), assignments, what=loaded.name, partial=True)
    return type(loaded)(**{**loaded.get_params(), **changed})


def _columns(loaded: Any, kept: Any, target: str | None, features: str | None) -> tuple[list[str], str | None]:
    """Features and target of the new fit: those named; else those of the model, or with another target all others."""
    own = loaded.target_name_ if target is None else target
    if features is not None:
        return [name.strip() for name in features.split(",")], own
    if own == loaded.target_name_:
        return list(loaded.feature_names_), own
    return [name for name in (*kept.features, kept.target) if name is not None and name != own], own


def _rows_as_before(
    chosen: Any, kept: Any, inputs: tuple[str, ...], input_format: str | None, reading: tuple[str, ...]
) -> Dataset:
    """The rows of INPUT with the columns whose sums are kept."""
    from mapreduce.cli.inputs import format_of, open_table, suited

    name = format_of(inputs, input_format)
    columns: dict[str, Any] = {"target": kept.target, "weights": kept.weights, "features": ",".join(kept.features)}
    if name == "libsvm":
        columns = {"features": len(kept.features)}
    elif name == "npy" and list(kept.features) == [f"x{number}" for number in range(len(kept.features))]:
        del columns["features"]
    given = {option: value for option, value in columns.items() if value is not None}
    return suited(chosen, open_table(inputs, name, reading, **given))


def _tell_changes(chosen: Any, changes: Any) -> None:
    """What became of the files."""
    parts = [
        f"{len(files)} {word}"
        for word, files in (
            ("added", changes.added),
            ("changed", changes.changed),
            ("as before", changes.same),
            ("dropped", changes.dropped),
        )
        if files
    ]
    say(f"files: {', '.join(parts) or 'none'}; read {changes.mapped:,} of {changes.splits:,} splits")
    for path, twin in chosen.kept_sums_.twins(changes.added):
        say(
            f"warning: {path} holds what {twin} holds, which the model knows; its rows count twice (forget one of them)"
        )


def _saved_to(options: EngineOptions, output: Path) -> EngineOptions:
    from mapreduce.dataclass import replace

    return replace(options, output=output)


def _some(files: list[str]) -> str:
    more = f" and {len(files) - SHOWN_FILES} more" if len(files) > SHOWN_FILES else ""
    return ", ".join(files[:SHOWN_FILES]) + more
