"""The disk is full, forbidden or gone at any moment of a job: one clear error, no litter; the same command goes on."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.errors import ResourceError
from tests.faults.stores import NEEDS_SPACE, Disk, FullDisk

pytestmark = pytest.mark.timeout(90)

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = "".join(f"{word} {number % 7} {number}\n" for number, word in enumerate("der die das und oder".split() * 40))
FULL = re.compile(r"can't write /\S+: no space left: free some.*\(needed [1-9][\d,]* bytes, free [\d,]+\)")


class Words(mr.Job):
    """A keyed job with a further output."""

    def map(self, line: str) -> Iterator[tuple[str, float]]:
        word, small, _ = line.split()
        yield word, 0.1 * int(small)

    def reduce(self, key: str, values: Iterator[float]) -> Iterator[Any]:
        yield key, sum(values)
        if "d" in key:
            yield mr.Named("with-d", key, 1)


class Upper(mr.Job):
    """Without a reduce: what is mapped is the output."""

    reduce = None

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        yield line.upper(), 1


class Tail(mr.Fold):
    """A fold with partials too large for a message."""

    def map(self, block: Any) -> Any:
        return [0.1 * len(line) for line in block.records()] * 50

    def reduce(self, a: Any, b: Any) -> Any:
        return [x / 3 + y for x, y in zip(a, b, strict=False)]

    def finish(self, partial: Any) -> Any:
        return sum(partial)


JOBS: dict[str, Any] = {"keyed": Words, "map only": Upper, "fold": Tail}


@pytest.fixture
def data(tmp_path: Path) -> mr.Dataset:
    (tmp_path / "text.txt").write_text(TEXT)
    return mr.read_text(tmp_path / "text.txt")


def run(name: str, data: mr.Dataset, out: Path, **more: Any) -> None:
    job = JOBS[name]()
    reducers = 2 if name == "keyed" else None
    mr.run(job, data, output=out, engine="inline", split_size=len(TEXT) // 3 + 1, reducers=reducers, **more)


def digest(out: Path) -> str:
    """Of all parts and their names."""
    assert (out / "_SUCCESS").exists()
    assert not (out / "_job").exists()
    sums = [f"{path.relative_to(out)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in out.rglob("part-*")]
    return "\n".join(sorted(sums))


def moments(name: str, data: mr.Dataset, out: Path) -> list[int]:
    """Numbers of the job's operations that need space."""
    disk = Disk()
    with disk.inserted():
        run(name, data, out)
    return [number for number, operation in enumerate(disk.log) if operation.startswith(NEEDS_SPACE)]


@pytest.mark.parametrize("name", JOBS)
def test_full_at_every_operation(name: str, data: mr.Dataset, tmp_path: Path) -> None:
    full_moments = moments(name, data, tmp_path / "whole")
    expected = digest(tmp_path / "whole")
    for full_at in full_moments:
        out = tmp_path / f"full-at-{full_at}"
        disk = FullDisk(full_at)
        with disk.inserted(), pytest.raises(ResourceError) as caught:
            run(name, data, out)
        assert FULL.search(str(caught.value)), f"{disk.log[full_at]}: {caught.value}"
        check_what_is_left(out, disk.log[full_at])
        run(name, data, out)
        assert digest(out) == expected, disk.log[full_at]
        shutil.rmtree(out)
    assert len(full_moments) > 20


def check_what_is_left(out: Path, operation: str) -> None:
    """Nothing half-written may look as if it were whole."""
    if not out.exists():
        return
    assert not (out / "_SUCCESS").exists(), operation
    for path in out.iterdir():
        assert path.name.startswith(("_job", "_events", "_log", "_manifest.json", "part-", "with-d")), operation
        assert not path.name.endswith(".tmp"), operation
    for name in ("segments", "partials"):
        assert [path.name for path in out.glob(f"_job/{name}/*.tmp")] == [], operation
    assert list(out.glob("_job/attempts/*.tmp")) == [], operation


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EROFS, "the file system is read-only: choose another output folder"),
        (errno.EACCES, "no permission to write there"),
        (errno.EIO, "the disk failed to write: check it"),
        (errno.EDQUOT, r"disk quota exceeded.*\(needed [\d,]+ bytes, free [\d,]+\)"),
    ],
)
def test_a_disk_that_refuses_in_mid_job(number: int, words: str, data: mr.Dataset, tmp_path: Path) -> None:
    for refuses_at in moments("keyed", data, tmp_path / "whole")[::8]:
        out = tmp_path / f"{number}-{refuses_at}"
        with FullDisk(refuses_at, number).inserted(), pytest.raises(ResourceError, match=words):
            run("keyed", data, out)
        run("keyed", data, out)
        assert digest(out) == digest(tmp_path / "whole")


