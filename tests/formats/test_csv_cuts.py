"""Are CSV files cut only where Python's csv module ends a row, whatever stands in them?"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.formats import csv_cuts
from mapreduce.formats.csv_cuts import Dialect, QuoteState, even_aims, plan_record_extents
from mapreduce.formats.csv_schema import parse_rows
from tests.formats.laws import input_file

COMMA = Dialect(",")
anything = st.text(alphabet='ab,"\n\r', max_size=80)


def walk(text: str) -> bool:
    """The csv module's own states, character by character: is the end inside a quoted cell?"""
    state = "start"
    for character in text:
        if state == "quoted":
            state = "quote" if character == '"' else state
        elif character in ",\n\r":
            state = "start"
        elif character == '"' and state in ("start", "quote"):
            state = "quoted"
        else:
            state = "cell"
    return state == "quoted"


@settings(max_examples=300, deadline=None)
@given(text=anything, chunk=st.integers(1, 30), few=st.sampled_from([0, 3, 500]))
def test_the_state_is_that_of_the_csv_module(text: str, chunk: int, few: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_cuts, "FEW_QUOTES", few)  # 0: counted wherever the rule allows
        state = QuoteState(COMMA)
        for start in range(0, len(text), chunk):
            state.feed(text[start : start + chunk].encode())
            assert state.inside == walk(text[: start + chunk])


@settings(max_examples=150, deadline=None)
@given(text=anything, split_bytes=st.integers(1, 40))
def test_rows_of_the_pieces_are_the_rows_of_the_file(
    text: str, split_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "cuts.csv"
    path.write_bytes(text.encode())
    extents = plan_record_extents(input_file(path), even_aims(0, path.stat().st_size, split_bytes), 0, COMMA)
    pieces = [text[extent.start : extent.end] for extent in extents]
    assert "".join(pieces) == text
    assert [row for piece in pieces for row in parse_rows(piece, COMMA)] == parse_rows(text, COMMA)
