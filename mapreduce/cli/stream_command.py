"""What does `mapreduce stream` do? Runs scripts in any language as map and reduce, as Hadoop Streaming does."""

from __future__ import annotations

import click

from mapreduce.cli.engine_options import EngineOptions, with_engine_options


@click.command("stream", short_help="Run scripts in any language as map and reduce.")
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option("--mapper", metavar="CMD", help="Reads lines, writes key<TAB>value lines. Default: lines as they are.")
@click.option("--reducer", metavar="CMD", help="Reads these sorted by key. NONE: no reduce. Default: only sort.")
@click.option("--combiner", metavar="CMD", help="A reducer for the output of each map task, to send less.")
@with_engine_options(keyed=True, output=True, sort=False)
def stream_command(
    inputs: tuple[str, ...], mapper: str | None, reducer: str | None, combiner: str | None, options: EngineOptions
) -> None:
    """Run scripts as a job: tab-separated key and value on stdin and stdout, sorted by key before the reducer.

    Scripts written for Hadoop Streaming run unchanged. CMD is run by the shell, once a split or partition.

    \b
    mapreduce stream --mapper ./words.py --reducer ./sum.py books/*.txt -o counts/
    mapreduce stream --mapper "cut -d' ' -f1" --reducer "uniq -c" access.log
    """
    from mapreduce.cli.inputs import open_job_input
    from mapreduce.cli.results import check_printable, run_and_tell
    from mapreduce.streaming import streaming_job

    check_printable(options)
    job = streaming_job(mapper, reducer, combiner)
    run_and_tell(job, open_job_input(job, inputs, "text", ()), options)
