"""What does `mapreduce keys` do? Makes the key that all hosts of a cluster have, and says where to copy it."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("keys", short_help="Make the key of a cluster.")
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace a key that exists: hosts that have it are shut out.")
def keys_command(file: Path | None, force: bool) -> None:
    """Make the key of a cluster, in FILE or where every command looks for it.

    Only your user can read the file. Who has it may run code as you on every host of the cluster: copy it by a safe
    way, to the hosts and nowhere else. See docs/security.md.

    \b
    mapreduce keys
    scp -p ~/.config/mapreduce/cluster.key otherhost:.config/mapreduce/
    """
    from mapreduce.wire.keys import default_key_path, make_key, write_key

    path = file or default_key_path()
    write_key(path, make_key(), replace=force)
    click.echo(f"made the key of a cluster: {path}")
    click.echo(f"copy it to every host, with its mode 0600: scp -p {path} HOST:{path}")
    if path != default_key_path():
        click.echo(f"and tell commands where it is: export MAPREDUCE_KEY={path}")
    if force:
        click.echo("agents and trackers that run have the old key until they are started again")
