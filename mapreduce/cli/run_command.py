"""What does `mapreduce run` do? Finds the job, makes it, reads the input, runs, and prints or names the result."""

from __future__ import annotations

import click

from mapreduce.cli.engine_options import EngineOptions, with_engine_options


@click.command("run", short_help="Run a job on files.")
@click.argument("job", metavar="JOB")
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="An option of the job; see `show JOB`.")
@click.option("--format", "input_format", metavar="F", help="How to read the input. Default: what the job expects.")
@click.option("--read", "reading", multiple=True, metavar="NAME=VALUE", help="An option of the format: delimiter, ...")
@with_engine_options(keyed=True, output=True)
def run_command(
    job: str,
    inputs: tuple[str, ...],
    assignments: tuple[str, ...],
    input_format: str | None,
    reading: tuple[str, ...],
    options: EngineOptions,
) -> None:
    """Run JOB on INPUT and print key<TAB>value lines, or write them to files with -o.

    JOB is a built-in name (`mapreduce jobs` lists them), package.module:Class or path/file.py:Class.
    INPUT is a file, a folder, a glob, a URI, or - for standard input.

    \b
    mapreduce run wordcount books/*.txt -o counts/
    mapreduce run wordcount books/ --sort | head
    mapreduce run grep access.log --set pattern='" 500 '
    mapreduce run my_jobs.py:Sessions logs/ --format jsonl -o sessions/ --output-format parquet
    """
    from mapreduce.cli.inputs import open_job_input
    from mapreduce.cli.load_job import load_job, make_job
    from mapreduce.cli.options import bind_options
    from mapreduce.cli.results import check_printable, run_and_tell

    check_printable(options)
    found = load_job(job)
    made = make_job(found, bind_options(found.cls, assignments, what=found.name))
    dataset = open_job_input(made, inputs, input_format, reading)
    run_and_tell(made, dataset, options)
