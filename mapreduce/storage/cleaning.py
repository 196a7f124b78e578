"""What have jobs left that is of use to nobody, or can be made again, and may it go?

    an unfinished output    `_job`, parts that were not committed, what the job said of itself; never a complete output,
                            never what no job wrote, never while a run has the folder
    temporary folders       of processes that have died
    kept map outputs        of `--incremental`: the next run maps those splits again
    compiled loops          of other versions and processors; with `everything` those in use too

Finding changes nothing. A Find says what would go and how to remove it; a second removal is harmless.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from mapreduce.dataclass import dataclass
from mapreduce.errors import ResourceError, UsageError
from mapreduce.kernels.cache import cache_directory, cache_path
from mapreduce.kernels.catalogue import GROUPS
from mapreduce.storage.job_folder import is_complete
from mapreduce.storage.kept_outputs import kept_folder
from mapreduce.storage.leftovers import find_dead_folders, remove_dead_folders
from mapreduce.storage.locks import HeldByAnotherError, take_lock
from mapreduce.storage.paths import EVENTS, JOB, LOG, MANIFEST, OLD_LOG, REPORT, SKIPPED, JobPaths
from mapreduce.storage.store import TEMPORARY

MODEL = "model.json"
"""What `fit` writes last."""


@dataclass(frozen=True, slots=True)
class Find:
    """Something that may go: what it is, for a person, its size, and how it is removed."""

    what: str
    bytes: int
    remove: Callable[[], None]


def find_unfinished(root: Path) -> list[Find]:
    """What a job that did not finish left in its output folder; of a complete one at most an emptied `_job`.

    Raises UsageError for what is no folder, ResourceError while a run has it.
    """
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise UsageError(f"{root} {what}; name the output folder of a job that did not finish")
    check_not_running(root)
    remains = remains_of(root)
    if not remains:
        return []
    size = sum(map(size_of, remains)) - size_of(Path(root, JobPaths("").lock))  # which has any size
    if is_finished(root):
        what = "what a complete job left beside its output"
    else:
        what = "an unfinished job" if (root / JOB).is_dir() else "what a job that failed said of itself"
    return [Find(f"{what} in {root}", size, lambda: _remove_remains(root))]


def is_finished(root: Path) -> bool:
    """Whether the folder holds an output or a model that is complete."""
    return is_complete(root) or (root / MODEL).exists()


def remains_of(root: Path) -> list[Path]:
    """The entries of an output folder that nobody needs who does not go on with the job; `_job` comes last."""
    job = [root / JOB] if (root / JOB).is_dir() else []
    if is_finished(root):
        return job
    if not job and not (root / EVENTS).exists():
        return []  # no job was here
    said = [root / name for name in (MANIFEST, MANIFEST + TEMPORARY, EVENTS, LOG, OLD_LOG, REPORT, SKIPPED)]
    said = [path for path in said if path.exists()]
    return [*said, *sorted(root.glob("part-*")), *_named_parts(root), *job] if job else said


def _named_parts(root: Path) -> list[Path]:
    """Parts of further outputs: in folders that hold nothing else."""
    folders = [path for path in sorted(root.iterdir()) if path.name[:1] not in "._" and path.is_dir()]
    return [
        part
        for folder in folders
        if not folder.is_symlink() and all(entry.name.startswith("part-") for entry in folder.iterdir())
        for part in sorted(folder.iterdir())
    ]


def check_not_running(root: Path) -> None:
    """Raises ResourceError if a run has the folder. Unlike `take_lock` it writes nothing."""
    import fcntl

    try:
        lock = os.open(Path(root, JobPaths("").lock), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(lock, 32, 0).decode(errors="replace") or "unknown"
        raise ResourceError(f"a job is running in {root} (pid {owner}); stop it first, or wait for it") from None
    finally:
        os.close(lock)


def _remove_remains(root: Path) -> None:
    remains = remains_of(root)
    lock = None
    try:
        if (root / JOB).is_dir():
            lock = take_lock(Path(root, JobPaths("").lock))
        for path in remains:
            remove(path)
            if path.parent != root:
                with suppress(OSError):  # other files are in it
                    path.parent.rmdir()
    except HeldByAnotherError as error:
        raise ResourceError(f"a job has begun to run in {root} (pid {error.owner}); it was left alone") from None
    finally:
        if lock is not None:
            lock.release()
    with suppress(OSError):  # what no job wrote stays
        root.rmdir()


def find_temporary() -> list[Find]:
    """Temporary folders whose process was killed."""
    dead = find_dead_folders()
    if not dead:
        return []
    what = f"{len(dead)} temporary folder{'s' if len(dead) > 1 else ''} of processes that died, in {dead[0].parent}"
    return [Find(what, sum(map(size_of, dead)), lambda: _ignore(remove_dead_folders()))]


def find_kept() -> list[Find]:
    """The store of `--incremental`. A run that is using it goes on: its files are links of its own."""
    folder = kept_folder()
    if not folder.is_dir():
        return []
    entries = sum(1 for _ in folder.glob("outputs/*/*"))
    what = f"{entries:,} kept map output{'' if entries == 1 else 's'} in {folder}"
    return [Find(what, size_of(folder), lambda: remove(folder))]


def find_kernels(*, everything: bool = False) -> list[Find]:
    """Compiled loops that this version on this processor does not use; `everything`: those that it does, too."""
    folder = Path(cache_directory())
    kept = None if everything else kernels_in_use()
    old = [path for path in sorted(folder.iterdir()) if path != kept] if folder.is_dir() else []
    if not old:
        return []
    what = f"compiled loops{'' if everything else ' of other versions or processors'} in {folder}"

    def remove_all() -> None:
        for path in old:
            remove(path)

    return [Find(what, sum(map(size_of, old)), remove_all)]


def kernels_in_use() -> Path | None:
    """The folder of this version's compiled loops; None where nothing can be compiled."""
    try:
        return Path(cache_path(next(iter(GROUPS)))).parent
    except ImportError:
        return None


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    return sum(_sizes(path))


def _sizes(path: Path) -> Iterator[int]:
    with suppress(OSError):  # it just went
        if path.is_dir() and not path.is_symlink():
            for entry in os.scandir(path):
                yield from _sizes(Path(entry.path))
        else:
            yield path.lstat().st_size


def remove(path: Path) -> None:
    """A file, or a folder with all that is in it. Harmless where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)  # somebody else may remove it too, or write into it
    else:
        path.unlink(missing_ok=True)


def _ignore(_: object) -> None:
    pass
