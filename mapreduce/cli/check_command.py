"""What does `mapreduce check` do? Tries the laws of a reduction on rows of the input, and shows what fails.

The reduction is a job's, or that of the sums from which an algorithm learns.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from mapreduce.dataclass import dataclass
from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from mapreduce.cli.load_job import Found
    from mapreduce.dataset import Dataset
    from mapreduce.job import Fold, Job
    from mapreduce.laws import Verdict


@click.command("check", short_help="Try the laws of a job's reduction on an input.")
@click.argument("job", metavar="JOB")
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="An option of the job; see `show JOB`.")
@click.option("--target", metavar="COLUMN", help="Of an algorithm: the column to predict.")
@click.option("--features", metavar="A,B,...", help="Of an algorithm: the columns to predict from.")
@click.option("--weights", metavar="COLUMN", help="Of an algorithm: the column with the weight of each row.")
@click.option("--format", "input_format", metavar="F", help="How to read the input. Default: what the job expects.")
@click.option("--read", "reading", multiple=True, metavar="NAME=VALUE", help="An option of the format: delimiter, ...")
@click.option("--seed", type=int, default=0, show_default=True, help="Which rows are drawn.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the laws, trials, and rows that break them.")
def check_command(
    job: str,
    inputs: tuple[str, ...],
    assignments: tuple[str, ...],
    target: str | None,
    features: str | None,
    weights: str | None,
    input_format: str | None,
    reading: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Cut and order rows of INPUT in many ways, reduce them by JOB, and compare the results bit by bit. JOB may be an
    algorithm that learns from sums: then these are reduced.

    A law that holds in all trials may still fail elsewhere; one that fails is shown with the fewest rows found. The
    exit code is 1 if any fails.

    \b
    mapreduce check wordcount books/
    mapreduce check my_jobs.py:Totals sales.csv
    mapreduce check ridge houses.csv --target price
    """
    from mapreduce.laws import check_job_laws

    columns = {"target": target, "features": features, "weights": weights}
    asked = _Asked(_found(job), inputs, assignments, input_format, reading, columns)
    reduction, dataset = _sums_of(asked) if hasattr(asked.found.cls, "fit") else _job_of(asked)
    verdicts = check_job_laws(reduction, dataset, seed=seed)
    if as_json:
        click.echo(json.dumps({"job": asked.found.name, "laws": [_to_json(verdict) for verdict in verdicts]}))
    else:
        for verdict in verdicts:
            _show(verdict)
    if not all(verdict.holds for verdict in verdicts):
        raise click.exceptions.Exit(1)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be checked, on what, as the command line has it."""

    found: Found
    inputs: tuple[str, ...]
    assignments: tuple[str, ...]
    input_format: str | None
    reading: tuple[str, ...]
    columns: dict[str, str | None]

    def options(self) -> dict[str, Any]:
        from mapreduce.cli.options import bind_options

        return bind_options(self.found.cls, self.assignments, what=self.found.name)


def _found(name: str) -> Found:
    """A job or, if there is none of this name, an algorithm."""
    from mapreduce.cli.load_job import load_algorithm, load_job

    try:
        return load_job(name)
    except UsageError as error:
        try:
            return load_algorithm(name)
        except UsageError:
            raise error from None


def _job_of(asked: _Asked) -> tuple[Job | Fold, Dataset]:
    from mapreduce.cli.inputs import open_job_input
    from mapreduce.cli.load_job import make_job
    from mapreduce.job import Chain

    name = asked.found.name
    if named := [option for option, value in asked.columns.items() if value is not None]:
        raise UsageError(f"{name} is a job, which says by itself what it reads; leave out --{named[0]}")
    made = make_job(asked.found, asked.options())
    if isinstance(made, Chain):
        raise UsageError(f"{name} is a chain; check its jobs one by one")
    return made, open_job_input(made, asked.inputs, asked.input_format, asked.reading)


def _sums_of(asked: _Asked) -> tuple[Job | Fold, Dataset]:
    """The fold whose value the algorithm learns from, and the rows as it reads them."""
    from mapreduce.cli.inputs import open_table, suited
    from mapreduce.cli.model_commands import check_target

    name, inputs, input_format = asked.found.name, asked.inputs, asked.input_format
    estimator: Any = asked.found.cls(**asked.options())
    if not hasattr(estimator, "fold"):
        raise UsageError(f"{name} does not learn from sums of one pass, so it has no one reduction; check its jobs")
    check_target(name, estimator, asked.columns["target"], inputs, input_format)
    estimator.check_parameters()
    dataset = open_table(inputs, input_format, asked.reading, **asked.columns)  # type: ignore[arg-type]
    return estimator.fold(), suited(estimator, dataset)


def _to_json(verdict: Verdict) -> dict[str, Any]:
    rows = [repr(row) for row in verdict.rows]
    page = {"law": verdict.law, "holds": verdict.holds, "trials": verdict.trials, "rows": rows}
    return page if verdict.holds else {**page, "left": verdict.left, "right": verdict.right}


def _show(verdict: Verdict) -> None:
    click.echo(f"{verdict.law}\t{'holds' if verdict.holds else 'fails'}\t{verdict.trials} trials")
    if not verdict.holds:
        for row in verdict.rows:
            click.echo(f"    row    {_short(repr(row))}")
        click.echo(f"    left   {_short(verdict.left)}")
        click.echo(f"    right  {_short(verdict.right)}")


def _short(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
