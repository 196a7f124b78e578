"""Which files a path names, how they are opened, and what is said when there are none."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import unquote

import pytest
from pyarrow import fs

from mapreduce.errors import InputError, ResourceError, UsageError
from mapreduce.formats import inputs, remote
from mapreduce.formats.base import InputFile
from mapreduce.formats.inputs import find_files, open_input, spool_stdin

ODD_NAMES = ["a b.txt", "[abc].txt", "star*.txt", "-dash", "q?.txt", "ünï.txt", "new\nline", "~tilde", "bad\udcff.txt"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("b.txt", "a.txt", "sub/c.txt", "sub/deep/d.txt", "sub/e.csv"):
        write(name)
    for name in (".hidden", "_SUCCESS", ".git/x.txt", "sub/_temporary/y.txt", "sub/.part.crc"):
        write(name)
    return tmp_path


def write(name: str, content: bytes = b"x") -> None:
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    with open(name, "wb") as file:
        file.write(content)


def paths_of(*paths: str) -> list[str]:
    return [file.path for file in find_files(paths)]


def test_a_folder_gives_its_files_at_any_depth_by_name(folder: Path) -> None:
    expected = ["a.txt", "b.txt", "sub/c.txt", "sub/deep/d.txt", "sub/e.csv"]
    assert paths_of(".") == [f"./{name}" for name in expected]
    assert paths_of(str(folder)) == [str(folder / name) for name in expected]
    assert paths_of("sub/") == expected[2:]


def test_hidden_names_count_when_they_are_given(folder: Path) -> None:
    assert paths_of("_SUCCESS", ".git", ".hidden") == ["_SUCCESS", ".git/x.txt", ".hidden"]
    assert paths_of("sub/_temporary/*") == ["sub/_temporary/y.txt"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.txt", ["a.txt", "b.txt"]),
        ("**/*.txt", ["a.txt", "b.txt", "sub/c.txt", "sub/deep/d.txt"]),
        ("sub/**", ["sub/c.txt", "sub/deep/d.txt", "sub/e.csv"]),
        ("s*/[ce].*", ["sub/c.txt", "sub/e.csv"]),
        ("s*", ["sub/c.txt", "sub/deep/d.txt", "sub/e.csv"]),
        ("?.txt", ["a.txt", "b.txt"]),
        ("_*", ["_SUCCESS"]),
        ("*", ["a.txt", "b.txt", "sub/c.txt", "sub/deep/d.txt", "sub/e.csv"]),
    ],
)
def test_globs(folder: Path, pattern: str, expected: list[str]) -> None:
    assert paths_of(pattern) == expected
    assert paths_of(str(folder / pattern)) == [str(folder / name) for name in expected]
    assert paths_of(f"file://{folder}/{pattern}") == [str(folder / name) for name in expected]


def test_files_keep_the_users_order_and_come_once(folder: Path) -> None:
    assert paths_of("b.txt", "a.txt") == ["b.txt", "a.txt"]
    assert paths_of("b.txt", "*.txt", "./b.txt", str(folder / "a.txt")) == ["b.txt", "a.txt"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_literal(folder: Path, name: str) -> None:
    write(f"odd/{name}", b"odd")
    os.chdir("odd")
    write("s.txt")  # what 'star*.txt' and '[abc].txt' must not match
    (file,) = find_files([name])
    assert file.path == name
    assert file.size == 3
    assert file.mtime_ns == os.stat(name).st_mtime_ns
    with open_input(file) as stream:
        assert stream.read() == b"odd"
    os.chdir("..")
    assert f"odd/{name}" in paths_of("odd")
    assert f"odd/{name}" in paths_of("odd/*")


def test_file_uris_are_decoded(folder: Path) -> None:
    write("a b%.txt")
    assert paths_of(f"file://{folder}/a%20b%25.txt") == [str(folder / "a b%.txt")]
    with pytest.raises(InputError, match="names no host"):
        find_files(["file://other/a.txt"])


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("aa.txt", r"aa.txt: no such file; folder '.' holds 'a.txt'"),
        ("nowhere/a.txt", r"there is no folder 'nowhere': folder '.' holds 'a.txt', 'b.txt'"),
        ("sub/*.parquet", r"no file matches 'sub/\*.parquet'; folder 'sub' holds"),
        ("a.txt/b", "a.txt/b: no such file"),
        ("", "not a path"),
        ("a\0b", "not a path"),
        ("broken", "is a link to 'gone', which does not exist"),
        ("empty", "the folder holds no files"),
        ("fifo", "is a pipe or device.*name it '-'"),
        ("x3://bucket/a", "no file system is known as 'x3'; did you mean 's3'"),
    ],
)
def test_what_is_not_there_is_named_with_the_remedy(folder: Path, path: str, words: str) -> None:
    os.symlink("gone", "broken")
    os.mkdir("empty")
    os.mkfifo("fifo")
    with pytest.raises(InputError, match=words):
        find_files([path])


def test_unreadable_files_and_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: "b.txt" not in path)  # root may read everything
    with pytest.raises(InputError, match=r"b.txt: permission denied; .*chmod"):
        find_files(["."])

    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"sub: permission denied"):
        find_files(["sub"])


def test_links_are_followed_but_not_in_circles(folder: Path) -> None:
    os.symlink("..", "sub/up")
    os.symlink("../a.txt", "sub/link.txt")
    found = paths_of("sub")
    assert "sub/link.txt" in found
    assert "sub/up/b.txt" in found
    assert not [path for path in found if path.startswith("sub/up/sub")]


def test_pipes_in_a_folder_are_passed_over(folder: Path) -> None:
    os.mkfifo("sub/fifo")
    assert "sub/fifo" not in paths_of("sub")


def test_nothing_named_and_standard_input(folder: Path) -> None:
    with pytest.raises(UsageError, match="no input is named"):
        find_files([])
    with pytest.raises(UsageError, match="must be spooled"):
        find_files(["-"])


def test_standard_input_is_spooled(tmp_path: Path) -> None:
    file = spool_stdin(tmp_path, io.BytesIO(b"a\nb\n"))
    assert file.size == 4
    assert Path(file.path).read_bytes() == b"a\nb\n"


class Failing(io.RawIOBase):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def read(self, size: int = -1) -> bytes:
        raise self.error


def test_a_spool_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="No space left"):
        spool_stdin(tmp_path, cast(BinaryIO, Failing(OSError(28, "No space left on device"))))
    with pytest.raises(KeyboardInterrupt):
        spool_stdin(tmp_path, cast(BinaryIO, Failing(KeyboardInterrupt())))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_vanished_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone.txt: no such file"):
        open_input(InputFile(str(tmp_path / "gone.txt"), 1))


def test_too_many_open_files_is_nobodys_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, mode: str) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(inputs, "open", refuse, raising=False)
    with pytest.raises(ResourceError, match="ulimit -n"):
        open_input(InputFile("a", 1))


def test_local_paths_do_not_import_pyarrow(folder: Path) -> None:
    code = (
        "import sys; from mapreduce.formats.inputs import *; "
        "[open_input(f).close() for f in find_files(['.', '*.txt', 'file:///dev/../%s/a.txt' % sys.argv[1]])]; "
        "assert not {'pyarrow', 'numpy'} & set(sys.modules)"
    )
    root = Path(inputs.__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, env={**os.environ, "PYTHONPATH": str(root)})


@pytest.fixture
def bucket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file system of pyarrow's behind s3:// URIs, as an object store would be."""
    system = fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem())

    def connect(uri: str) -> remote.Place:
        path = uri.removeprefix("s3://").partition("?")[0]
        return remote.Place(system, unquote(path))

    monkeypatch.setattr(remote, "connect", connect)
    return folder


