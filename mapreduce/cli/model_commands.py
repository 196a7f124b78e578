"""What do `fit`, `predict` and `evaluate` do? Make a model from files, apply it to files, and judge it by files.

An algorithm is an estimator: `fit(dataset, engine=...)`, `figures()`, `table()`, `save(folder)`; a model read back by
`algorithms.models.load_model` has `metrics()`, a fold, and is applied by the job `Predictions(model)`.
"""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mapreduce.cli.engine_options import EngineOptions, with_engine_options
from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mapreduce.cli.inputs import Tables
    from mapreduce.cli.load_job import Found
    from mapreduce.dataset import Dataset
    from mapreduce.engine import Engine

OWN_TARGET = ("libsvm", "npy")
"""Formats whose files may hold the target beside the columns."""

SHOWN_COLUMNS = 10

FORMAT = click.option("--format", "input_format", metavar="F", help="How to read the input. Default: by its suffix.")
READ = click.option(
    "--read", "reading", multiple=True, metavar="NAME=VALUE", help="An option of the format: delimiter, types, ..."
)
_BESIDE = click.option(
    "--beside", "beside", multiple=True, metavar="PATH", help="More columns of the same rows: another table; repeat it."
)
_ON = click.option("--on", metavar="COLUMN", help="With --beside: join rows of equal values there, not by their order.")
_TARGET = click.option("--target", metavar="COLUMN", help="The column to predict.")


@click.command("fit", short_help="Fit a model on files.")
@click.argument("algorithm", metavar="ALGORITHM")
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@_TARGET
@click.option("--features", metavar="A,B,...", help="The columns to predict from. Default: all numbers but the target.")
@click.option(
    "--weights", metavar="COLUMN", help="The column with the weight of each row, for algorithms that take it."
)
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="An option; see `show ALGORITHM`.")
@click.option("-o", "--output", metavar="MODEL", help="Folder for the model. Default: only its figures, on stdout.")
@_BESIDE
@_ON
@FORMAT
@READ
@click.option(
    "--keep-sums", is_flag=True, help="Keep the sums of each split with the model, for `refit` and `forget`; needs -o."
)
@click.option("--plot", metavar="FILE", help="Draw the model to a .png, .svg or .pdf; needs matplotlib.")
@with_engine_options(expect="folds")
def fit_command(
    algorithm: str,
    inputs: tuple[str, ...],
    target: str | None,
    features: str | None,
    weights: str | None,
    beside: tuple[str, ...],
    on: str | None,
    assignments: tuple[str, ...],
    input_format: str | None,
    reading: tuple[str, ...],
    keep_sums: bool,
    plot: str | None,
    options: EngineOptions,
) -> None:
    """Fit ALGORITHM on the rows of INPUT; print what was learned, and write the model to -o.

    \b
    mapreduce fit linear_regression houses.csv --target price -o model/
    mapreduce fit kmeans points.parquet --features x,y --set n_clusters=8
    mapreduce fit linear_regression sizes.csv --beside prices.parquet --on id --target price
    """
    from mapreduce.cli.inputs import Tables, open_table, suited, without_stdin
    from mapreduce.cli.messages import say
    from mapreduce.cli.watch import watched_engine

    with watched_engine(options) as engine:  # agents on other hosts come up while the algorithm is loaded
        estimator = _make_estimator(algorithm, assignments, with_weights=weights is not None)
        check_target(algorithm, estimator, target, inputs, input_format)
        keeping = _keeping(estimator, algorithm, options) if keep_sums else {}
        plots = _plots_of(estimator, plot)
        if options.output is not None:
            check_free(options.output, fresh=options.fresh)
        roles = {"target": target, "features": features, "weights": weights}
        table = open_table(inputs, input_format, reading, Tables(beside, on), **roles)
        with without_stdin(suited(estimator, table)) as dataset, _kept_steps(engine, options):
            estimator.fit(dataset, engine=engine, **keeping)
            summary = engine.summary
            if options.output is not None:
                estimator.save(options.output)
            if plot is not None:
                plots.draw(estimator, dataset, engine, plot)
            left = [] if features is not None or options.quiet else _left_out(dataset, estimator)
    tell_model(algorithm, estimator, options, summary)
    if left:
        shown = ", ".join(left[:SHOWN_COLUMNS]) + (", ..." if len(left) > SHOWN_COLUMNS else "")
        say(f"left out, not being numbers: {shown}")
    if plot is not None and not options.quiet and not options.json:
        say(f"drew {plot}")


