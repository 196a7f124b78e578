"""How are inputs found and read that lie on hosts of a cluster? With hosts that are dictionaries."""

from __future__ import annotations

import errno
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

import mapreduce as mr
from mapreduce.errors import InputError, UsageError
from mapreduce.formats.base import InputFile
from mapreduce.formats.inputs import find_files, forget_host_files, local_path, open_input, use_host_files
from mapreduce.storage.host_store import Place
from mapreduce.wire.host_files import HostInputs, Listed, find_on_hosts, matches


class Hosts:
    """Files by host and name, as catalog and as data service. `gone` hosts don't answer."""

    def __init__(self, **files: dict[str, bytes]) -> None:
        self.files = files
        self.gone: set[str] = set()
        self.hashed: list[str] = []
        self.bytes_read = 0
        self.announced = 0

    def listings(self, folder: str) -> Mapping[str, Sequence[Listed]]:
        return {
            host: [Listed(name.partition("/")[2], int(name[4]), len(data), 7) for name, data in files.items()]
            for host, files in self.files.items()
        }

    def content_hash(self, host: str, file: Listed) -> str:
        self.hashed.append(host)
        return self.files[host][f"data{file.folder}/{file.path}"].hex()

    def rest(self) -> None:
        pass

    def size(self, host: str, path: str) -> int:
        return len(self._data(host, path))

    def read(self, host: str, path: str, offset: int, size: int) -> bytes:
        data = self._data(host, path)[offset : offset + size]
        self.bytes_read += len(data)
        return data

    def will_read(self, places: Sequence[Place]) -> None:
        self.announced += sum(place.size for place in places)

    def forget(self, host: str, path: str) -> None:
        pass

    def _data(self, host: str, path: str) -> bytes:
        if host in self.gone:
            raise OSError(errno.EHOSTUNREACH, "out of reach")
        if path not in self.files[host]:
            raise FileNotFoundError(errno.ENOENT, "no such file")
        return self.files[host][path]


def names(path: str, hosts: Hosts) -> list[tuple[str, tuple[str, ...]]]:
    return [(file.path, file.hosts) for file in find_on_hosts(path, hosts)]


TWO = Hosts(
    a={"data0/books/1.txt": b"one\n", "data0/books/2.txt": b"two\n", "data0/.x": b"", "data0/books/_tmp/3.txt": b""},
    b={"data0/books/2.txt": b"two\n", "data1/books/9.txt": b"nine\n", "data0/logs/x.log": b"x"},
)


@pytest.mark.parametrize(
    ("name", "pattern", "named"),
    [
        ("a.txt", "a.txt", True),
        ("a.txt", "", True),
        ("books/a.txt", "books", True),
        ("books/a.txt", "books/", True),
        ("books/a.txt", "book", False),
        ("books/a.txt", "books/*.txt", True),
        ("books/x/a.txt", "books/*.txt", False),
        ("books/x/a.txt", "books/**/*.txt", True),
        ("books/a.txt", "books/**/*.txt", True),
        ("books/x/a.txt", "books/*", True),  # the folder x, and so what is in it
        ("books/x/a.txt", "**", True),
        ("books/_x/a.txt", "books", False),
        ("books/_x/a.txt", "books/_x", True),
        ("_x", "*", False),
        ("_x", "_*", True),
    ],
)
def test_what_a_path_names(name: str, pattern: str, named: bool) -> None:
    assert matches(name, pattern) is named


def test_a_name_on_two_hosts_is_one_file_with_two_replicas() -> None:
    assert names("data:books/*.txt", TWO) == [
        ("data:books/1.txt", ("a",)),
        ("data:books/2.txt", ("a", "b")),
        ("data:books/9.txt", ("b",)),
    ]


def test_contents_are_compared_only_where_names_and_sizes_are_equal() -> None:
    hosts = Hosts(a={"data0/x": b"1", "data0/y": b"2"}, b={"data0/x": b"1"})
    names("data:", hosts)
    assert sorted(hosts.hashed) == ["a", "b"]


@pytest.mark.parametrize("other", [b"One\n", b"longer\n"])
def test_a_name_for_two_contents_is_an_error_that_names_both_hosts(other: bytes) -> None:
    hosts = Hosts(a={"data0/x.txt": b"one\n"}, b={"data0/x.txt": other})
    with pytest.raises(InputError, match=r"data:x.txt is one file on host a .* another on host b"):
        find_on_hosts("data:x.txt", hosts)


def test_of_a_hosts_folders_the_first_one_counts() -> None:
    hosts = Hosts(a={"data0/x": b"first", "data1/x": b"second!"})
    (file,) = find_on_hosts("data:x", hosts)
    assert file.size == 5


