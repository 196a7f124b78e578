"""What does `mapreduce check` do? Tries the laws of a job's reduction on rows of the input, and shows what fails."""

from __future__ import annotations

import json

import click


@click.command("check", short_help="Try the laws of a job's reduction on an input.")
@click.argument("job", metavar="JOB")
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="An option of the job; see `show JOB`.")
@click.option("--format", "input_format", metavar="F", help="How to read the input. Default: what the job expects.")
@click.option("--read", "reading", multiple=True, metavar="NAME=VALUE", help="An option of the format: delimiter, ...")
@click.option("--seed", type=int, default=0, show_default=True, help="Which rows are drawn.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the laws, trials, and rows that break them.")
def check_command(
    job: str,
    inputs: tuple[str, ...],
    assignments: tuple[str, ...],
    input_format: str | None,
    reading: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Cut and order rows of INPUT in many ways, reduce them by JOB, and compare the results bit by bit.

    A law that holds in all trials may still fail elsewhere; one that fails is shown with the fewest rows found. The
    exit code is 1 if any fails.

    \b
    mapreduce check wordcount books/
    mapreduce check my_jobs.py:Totals sales.csv
    """
    from mapreduce.cli.inputs import open_job_input
    from mapreduce.cli.load_job import load_job, make_job
    from mapreduce.cli.options import bind_options
    from mapreduce.errors import UsageError
    from mapreduce.job import Chain
    from mapreduce.laws import check_job_laws

    found = load_job(job)
    made = make_job(found, bind_options(found.cls, assignments, what=found.name))
    if isinstance(made, Chain):
        raise UsageError(f"{job} is a chain; check its jobs one by one")
    verdicts = check_job_laws(made, open_job_input(made, inputs, input_format, reading), seed=seed)
    if as_json:
        laws = [
            {"law": v.law, "holds": v.holds, "trials": v.trials, "rows": [repr(row) for row in v.rows]}
            | ({} if v.holds else {"left": v.left, "right": v.right})
            for v in verdicts
        ]
        click.echo(json.dumps({"job": found.name, "laws": laws}))
    else:
        for verdict in verdicts:
            click.echo(f"{verdict.law}\t{'holds' if verdict.holds else 'fails'}\t{verdict.trials} trials")
            if not verdict.holds:
                for row in verdict.rows:
                    click.echo(f"    row    {_short(repr(row))}")
                click.echo(f"    left   {_short(verdict.left)}")
                click.echo(f"    right  {_short(verdict.right)}")
    if not all(verdict.holds for verdict in verdicts):
        raise click.exceptions.Exit(1)


def _short(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