def test_uris_name_files_folders_and_globs(bucket: Path) -> None:
    write("sub/a b%.txt", b"remote")
    assert paths_of("s3://sub?region=x") == [
        f"s3://sub/{name}?region=x" for name in ("a%20b%25.txt", "c.txt", "deep/d.txt", "e.csv")
    ]
    assert paths_of("s3://sub/*.csv", "s3://sub/[ce].*") == ["s3://sub/e.csv", "s3://sub/c.txt"]
    assert paths_of("s3://sub/**.txt") == [f"s3://sub/{name}" for name in ("a%20b%25.txt", "c.txt", "deep/d.txt")]
    (file,) = find_files(["s3://sub/a%20b%25.txt"])
    assert file.size == 6
    assert file.mtime_ns > 0
    with open_input(file) as stream:
        stream.seek(2)
        assert stream.readline() == b"mote"
        assert stream.seek(0, os.SEEK_END) == 6


def test_uris_that_name_nothing(bucket: Path) -> None:
    with pytest.raises(InputError, match=r"s3://sub/c.tx: no such file; folder 'sub' holds 'c.txt'"):
        find_files(["s3://sub/c.tx"])
    with pytest.raises(InputError, match=r"s3://sub/\*.json: no file there"):
        find_files(["s3://sub/*.json"])
    with pytest.raises(InputError, match="cannot be read"):
        open_input(InputFile("s3://sub/gone", 1))


def test_a_uri_that_does_not_parse() -> None:
    with pytest.raises(InputError, match=r"abfs://: "):
        find_files(["abfs://"])
