"""Is every command of the documentation right, and what it prints?

Each document is run from its first block to its last in a folder of its own, beside a link to `data/`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import Block, is_as_expected, read_blocks

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
INSTALLS = "-m venv"
LIMIT_SECONDS = 50  # for a block; on an idle machine none takes 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a reader would sit: `data/` is there, `mapreduce` and `python` are what was installed."""
    here = tmp_path / "project"
    here.mkdir()
    (here / "data").symlink_to(ROOT / "data")
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, arguments in (("mapreduce", "-m mapreduce"), ("python", "")):
        script = commands / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        script.chmod(0o755)
    return here


def run(block: Block, folder: Path) -> None:
    """Run a block; fails with what it printed where that is not what the document shows."""
    if block.file_name is not None:
        (folder / block.file_name).write_text(block.text)
        return
    done = execute(["sh", "-e"] if block.language == "sh" else [sys.executable, "-"], block.text, folder)
    assert done.returncode == block.exit_code, f"{block.place}: exit code {done.returncode}\n{block.text}{done.stdout}"
    if block.expected is not None:
        shown = is_as_expected(block.expected, done.stdout)
        assert shown, f"{block.place} prints something else than it shows:\n{block.text}-- it prints:\n{done.stdout}"


def execute(command: list[str], text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    environment["MAPREDUCE_CACHE"] = str(folder.parent / "cache")
    environment["PATH"] = f"{folder.parent / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
    return subprocess.run(
        command,
        input=text,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )


def blocks_to_run(document: Path) -> list[Block]:
    return [block for block in read_blocks(document) if block.is_run and INSTALLS not in block.text]


DOCUMENTS = [path for path in (README, *sorted((ROOT / "docs").glob("*.md"))) if blocks_to_run(path)]


def test_what_teaches_is_run() -> None:
    assert {"README.md", "tutorial.md", "how-to.md"} <= {path.name for path in DOCUMENTS}


@pytest.mark.timeout(180)  # some seconds each, unless the machine is busy
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_document(document: Path, folder: Path) -> None:
    """Its commands run, its programs run, and print what is shown."""
    for block in blocks_to_run(document):
        run(block, folder)


def test_first_command_of_the_readme(folder: Path) -> None:
    """The first block is one line, which after the installation runs the main job on the data that is here."""
    first = read_blocks(README)[0]
    command = first.text.strip().split(" && ")[-1]
    assert INSTALLS in first.text
    assert first.text.count("\n") == 1
    assert command.startswith(".venv/bin/mapreduce run wordcount ")
    done = execute(["sh", "-e"], command.removeprefix(".venv/bin/"), folder)
    assert done.returncode == 0, done.stdout
    assert (folder / "counts" / "_SUCCESS").exists()


def test_second_command_of_the_readme() -> None:
    """It is what the continuous integration runs."""
    second = read_blocks(README)[1]
    ci = (ROOT / ".ci" / "run").read_text()
    _, install, tests = second.text.strip().split(" && ")
    assert second.text.count("\n") == 1
    assert install.split()[-1] in ci
    assert tests.removeprefix(".venv/bin/") in ci.replace('"$venv/bin/python"', "python")


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("a\n...\nd\n", "a\nb\nc\nd\n", True),
        ("a\n...\nd\n", "a\nd\n", True),
        ("a\n...\nd\n", "a\nb\n", False),
        ("in ... ms\n", "in 12 ms\n", True),
        ("a  b\n", "a\tb\n", True),
        ("a\n", "a\nb\n", False),
    ],
)
def test_expected_output(expected: str, printed: str, same: bool) -> None:
    assert is_as_expected(expected, printed) is same
