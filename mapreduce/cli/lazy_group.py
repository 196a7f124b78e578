"""How is a command found by its name? Its module is imported only when it is asked for; a wrong name gets near ones."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from mapreduce.errors import near


class LazyGroup(click.Group):
    """A group whose commands are named as 'module:attribute'."""

    def __init__(self, *args: Any, targets: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._targets = dict(targets or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._targets)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = self._targets.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in self._targets or name.startswith("-"):
            return super().resolve_command(ctx, args)
        raise click.UsageError(f"no command {name!r}; {near(name, list(self._targets))}", ctx)