def test_what_is_nowhere_is_an_error_with_near_names() -> None:
    with pytest.raises(InputError, match=r"data:books/3.txt: none of a, b has it; .*'books/1.txt'"):
        find_on_hosts("data:books/3.txt", TWO)
    with pytest.raises(InputError, match="no host offers files; start agents with --data"):
        find_on_hosts("data:x", Hosts())


# Reading


def big(size: int) -> bytes:
    return random.Random(1).randbytes(size)


def test_a_file_of_another_host_reads_like_a_file(tmp_path: Path) -> None:
    data = big(5_000_000)
    hosts = Hosts(a={"data0/x": data})
    inputs = HostInputs("c", (), hosts)
    file = InputFile("data:x", len(data), 0, ("a",))
    with inputs.open(file) as stream:
        assert stream.read(10) == data[:10]
        stream.seek(4_000_000)
        assert stream.read(500_000) == data[4_000_000:4_500_000]
        stream.seek(-5, 2)
        assert stream.read() == data[-5:]
        stream.seek(0)
        assert stream.read() == data


def test_a_piece_is_read_for_not_much_more_than_its_bytes() -> None:
    data = big(8 << 20)
    hosts = Hosts(a={"data0/x": data})
    with HostInputs("c", (), hosts).open(InputFile("data:x", len(data), 0, ("a",))) as stream:
        stream.seek(1 << 20)
        stream.read(1 << 20)
        assert hosts.bytes_read == 1 << 20
        assert hosts.announced <= 1 << 20


def test_the_other_replica_is_read_when_a_host_goes_in_the_middle() -> None:
    data = big(3 << 20)
    hosts = Hosts(a={"data0/x": data}, b={"data1/x": data})
    with HostInputs("c", (), hosts).open(InputFile("data:x", len(data), 0, ("a", "b"))) as stream:
        head = stream.read(1 << 20)
        hosts.gone = {"a"}
        assert head + stream.read() == data


def test_a_file_that_no_host_has_any_more_is_named() -> None:
    hosts = Hosts(a={})
    with (
        HostInputs("c", (), hosts).open(InputFile("data:x", 5, 0, ("a",))) as stream,
        pytest.raises(InputError, match=r"data:x can't be read from host a: no such file; start its agent again"),
    ):
        stream.read()


def test_a_file_that_became_shorter_is_an_error() -> None:
    hosts = Hosts(a={"data0/x": b"12"})
    with (
        HostInputs("c", (), hosts).open(InputFile("data:x", 5, 0, ("a",))) as stream,
        pytest.raises(InputError, match="shorter"),
    ):
        stream.read()


@pytest.fixture
def registered(tmp_path: Path) -> Iterator[Hosts]:
    lines = b"".join(b"%d a line of text\n" % number for number in range(1000))
    (tmp_path / "here.txt").write_bytes(lines)
    hosts = Hosts(me={"data0/here.txt": lines}, a={"data0/there.txt": lines})
    inputs = HostInputs("me", (str(tmp_path),), hosts, hosts)
    use_host_files(inputs)
    yield hosts
    forget_host_files(inputs)


def test_a_job_reads_both_what_lies_here_and_there(registered: Hosts) -> None:
    class Lines(mr.Job):
        reduce = mr.Sum()

        def map(self, line: str) -> Iterator[tuple[str, int]]:
            yield line.split()[0], 1

    result = mr.run(Lines(), mr.read_text("data:*.txt"), engine="inline", split_size=4000)
    counts = dict(result.records())
    result.close()
    assert counts == {str(number): 2 for number in range(1000)}
    assert registered.bytes_read >= 18_000


def test_what_lies_here_is_opened_here(registered: Hosts, tmp_path: Path) -> None:
    here, there = find_files(["data:here.txt", "data:there.txt"])
    assert local_path(here) == str(tmp_path / "here.txt")
    assert local_path(there) is None
    with open_input(here) as stream:
        stream.read()
    assert registered.bytes_read == 0


@pytest.mark.parametrize("format", ["npy", "parquet", "arrow"])
def test_formats_that_map_files_read_them_from_other_hosts(registered: Hosts, format: str, tmp_path: Path) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / f"x.{format}"
    table = pa.table({"f0": np.arange(100.0), "f1": np.arange(100.0)})
    if format == "npy":
        np.save(path, np.arange(200.0).reshape(100, 2))
    elif format == "parquet":
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    registered.files["a"][f"data0/x.{format}"] = path.read_bytes()
    path.unlink()
    dataset = mr.read(f"data:x.{format}")
    planned = dataset.plan()
    rows = sum(len(block) for split in planned.splits for block in planned.format.read_blocks(split, 1 << 20))
    assert rows == 100


def test_without_hosts_the_name_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mapreduce.formats.inputs._host_files", [])  # other tests may have a cluster open
    with pytest.raises(UsageError, match=r"data:x lies on hosts of a cluster; name these with --hosts .* ./data:x"):
        find_files(["data:x"])
