"""Is every point of a libsvm file read once, and does the quick parser agree with the plain one?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.errors import InputError, UsageError
from mapreduce.formats.libsvm import Libsvm
from mapreduce.formats.libsvm_parse import LabeledPoint, Points, greatest_index, parse_point, parse_points, point_text
from tests.formats.laws import check_empty, check_format, input_file, read_form

BOM = b"\xef\xbb\xbf"


def test_points(tmp_path: Path) -> None:
    content = BOM + b"+1 1:0.5 3:2 # c 9:7\r\n\n  \n# 10:3\n-1 \n0.5\tqid:7 2:1e+3 \t12:-4"
    expected = [
        LabeledPoint(1.0, (1, 3), (0.5, 2.0)),
        LabeledPoint(-1.0, (), ()),
        LabeledPoint(0.5, (2, 12), (1000.0, -4.0), qid=7),
    ]
    check_format(Libsvm(), content, tmp_path / "a.svm", expected=expected, numeric=True, target=True)
    assert expected[0].features == {1: 0.5, 3: 2.0}
    X = read_form(Libsvm(), content, tmp_path / "a.svm", "X")
    assert X.shape == (3, 12)
    assert X[0, 0] == 0.5
    assert X[2, 11] == -4
    assert read_form(Libsvm(), content, tmp_path / "a.svm", "qids") == [None, None, 7]


def test_zero_based(tmp_path: Path) -> None:
    content = b"1 qid:3 0:1\n2 qid:4 0:1 2:3\n"
    check_format(Libsvm(zero_based=True), content, tmp_path / "a.svm", numeric=True, target=True)
    assert read_form(Libsvm(zero_based=True), content, tmp_path / "a.svm", "X").toarray().tolist() == [
        [1, 0, 0],
        [1, 0, 3],
    ]


number = st.one_of(st.integers(-9, 9).map(str), st.floats().map(repr), st.sampled_from(["+1", "1e3", ".5", "-0", "2."]))
pairs = st.dictionaries(st.integers(1, 40), number, max_size=5).map(lambda found: sorted(found.items()))
blank = st.sampled_from([" ", "  ", "\t", " \t "])


@st.composite
def svm_lines(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(["", "  ", "# 99:9", "\t# c"]))
    words = [draw(number)]
    if draw(st.integers(0, 3)) == 0:
        words.append(f"qid:{draw(st.integers(0, 99))}")
    words += [f"{index}:{value}" for index, value in draw(pairs)]
    comment = draw(st.sampled_from(["", "", " # 77:7", "#c", " "]))
    return draw(st.sampled_from(["", "", " "])) + draw(blank).join(words) + comment


@settings(max_examples=100, deadline=None)
@given(
    lines=st.lists(svm_lines(), max_size=6),
    end=st.sampled_from(["\n", "\r\n"]),
    has_last_newline=st.booleans(),
    split_bytes=st.integers(1, 60),
    block_bytes=st.integers(1, 60),
)
def test_every_point_once_and_both_parsers_agree(
    lines: list[str],
    end: str,
    has_last_newline: bool,
    split_bytes: int,
    block_bytes: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    content = (end.join(lines) + (end if has_last_newline else "")).encode()
    points = [parse_point(text, 1) for line in content.split(b"\n") if (text := point_text(line))]
    path = tmp_path_factory.getbasetemp() / "points.svm"
    check_format(
        Libsvm(), content, path, expected=points, split_sizes=[split_bytes], block_sizes=[block_bytes],
        numeric=True, target=True,
    )  # fmt: skip
    assert greatest_index(content) == max((index for point in points for index in point.indices), default=-1)
    if points:
        quick, plain = parse_points(content, 1), Points.of(points)
        if quick is not None:
            np.testing.assert_array_equal(quick.labels, plain.labels)
            np.testing.assert_array_equal(quick.starts, plain.starts)
            np.testing.assert_array_equal(quick.indices, plain.indices)
            np.testing.assert_array_equal(quick.values, plain.values)
            assert quick.qids == plain.qids


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet="12: \n#.x-+q", max_size=25))
def test_the_quick_parser_takes_nothing_that_the_plain_one_refuses(text: str) -> None:
    content = text.encode()
    quick = parse_points(content, 1)
    texts = [each for line in content.split(b"\n") if (each := point_text(line))]
    if quick is not None:
        assert quick.labels.tolist() == [parse_point(each, 1).label for each in texts]


def test_tidy_lines_take_the_quick_way() -> None:
    for content in (b"1 1:2 3:4\n-1 2:0.5\n", b"+1 1:+2 # c\n\n0 qid:1 \n", b"1 qid:1 1:2\n2 qid:2 1:3\n"):
        quick = parse_points(content, 1)
        assert (quick is None) == (b"# c" in content and b"qid" in content)  # a qid in some lines only


def test_an_empty_file_and_one_of_comments(tmp_path: Path) -> None:
    check_empty(Libsvm(), tmp_path / "a.svm")
    check_format(Libsvm(), b"# nothing\n\n#", tmp_path / "b.svm", expected=[], numeric=True)


def test_features_are_those_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.svm").write_bytes(b"1 1:1\n")
    (tmp_path / "b.svm").write_bytes(b"1 5:1\n")
    (tmp_path / "c.svm").write_bytes(b"")
    files = [input_file(tmp_path / name) for name in ("a.svm", "b.svm", "c.svm")]
    assert Libsvm().resolve(files).features == 5
    assert Libsvm(zero_based=True).resolve(files).features == 6
    assert Libsvm(features=9).resolve(files).features == 9


@pytest.mark.parametrize("form", ["records", "X"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1 0:3\n", r"a.svm, line 1: index 0, .*count from 1.*zero_based=True"),
        (b"1 2:3 2:4\n", "index 2 follows 2; indices must ascend"),
        (b"\n# c\n1 3:3 2:4\n", "line 3: index 2 follows 3"),
        (b"1 2:3 4\n", "'4' is not index:value"),
        (b"1 2:3 4:x\n", "the value of index 4 is 'x'"),
        (b"a 2:3\n", "the label is 'a'"),
        (b"1 1.0:3\n", "the index is '1.0'"),
        (b"1 -1:3\n", "index -1 is below 1"),
        (b"1 1 : 2\n", "'1' is not index:value"),
        (b"1 1:2:3 4\n", "the value of index 1 is '2:3'"),
        (b"1 qid:x 1:2\n", "the query id is 'x'"),
        (b"1 0x10:2\n", "the index is '0x10'"),
        (b"1 1:1_0\n", "the value of index 1 is '1_0'"),
        (b"1 99999999999999999999:1\n", "integer of 64 bits"),
        (b"\xff 1:2\n", "the label is"),
    ],
)
def test_malformed_lines(content: bytes, message: str, form: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_form(Libsvm(features=100), content, tmp_path / "a.svm", form)


def test_an_index_beyond_the_features(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a.svm, line 3: index 4 is beyond the 3 features"):
        read_form(Libsvm(features=3), b"1 2:3\n1 1:1\n1 3:1 4:5\n", tmp_path / "a.svm", "X")


def test_features_must_be_a_number() -> None:
    with pytest.raises(UsageError, match="features"):
        Libsvm(features=["a"])  # type: ignore[arg-type]
