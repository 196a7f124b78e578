"""Does the code of a job reach other hosts whole, and is it never that of another job?"""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from mapreduce.dataflow.carried import CarriedModules, carry
from mapreduce.dataflow.source_file import SourceFile
from mapreduce.engines.job_code import code_of


@pytest.fixture
def clean() -> Iterator[None]:
    before = dict(sys.modules)
    yield
    carry(())
    for name in set(sys.modules) - set(before):
        if name.startswith("carried_"):
            del sys.modules[name]


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = folder / f"{name.replace('__init', '/__init__').replace('_dot_', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))


JOB = """
    import mapreduce as mr
    from carried_words import split

    class Words(mr.Job):
        reduce = mr.Sum()

        def map(self, line):
            from carried_late import weight
            for word in split(line):
                yield word, weight(word)
"""


def test_modules_beside_are_found_also_where_a_function_imports_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean: None
) -> None:
    write(
        tmp_path,
        carried_job=JOB,
        carried_words="import re\nfrom carried_pack.deep import CUT\ndef split(line): return CUT.split(line)\n",
        carried_late="def weight(word): return 1\n",
        carried_pack_dot_deep="import re\nfrom . import other\nCUT = re.compile(' ')\n",
        carried_pack_dot_other="",
        carried_pack__init="",
        carried_unused="",
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = code_of(importlib.import_module("carried_job").Words())
    assert [source.module for source in found] == [
        "carried_job",
        "carried_late",
        "carried_pack",
        "carried_pack.deep",
        "carried_pack.other",
        "carried_words",
    ]
    assert [source.module for source in found if source.is_package] == ["carried_pack"]


def test_the_jobs_of_a_chain_go_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean: None) -> None:
    write(
        tmp_path,
        carried_job=JOB,
        carried_words="def split(line): return line.split()\n",
        carried_late="def weight(word): return 1\n",
        carried_chain="""
            import mapreduce as mr

            class Listed(mr.Chain):
                def __init__(self, *links):
                    self.links = links

                def jobs(self):
                    return list(self.links)
        """,
    )
    monkeypatch.syspath_prepend(tmp_path)
    link = importlib.import_module("carried_job").Words()
    found = code_of(importlib.import_module("carried_chain").Listed(link))
    assert [source.module for source in found] == ["carried_chain", "carried_job", "carried_late", "carried_words"]


def test_carried_modules_are_imported_where_there_is_no_file(clean: None) -> None:
    carry([
        SourceFile("carried_a", "/nowhere/carried_a.py", "from carried_p.b import X\nY = X + 1\n"),
        SourceFile("carried_p.b", "/nowhere/carried_p/b.py", "from .c import Z as X\n"),
        SourceFile("carried_p.c", "/nowhere/carried_p/c.py", "Z = 41\n"),
    ])  # fmt: skip
    module = importlib.import_module("carried_a")
    assert module.Y == 42
    assert module.__file__ == "/nowhere/carried_a.py"


def test_a_module_that_changed_is_imported_anew_and_one_that_did_not_is_kept(clean: None) -> None:
    one = SourceFile("carried_x", "/x.py", "VALUE = 1\n")
    carry([one])
    first = importlib.import_module("carried_x")
    carry([SourceFile("carried_x", "/x.py", "VALUE = 1\n")])
    assert importlib.import_module("carried_x") is first
    carry([SourceFile("carried_x", "/x.py", "VALUE = 2\n")])
    assert importlib.import_module("carried_x").VALUE == 2
    carry([SourceFile("carried_y", "/y.py", "")])
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("carried_x")
    assert sum(isinstance(finder, CarriedModules) for finder in sys.meta_path) == 1


RUN = """
    import os, sys
    from pathlib import Path
    import mapreduce as mr

    def main():
        import carried_job
        with mr.Engine("cluster", hosts="localhost:1") as engine:
            for text in ("return 1", "return 5"):
                Path("carried_late.py").write_text(f"def weight(word): {text}\\n")
                result = engine.run(carried_job.Words(), mr.read_text("in.txt"))
                print(sorted(result.records()))
                result.close()

    if __name__ == "__main__":
        main()
"""


def test_a_cluster_runs_a_job_with_modules_beside_it_and_notices_that_one_changed(tmp_path: Path) -> None:
    write(
        tmp_path,
        carried_job=JOB,
        carried_words="def split(line): return line.split()\n",
        carried_late="def weight(word): return 1\n",
        main=RUN,
    )
    (tmp_path / "in.txt").write_text("a b a\n")
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "main.py"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[('a', 2), ('b', 1)]", "[('a', 10), ('b', 5)]"]
