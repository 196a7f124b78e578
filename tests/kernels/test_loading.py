"""Is object code stored whole, found again, refused when damaged, and done without where it cannot be had?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from mapreduce.kernels import __main__, cache, elf, hash_strings, load
from mapreduce.kernels.cache import Object, decode_objects, encode_objects, read_objects, write_objects
from mapreduce.kernels.catalogue import GROUPS

ROOT = Path(__file__).resolve().parents[2]
OBJECTS = [Object("one", "symbol.one", b"\x7fELF" * 9), Object("two", "symbol.two", b"")]


@pytest.fixture(autouse=True)
def switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAPREDUCE_KERNELS", raising=False)


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has loaded nothing yet."""
    monkeypatch.setattr(load, "_loaded", {})
    monkeypatch.setattr(load, "_missing", set())


def in_new_process(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_objects_survive_a_round_trip(tmp_path: Path) -> None:
    path = str(tmp_path / "key" / "group.objects")
    assert read_objects(path) is None
    assert write_objects(path, OBJECTS)
    assert read_objects(path) == OBJECTS
    assert os.listdir(tmp_path / "key") == ["group.objects"]


def test_damage_is_noticed() -> None:
    data = encode_objects(OBJECTS)
    for at in range(len(data)):
        damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert decode_objects(damaged) is None
    for size in range(len(data)):
        assert decode_objects(data[:size]) is None


def test_a_damaged_file_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: None) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = Path(cache.cache_path("hashes"))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not object code")
    assert not load.available("hashes")
    assert load.available("hashes", compile=True)
    assert read_objects(str(path)) is not None


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: None) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where a directory should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert not load.available("hashes")
    assert load.available("hashes", compile=True)
    assert "cannot be written; set XDG_CACHE_HOME" in load.compile_now("hashes")


def test_without_numba(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: None) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "mapreduce.kernels.compile", None)  # its import fails
    assert not load.available("hashes", compile=True)
    assert "not compiled" in load.compile_now("hashes")


def test_switched_off(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MAPREDUCE_KERNELS", "off")
    assert not load.available("hashes", compile=True)
    assert __main__.main([]) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["hashes"]) == 0
    assert capsys.readouterr().out.startswith("hashes: ")
    assert __main__.main(["hashs"]) == 2
    assert "known: words" in capsys.readouterr().err


def test_what_elf_does_not_know() -> None:
    for code in (b"", b"\xcf\xfa\xed\xfe" * 20, b"\x7fELF\x02\x01" + bytes(12) + b"\xb7" + bytes(60)):
        with pytest.raises(elf.NotUnderstood):
            elf.place([Object("one", "one", code)])


def test_llvm_places_the_same_kernels(monkeypatch: pytest.MonkeyPatch, fresh: None) -> None:
    strings = pa.array(["", "a", "some words that are longer than eight bytes"])
    assert load.available("hashes", compile=True)
    expected = hash_strings(strings).tolist()

    def refuse(objects: list[Object]) -> list[int]:
        raise elf.NotUnderstood("an unknown processor")

    monkeypatch.setattr(load, "_loaded", {})
    monkeypatch.setattr(elf, "place", refuse)
    assert load.available("hashes")
    assert hash_strings(strings).tolist() == expected


def test_stored_kernels_load_without_numba() -> None:
    """Every kernel resolves in a process that holds neither numba nor its symbols."""
    for group in GROUPS:
        assert load.available(group, compile=True)
    code = (
        "import sys; from mapreduce import kernels\n"
        "assert not {'numpy', 'pyarrow', 'llvmlite', 'numba'} & set(sys.modules)\n"
        f"assert kernels.available(*{list(GROUPS)})\n"
        "assert not {'numpy', 'numba', 'logging'} & set(sys.modules)\n"
        "counter = kernels.WordCounter(); assert counter.add(b'a b a') is None; print(counter.distinct)"
    )
    assert in_new_process(code) == "2\n"
