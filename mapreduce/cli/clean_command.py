"""What does `mapreduce clean` do? Removes what jobs left behind: of an unfinished one, or what can be made again."""

from __future__ import annotations

from pathlib import Path

import click

from mapreduce.errors import UsageError


@click.command("clean", short_help="Remove what jobs left behind.")
@click.argument("folders", metavar="[DIR]...", nargs=-1)
@click.option("--kept", is_flag=True, help="The map outputs that --incremental kept, and nothing else.")
@click.option("--all", "everything", is_flag=True, help="The compiled loops in use, too.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would go.")
def clean_command(folders: tuple[str, ...], kept: bool, everything: bool, dry_run: bool) -> None:
    """Remove what jobs left behind.

    With DIR, an output folder: what a job that did not finish left there, so that it can't be resumed any more. A
    complete output and files that no job wrote stay. Without DIR: the map outputs that --incremental kept, temporary
    folders of processes that died, and compiled loops of other versions. All of this is made again when it is needed.

    \b
    mapreduce clean counts/
    mapreduce clean --dry-run
    mapreduce clean --kept
    """
    from mapreduce.report.units import format_bytes
    from mapreduce.storage import cleaning

    if kept and everything:
        raise UsageError("--kept is a part of --all; give one of them")
    finds = [find for folder in folders for find in cleaning.find_unfinished(Path(folder))]
    if kept or everything or not folders:
        finds += cleaning.find_kept()
    if everything or not (folders or kept):
        finds += [*cleaning.find_temporary(), *cleaning.find_kernels(everything=everything)]
    for find in finds:
        if not dry_run:
            find.remove()
        click.echo(f"{'would remove' if dry_run else 'removed'} {format_bytes(find.bytes)}: {find.what}")
    if not finds:
        click.echo("nothing to remove")
