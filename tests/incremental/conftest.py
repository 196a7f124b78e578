"""Texts to count, and a store of their own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.incremental.desk import FILES, write


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("MAPREDUCE_CACHE", str(folder))
    return folder


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(FILES):
        write(folder / f"{number}.txt", seed=number)
    return folder
