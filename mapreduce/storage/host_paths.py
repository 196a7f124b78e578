"""On which hosts is a file of a job, as its path tells?

_job/segments/0-7-0.seg            on this host
@a/_job/segments/0-7-0.seg         on host a
@a+c/_job/segments/0-7-0.seg       on a, and a copy on c
"""

from __future__ import annotations

from collections.abc import Sequence


def split_path(path: str) -> tuple[tuple[str, ...], str]:
    """The hosts that a path names, none for one of this host, and the path there."""
    if not path.startswith("@"):
        return (), path
    hosts, _, rest = path[1:].partition("/")
    return tuple(hosts.split("+")), rest


def join_path(hosts: Sequence[str], path: str) -> str:
    """The inverse of `split_path`."""
    return f"@{'+'.join(hosts)}/{path}" if hosts else path


def with_host(path: str, host: str) -> str:
    """The same file, now on this host as well."""
    hosts, rest = split_path(path)
    return path if host in hosts else join_path((*hosts, host), rest)


def without_host(path: str, host: str) -> str:
    """The same file, where it still is when this host is gone; "" if it was nowhere else."""
    hosts, rest = split_path(path)
    left = tuple(other for other in hosts if other != host)
    return join_path(left, rest) if left else ""
