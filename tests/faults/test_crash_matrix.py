"""Whatever goes wrong wherever: an answer or one clear error, no hang, nothing left behind.

Here each fault and each stage, several times; `python -m tests.faults --matrix` runs every cell.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import mapreduce as mr
from tests.faults.crash_jobs import ANSWER, FAULTS, FOLD_STAGES, LINES, STAGES, CrashingCount, Trap
from tests.faults.crash_matrix import MEANINGLESS, SPLIT_BYTES, Cell, cells, run_cell, some_cells

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="faults as Linux has them")


def test_every_cell_is_run_or_has_a_reason_not_to() -> None:
    run = {(cell.fault, cell.stage) for cell in cells()}
    assert run | set(MEANINGLESS) == {(fault, stage) for fault in FAULTS for stage in (*STAGES, *FOLD_STAGES)}
    assert not run & set(MEANINGLESS)


def test_the_chosen_cells_have_each_fault_and_each_stage() -> None:
    assert {cell.fault for cell in some_cells()} == set(FAULTS)
    assert {cell.stage for cell in some_cells()} == {*STAGES, *FOLD_STAGES}


@pytest.mark.parametrize("cell", some_cells(), ids=str)
def test_it_ends_as_it_must(cell: Cell, tmp_path: Path) -> None:
    assert run_cell(cell, tmp_path) == ""


def test_undisturbed_the_job_spills(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(LINES) + "\n")
    job = CrashingCount(Trap("raise", "nowhere"))
    result = mr.run(job, mr.read_text(text), split_size=SPLIT_BYTES, reducers=1, workers=2, memory="128MB")
    assert dict(result.records()) == ANSWER
    assert result.outcome is not None
    assert result.outcome.stats.spills > 2
