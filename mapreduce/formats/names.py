"""Which names in a folder are passed over, and what does a message say of the others?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

HIDDEN = (".", "_")
"""Names that start so are skipped below a folder, as in Hadoop: `.crc` files, `_SUCCESS`, work in progress."""

NAMES_SHOWN = 5


def near_names(name: str, names: Sequence[str]) -> str:
    """Words for a message about a folder: 'holds ...', the near names first."""
    from difflib import get_close_matches

    if not names:
        return "is empty"
    close = get_close_matches(name, names, n=NAMES_SHOWN, cutoff=0.6)
    if close:
        return "holds " + _listed(close) + ": did you mean that?"
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return "holds " + _listed(names[:NAMES_SHOWN]) + more


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
