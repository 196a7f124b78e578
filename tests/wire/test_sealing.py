"""Do records open in their order and in no other, and are any bytes a question or an error?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.wire.data_messages import Answer, Ask, DataError, Question, Tell
from mapreduce.wire.sealing import (
    TAG_BYTES,
    Opener,
    Sealer,
    can_seal,
    decode_offer,
    head_of,
    make_offer,
    ticket_in,
)

pytestmark = pytest.mark.skipif(not can_seal(), reason="the package `cryptography` is not installed")

QUESTION = Question(Ask.READ, 7, "j/a", 5, 10)


def sealed(sealer: Sealer, data: bytes) -> memoryview:
    return sealer.seal(data, memoryview(bytearray(len(data) + TAG_BYTES)))


def test_records_open_in_their_order_and_in_no_other() -> None:
    key = make_offer(1).answers_key

    @given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.data())
    def holds(texts: list[bytes], data: st.DataObject) -> None:
        sealer, opener = Sealer(key), Opener(key)
        records = [bytes(sealed(sealer, text)) for text in texts]
        for at, text in enumerate(texts):
            wrong = data.draw(st.integers(0, len(texts) - 1))
            if wrong != at:  # left out, repeated, exchanged
                with pytest.raises(DataError):
                    opener.open(records[wrong], memoryview(bytearray(len(texts[wrong]))))
            bit = data.draw(st.integers(0, 8 * len(records[at]) - 1))
            changed = bytearray(records[at])
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(DataError):
                opener.open(bytes(changed), memoryview(bytearray(len(text))))
            found = bytearray(len(text))
            opener.open(records[at], memoryview(found))
            assert found == text

    holds()


@given(st.binary(max_size=120))
def test_any_bytes_are_questions_or_an_error(data: bytes) -> None:
    try:
        questions, rest = Opener(bytes(32)).open_questions(data)
    except DataError:
        return
    assert not questions
    assert rest == data


def test_questions_come_out_as_they_went_in_however_they_are_cut() -> None:
    sealer, opener = Sealer(bytes(32)), Opener(bytes(32))
    asked = [Question(Ask.READ, number, f"j/{number}", number, 100) for number in range(5)]
    travelling = b"".join(map(sealer.seal_question, asked))
    found: list[Question] = []
    rest = b""
    for at in range(0, len(travelling), 7):
        questions, rest = opener.open_questions(rest + travelling[at : at + 7])
        found += questions
    assert (found, rest) == (asked, b"")


def test_an_announced_body_is_bounded() -> None:
    sealer, opener = Sealer(bytes(32)), Opener(bytes(32))
    head = sealed(sealer, head_of(Answer(Tell.PIECE, 1), 1 << 30))
    with pytest.raises(DataError, match="at most"):
        opener.open_head(head)


@given(st.binary(max_size=90))
def test_any_bytes_are_an_offer_or_an_error(data: bytes) -> None:
    assert ticket_in(data) is None
    try:
        offer = decode_offer(data)
    except DataError:
        return
    assert offer.encode() == data


def test_an_offer_shows_no_secret() -> None:
    offer = make_offer(7)
    assert decode_offer(offer.encode()) == offer
    assert repr(offer) == "Offer(port=7)"
