"""Do the jobs on text agree with GNU tools and scikit-learn?"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

import mapreduce as mr
from algorithms.cooccurrence import CoOccurrence
from algorithms.distinct import Distinct
from algorithms.grep import Grep
from algorithms.inverted_index import InvertedIndex
from algorithms.ngrams import NGrams
from algorithms.sort import SortLines
from algorithms.top_k import TopK
from algorithms.wordcount import WordCount, WordCountColumns
from tests.algorithms.conftest import Shell, parts

TEXTS = ("hamlet.txt", "evangelios.txt")
SPLIT = "50KB"
WORDS = r"""tr -s ' \t\n\r\v\f' '\n' < "$1" | grep . | sort"""


@pytest.mark.parametrize("job", [WordCount(), WordCountColumns()], ids=["rows", "columns"])
@pytest.mark.parametrize("name", TEXTS)
def test_word_count_is_that_of_uniq(job: mr.Job, name: str, engine: mr.Engine, datadir: Path, shell: Shell) -> None:
    lines = shell(WORDS + " | uniq -c", datadir / name)
    expected = [(word, count) for (word,), count in counted(lines).items()]
    result = engine.run(job, mr.read_text(datadir / name), sort=True, split_size=SPLIT, reducers=2)
    assert list(result.records()) == expected


def test_word_count_of_white_space_that_is_not_ascii(engine: mr.Engine, tmp_path: Path) -> None:
    text = "a\u00a0b\u2003c\u3000 d\x1ce\x85f\nüb\tüb\r\n"
    (tmp_path / "text.txt").write_bytes(text.encode())
    for job in (WordCount(), WordCountColumns()):
        assert dict(engine.run(job, mr.read_text(tmp_path / "text.txt")).records()) == Counter(text.split())


@pytest.mark.parametrize("job", [WordCount(), WordCountColumns()], ids=["rows", "columns"])
def test_word_count_names_the_byte_that_is_not_text(job: mr.Job, engine: mr.Engine, tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"one two\nthr\xe9\n")
    with pytest.raises(mr.InputError, match=r"latin\.txt.* byte 11"):
        engine.run(job, mr.read_text(tmp_path / "latin.txt"))
    decoded = mr.read_text(tmp_path / "latin.txt", encoding="latin-1")
    assert dict(engine.run(job, decoded).records()) == {"one": 1, "two": 1, "thré": 1}


@pytest.mark.parametrize(
    ("job", "options"),
    [
        (Grep("king"), ""),
        (Grep("KING", ignore_case=True), "-i"),
        (Grep("[aeiou]{2}", invert=True), "-v"),
        (Grep("\\.$"), ""),
    ],
    ids=lambda value: "" if isinstance(value, str) else None,
)
def test_grep_is_grep(job: Grep, options: str, engine: mr.Engine, datadir: Path, shell: Shell, tmp_path: Path) -> None:
    expected = shell(f"""grep -E {options} '{job.expression.pattern}' "$1" """, datadir / "hamlet.txt")
    result = engine.run(job, mr.read_text(datadir / "hamlet.txt"), output=tmp_path / "out", split_size=SPLIT)
    assert parts(tmp_path / "out") == expected.replace(b"\r", b"")
    assert result.counters["lines matched"] == expected.count(b"\n")


def test_the_manifest_names_the_settings_of_grep(datadir: Path, tmp_path: Path) -> None:
    mr.run(
        Grep("ghost", ignore_case=True), mr.read_text(datadir / "hamlet.txt"), output=tmp_path / "out", engine="inline"
    )
    settings = json.loads((tmp_path / "out" / "_manifest.json").read_text())["job"]["settings"]
    assert settings.items() >= {"pattern": "'ghost'", "ignore_case": "True", "invert": "False"}.items()


def test_lines_come_out_as_they_are(engine: mr.Engine, tmp_path: Path, shell: Shell) -> None:
    path = tmp_path / "odd.txt"
    path.write_bytes(b'tab\there\nback\\slash\n\n"quoted", too\n  blanks  \n\xc3\xa9t\xc3\xa9\ntab\there\nno end')
    for number, (job, command) in enumerate([(SortLines(), "sort"), (Distinct(), "sort -u"), (Grep(""), "grep ''")]):
        engine.run(job, mr.read_text(path), output=tmp_path / str(number), split_size=7)
        assert parts(tmp_path / str(number)) == shell(f'{command} "$1"', path)


@pytest.mark.parametrize("name", [*TEXTS, "flights.csv"])
def test_sort_is_sort(name: str, engine: mr.Engine, datadir: Path, shell: Shell, tmp_path: Path) -> None:
    lines = mr.read_text(datadir / name)
    engine.run(SortLines(), lines, output=tmp_path / "out", split_size=SPLIT, reducers=3)
    assert parts(tmp_path / "out") == shell("""tr -d '\\r' < "$1" | sort""", datadir / name)


@pytest.mark.parametrize("name", TEXTS)
def test_distinct_is_sort_u(name: str, engine: mr.Engine, datadir: Path, shell: Shell, tmp_path: Path) -> None:
    lines = mr.read_text(datadir / name)
    engine.run(Distinct(), lines, output=tmp_path / "out", split_size=SPLIT, reducers=3, sort=True)
    assert parts(tmp_path / "out") == shell("""tr -d '\\r' < "$1" | sort -u""", datadir / name)


def test_inverted_index_is_that_of_grep(engine: mr.Engine, datadir: Path, shell: Shell) -> None:
    paths = [str(datadir / name) for name in ("hamlet.txt", "paradise_lost.txt", "norris.csv")]
    index = dict(engine.run(InvertedIndex(), mr.read_whole(paths), reducers=2).records())
    for word in ("the", "ghost", "338", "serpent", "nothing"):
        found = shell(f'grep -liw {word} "$@" || true', *map(Path, paths))
        assert index.get(word, []) == sorted(found.decode().split())
    words = shell("""cat "$@" | tr 'A-Z' 'a-z' | grep -oE '[a-z0-9_]+' | sort -u""", *map(Path, paths))
    assert sorted(word for word in index if word.isascii()) == sorted(
        word for word in words.decode().split() if word in index
    )
    assert len(set(words.decode().split()) - set(index)) < 10  # words that hold a letter beyond ASCII


def counted(lines: bytes) -> dict[tuple[str, ...], int]:
    """What `uniq -c` wrote of lines of words with tabs between them."""
    pairs = (line.strip().split(" ", 1) for line in lines.decode().splitlines())
    return {tuple(words.split("\t")): int(count) for count, words in pairs}


def test_ngrams_are_those_of_awk(engine: mr.Engine, datadir: Path, shell: Shell) -> None:
    program = r"""{ for (i = 1; i + 2 <= NF; i++) print tolower($i "\t" $(i + 1) "\t" $(i + 2)) }"""
    lines = shell(f"""tr -d '\\r' < "$1" | awk '{program}' | sort | uniq -c""", datadir / "hamlet.txt")
    result = engine.run(NGrams(3), mr.read_text(datadir / "hamlet.txt"), split_size=SPLIT)
    assert {tuple(key.split(" ")): count for key, count in result.records()} == counted(lines)


def test_neighbours_are_those_of_awk(engine: mr.Engine, datadir: Path, shell: Shell) -> None:
    program = r"""{ for (i = 1; i <= NF; i++) for (j = i + 1; j <= i + 2 && j <= NF; j++) {
        a = tolower($i); b = tolower($j); print (a "" <= b "") ? a "\t" b : b "\t" a } }"""
    lines = shell(f"""tr -d '\\r' < "$1" | awk '{program}' | sort | uniq -c""", datadir / "hamlet.txt")
    result = engine.run(CoOccurrence(2), mr.read_text(datadir / "hamlet.txt"), split_size=SPLIT)
    assert dict(result.records()) == counted(lines)


def test_top_words_are_those_of_sort(engine: mr.Engine, datadir: Path, shell: Shell) -> None:
    ranked = shell(WORDS + " | uniq -c | sort -k1,1nr -k2,2 | head -300", datadir / "hamlet.txt")
    expected = [(word, count) for (word,), count in counted(ranked).items()]
    result = engine.run(TopK(300), mr.read_text(datadir / "hamlet.txt"), split_size=SPLIT)
    assert list(result.records()) == expected


def test_no_input_is_no_output(engine: mr.Engine, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    jobs: list[mr.Job | mr.Chain] = [
        WordCount(),
        WordCountColumns(),
        Grep("x"),
        Distinct(),
        SortLines(),
        NGrams(),
        CoOccurrence(),
        TopK(),
    ]
    for job in jobs:
        assert list(engine.run(job, mr.read_text(tmp_path / "empty.txt")).records()) == []


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Grep("("), "no regular expression"),
        (lambda: NGrams(0), "n is 0"),
        (lambda: CoOccurrence(0), "window is 0"),
        (lambda: TopK(0).jobs(), "must be at least 1"),
    ],
)
def test_settings_that_make_no_sense(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(mr.UsageError, match=said):
        make()