def check_target(
    name: str, estimator: Any, target: str | None, inputs: Sequence[str], input_format: str | None
) -> None:
    """Raises UsageError where an estimator needs a target that neither was named nor can be in the files."""
    from mapreduce.cli.inputs import format_of

    needed = target is None and getattr(estimator, "needs_target", True)
    if needed and format_of(inputs, input_format) not in OWN_TARGET:
        raise UsageError(f"{name} needs a target; name the column to predict with --target COLUMN")


def _make_estimator(algorithm: str, assignments: Sequence[str], *, with_weights: bool) -> Any:
    from mapreduce.cli.load_job import load_algorithm
    from mapreduce.cli.options import bind_options

    found = load_algorithm(algorithm)
    if with_weights:
        _check_takes_weights(found)
    return found.cls(**bind_options(found.cls, assignments, what=algorithm))


@click.command("predict", short_help="Apply a model to files.")
@click.argument("model", metavar="MODEL")
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@_BESIDE
@_ON
@FORMAT
@READ
@with_engine_options(output=True)
def predict_command(
    model: str,
    inputs: tuple[str, ...],
    beside: tuple[str, ...],
    on: str | None,
    input_format: str | None,
    reading: tuple[str, ...],
    options: EngineOptions,
) -> None:
    """Print the prediction of MODEL for each row of INPUT, in the order of the rows, or write them to -o.

    \b
    mapreduce predict model/ new_houses.csv -o predictions/
    """
    from mapreduce.cli.inputs import Tables
    from mapreduce.cli.results import check_printable, run_and_tell

    check_printable(options)
    loaded, estimators = read_model(model)
    dataset = rows_for(loaded, inputs, input_format, reading, Tables(beside, on), target=None)
    run_and_tell(estimators.Predictions(loaded), dataset, options)


@click.command("evaluate", short_help="Judge a model by files.")
@click.argument("model", metavar="MODEL")
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option(
    "--target", metavar="COLUMN", help="The column with the truth. Default: the one that the model was fitted to."
)
@_BESIDE
@_ON
@FORMAT
@READ
@with_engine_options(expect="folds")
def evaluate_command(
    model: str,
    inputs: tuple[str, ...],
    target: str | None,
    beside: tuple[str, ...],
    on: str | None,
    input_format: str | None,
    reading: tuple[str, ...],
    options: EngineOptions,
) -> None:
    """Print how well MODEL predicts the target of INPUT's rows, a metric a line.

    \b
    mapreduce evaluate model/ held_out.csv
    """
    from mapreduce.cli.inputs import Tables, format_of
    from mapreduce.cli.results import run_and_tell

    loaded, _ = read_model(model)
    known = target or getattr(loaded, "target_name_", None)
    if known is None and getattr(loaded, "needs_target", True) and format_of(inputs, input_format) not in OWN_TARGET:
        raise UsageError(f"{model} does not say which column it predicts; name the one with the truth: --target COLUMN")
    dataset = rows_for(loaded, inputs, input_format, reading, Tables(beside, on), target=known)
    run_and_tell(loaded.metrics(), dataset, options)


def _left_out(dataset: Dataset, estimator: Any) -> list[str]:
    """The columns that nobody named and that could not be features."""
    from mapreduce.formats.inputs import is_on_hosts

    learned = getattr(estimator, "feature_names_", None)
    if learned is None or dataset.is_vertical or any(map(is_on_hosts, dataset.paths)):
        return []
    kinds = getattr(dataset.resolved().format, "kinds", lambda: None)() or ()
    known = (*learned, dataset.target_name(), dataset.weights_name())
    return [name for name, _ in kinds if name not in known]