class RemovesFolder(mr.Job):
    """Somebody else removes the output folder while this runs."""

    reduce = mr.Sum()

    def __init__(self, folder: str, again: bool) -> None:
        self.folder = folder
        self.again = again

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        yield line.split()[0], 1
        if line.endswith(" 120"):
            shutil.rmtree(self.folder)
            if self.again:
                os.mkdir(self.folder)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("engine", ["inline", "local"])
def test_the_output_folder_is_removed_in_mid_job(engine: Any, again: bool, data: mr.Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    job = RemovesFolder(str(out), again)
    with pytest.raises(ResourceError, match=f"the folder {out} was removed or replaced"):
        mr.run(job, data, output=out, engine=engine, split_size=len(TEXT) // 3 + 1, workers=2)
    assert not (out / "_SUCCESS").exists()
    assert again or not out.exists()


# A real file system, of this test's own


def cannot_mount() -> str:
    """Why not, or nothing."""
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        return "needs unshare"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder],
            capture_output=True,
            text=True,
            check=False,
        )
    return "" if done.returncode == 0 else f"may not mount a file system here: {done.stderr.strip()}"


SCRIPT = r"""
mount -t tmpfs -o size="$SIZE" tmpfs "$DISK" || exit 99
"$@"; echo "first: $?"
(cd "$DISK" && find . -name _SUCCESS -o -name '*.tmp')
mount -o remount,size=20m "$DISK" || exit 99
"$@"; echo "second: $?"
cd "$DISK/out" && sha256sum part-* && ls -A
"""

JOB = """
import mapreduce as mr

class Lengths(mr.Job):
    reduce = mr.Sum()

    def map(self, line):
        yield line, len(line)
"""


@pytest.mark.parametrize(("size", "during"), [("1500k", "attempts/1-"), ("800k", "attempts/0-")])
def test_a_real_disk_that_is_full_in_mid_job(size: str, during: str, tmp_path: Path) -> None:
    if why_not := cannot_mount():
        pytest.skip(why_not)
    (tmp_path / "disk").mkdir()
    (tmp_path / "lengths.py").write_text(JOB)
    (tmp_path / "lines.txt").write_text("".join(f"{number:08d} {number * 7919 % 10007}\n" for number in range(80_000)))
    command = [sys.executable, "-m", "mapreduce", "run", f"{tmp_path}/lengths.py:Lengths", f"{tmp_path}/lines.txt"]
    command += ["--workers", "2", "--split-size", "200KB", "--reducers", "3", "-o"]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", SCRIPT, "sh", *command, f"{tmp_path}/disk/out"],
        env={**os.environ, "PYTHONPATH": paths, "DISK": str(tmp_path / "disk"), "SIZE": size},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    subprocess.run([*command, f"{tmp_path}/elsewhere"], env={**os.environ, "PYTHONPATH": paths}, check=True)
    lines = done.stdout.splitlines()
    assert lines[:2] == ["first: 2", "second: 0"], done.stdout + done.stderr  # no _SUCCESS and no .tmp in between
    assert (told := FULL.search(done.stderr)), done.stderr
    assert during in told[0]
    assert "Traceback" not in done.stderr
    assert re.search(r"[1-9]\d* of 9 tasks were finished", done.stderr), done.stderr
    sums = {
        f"{hashlib.sha256(part.read_bytes()).hexdigest()}  {part.name}"
        for part in (tmp_path / "elsewhere").glob("part-*")
    }
    assert len(sums) == 3
    assert sums <= set(lines[2:])
    assert "_job" not in lines