def _check_takes_weights(found: Found) -> None:
    """Raises UsageError for an algorithm whose rows count alike."""
    from mapreduce.cli.load_job import Kind, builtins_of, load_algorithm

    if not getattr(found.cls, "takes_weights", False):
        names = [
            name for name in builtins_of(Kind.ALGORITHM) if getattr(load_algorithm(name).cls, "takes_weights", False)
        ]
        others = f"; these do: {', '.join(names)}" if names else ""
        raise UsageError(f"{found.name} takes no weights; leave out --weights{others}")


def read_model(folder: str) -> tuple[Any, Any]:
    from importlib import import_module

    return import_module("algorithms.models").load_model(folder), import_module("algorithms.estimator")


def rows_for(
    model: Any,
    inputs: tuple[str, ...],
    input_format: str | None,
    reading: tuple[str, ...],
    tables: Tables,
    *,
    target: str | None,
) -> Dataset:
    """The rows with the model's own features, whatever else the files hold."""
    from mapreduce.cli.inputs import format_of, open_table, suited

    name = format_of(inputs, input_format)
    names = list(model.feature_names_)
    if name == "libsvm":  # has no names: as many features as the model has
        return open_table(inputs, name, reading, features=len(names))
    if name == "npy" and names == [f"x{number}" for number in range(len(names))]:  # nor had the input of `fit`
        return suited(model, open_table(inputs, name, reading, target=target))
    return suited(model, open_table(inputs, name, reading, tables, target=target, features=",".join(names)))


def _plots_of(estimator: Any, plot: str | None) -> Any:
    """What draws, if anything is to be drawn. Raises UsageError, before the work, for what it can't draw."""
    if plot is None:
        return None
    from importlib import import_module

    plots = import_module("algorithms.plots")
    plots.check_plot(estimator, plot)
    return plots


def _keeping(estimator: Any, algorithm: str, options: EngineOptions) -> dict[str, bool]:
    """The argument of `fit` that keeps sums. Raises UsageError where there are none, or no place for them."""
    if not hasattr(estimator, "refit"):
        raise UsageError(
            f"{algorithm} does not learn from sums of one pass, so none can be kept; leave out --keep-sums"
        )
    if options.output is None:
        raise UsageError("--keep-sums needs a folder for the model: -o MODEL")
    return {"keep_sums": True}


def _kept_steps(engine: Engine, options: EngineOptions) -> AbstractContextManager[None]:
    """With a folder for the model, a fit that was killed goes on with the step that it had come to."""
    return engine.resumable(options.output, fresh=options.fresh) if options.output is not None else nullcontext()


def check_free(output: Path, *, fresh: bool) -> None:
    """Before the work, not after it. Raises UsageError."""
    from mapreduce.storage.job_folder import is_empty, is_unfinished

    if output.exists() and not output.is_dir():
        raise UsageError(f"the output {output} is a file; name a folder")
    if output.is_dir() and not is_empty(output) and not fresh and not is_unfinished(output):
        raise UsageError(f"the output {output} exists; use --fresh to replace it, or choose another folder")


def tell_model(name: str, estimator: Any, options: EngineOptions, summary: Any) -> None:
    """On stdout: with --json one object, its figures by name; else the estimator's table, or a figure a line."""
    from mapreduce.cli.messages import say
    from mapreduce.cli.results import plain, value_text
    from mapreduce.cli.watch import tell_summary

    figures = estimator.figures()
    if options.json:
        page = {"algorithm": name, **plain(figures), "output": str(options.output) if options.output else None}
        sys.stdout.write(json.dumps({**page, "summary": summary.to_json() if summary else None}) + "\n")
        return
    table = estimator.table() if hasattr(estimator, "table") else None
    sys.stdout.write(value_text(figures) if table is None else table.rstrip("\n") + "\n")
    sys.stdout.flush()
    if not options.quiet:
        if options.output is not None:
            say(f"wrote {options.output}")
        tell_summary(summary, options)
