"""Where does large data come from? From a seed: the same call writes the same bytes (with one version of numpy).

Everything is made in chunks with numpy and pyarrow, some 100 MB/s, in memory that does not grow with size.

    python -m data.generate text 200MB words.txt --seed 7
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

CHUNK = 1 << 18  # words or rows made at a time
RECORD_BYTES = 100
DECIMALS = 6
TARGET_NOISE = 0.1
SYLLABLES = (
    "a al an ap ar as at ba be bi bo bu ca ce co cu da de di do du e ed el en er es fa fe fi fo ga ge go gra ha he "
    "hi ho i il im in is it ja ju ka ke ki la le li lo lu ma me mi mo mu na ne ni no o of on or pa pe po pre pro "
    "qua ra re ri ro sa se shi si so sta ste stri su ta te th ti tion to tra tu u un ur va ve vi vo wa we wi wo y "
    "za"
).split()


@contextmanager
def _writing(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        yield file
    partial.replace(path)


def _chunks(total: int) -> Iterator[slice]:
    return (slice(start, min(start + CHUNK, total)) for start in range(0, total, CHUNK))


def vocabulary(words: int, seed: int) -> list[str]:
    """So many distinct words of one to five syllables; the frequent ones, which come first, are the short ones."""
    rng = np.random.default_rng(seed)
    found: dict[str, None] = {}
    while len(found) < words:
        syllables = 1 + min(4, len(found) // 64 if len(found) < 128 else 1 + len(str(len(found))) // 2)
        picks = rng.integers(0, len(SYLLABLES), (max(64, words // 8), syllables))
        found.update(dict.fromkeys("".join(SYLLABLES[pick] for pick in row) for row in picks.tolist()))
    return list(found)[:words]


def write_text(path: Path, size: int, seed: int = 1, words: int = 200_000) -> None:
    """Lines of 4 to 16 words, drawn by Zipf's law from an English-like vocabulary, until `size` bytes are reached."""
    import pyarrow as pa

    rng = np.random.default_rng(seed)
    spaced = pa.array([word + " " for word in vocabulary(words, seed)])
    law = np.cumsum(1.0 / (np.arange(words) + 2.7) ** 1.05)  # Zipf and Mandelbrot
    written = 0
    with _writing(path) as file:
        while written < size:
            picks = np.searchsorted(law, rng.random(CHUNK) * law[-1])
            drawn = spaced.take(pa.array(np.minimum(picks, words - 1)))
            ends = np.frombuffer(drawn.buffers()[1], np.int32)[1 : CHUNK + 1]
            data = np.frombuffer(drawn.buffers()[2], np.uint8)[: ends[-1]].copy()
            written += file.write(_broken_into_lines(data, ends.astype(np.int64), rng)[: size - written])


def _broken_into_lines(data: Bytes, ends: Ints, rng: np.random.Generator) -> memoryview:
    """The words with every 4th to 16th space turned into the end of a line; the last byte ends a line too."""
    breaks = np.cumsum(rng.integers(4, 17, len(ends) // 4))
    breaks = breaks[breaks < len(ends) - 1]
    data[ends[breaks] - 1] = ord("\n")
    data[-1] = ord("\n")
    return data.data


def write_wide_text(path: Path, size: int, seed: int = 1, distinct: int = 10_000_000) -> None:
    """Text of equally likely eight-letter words, `distinct` of them: what a word count cannot hold in memory."""
    rng = np.random.default_rng(seed)
    letters, width, modulus = 26, 8, 26**8
    written = 0
    with _writing(path) as file:
        while written < size:
            codes = (
                rng.integers(0, distinct, CHUNK) * 99_999_999_977 % modulus
            )  # a prime: different words stay different
            rows = np.full((CHUNK, width + 1), ord(" "), np.uint8)
            for place in range(width):
                codes, rest = np.divmod(codes, letters)
                rows[:, place] = ord("a") + rest
            ends = np.arange(1, CHUNK + 1) * (width + 1)
            written += file.write(_broken_into_lines(rows.reshape(-1), ends, rng)[: size - written])


def write_numeric_csv(path: Path, rows: int, columns: int = 20, seed: int = 1) -> None:
    """Columns x0, x1, ... and target y = X beta + 3 + noise, all as '%.6f'; columns differ in mean and scale."""
    rng = np.random.default_rng(seed)
    means, scales, beta = rng.normal(0, 2, columns), rng.uniform(0.5, 3, columns), rng.normal(0, 1, columns)
    with _writing(path) as file:
        file.write((",".join([f"x{column}" for column in range(columns)] + ["y"]) + "\n").encode())
        for part in _chunks(rows):
            X = np.round(rng.normal(means, scales, (part.stop - part.start, columns)), DECIMALS)
            y = np.sum(X * beta, axis=1) + 3.0 + rng.normal(0, TARGET_NOISE, len(X))  # not BLAS: its bits vary
            file.write(csv_bytes([np.rint(np.column_stack([X, y]) * 10**DECIMALS).astype(np.int64)], [DECIMALS]))


def write_keyed_csv(path: Path, rows: int, keys: int = 1_000_000, seed: int = 1) -> None:
    """Columns key, one of `keys` integers, equally likely, and value, gamma distributed, as '%.6f'."""
    rng = np.random.default_rng(seed)
    with _writing(path) as file:
        file.write(b"key,value\n")
        for part in _chunks(rows):
            n = part.stop - part.start
            key = rng.integers(0, keys, (n, 1))
            value = np.rint(rng.gamma(2.0, 50.0, (n, 1)) * 10**DECIMALS).astype(np.int64)
            file.write(csv_bytes([key, value], [0, DECIMALS]))


def csv_bytes(groups: list[Ints], decimals: list[int]) -> bytes:
    """CSV lines of scaled integers: each group, an (n, c) array, is written with so many decimals, as '%.df' would."""
    fields = [_digits(group, places) for group, places in zip(groups, decimals, strict=True)]
    rows = np.concatenate([field.reshape(len(field), -1) for field in fields], axis=1)
    rows[:, -1] = ord("\n")
    return bytes(rows[rows != 0].data)


def _digits(scaled: Ints, decimals: int) -> Bytes:
    """Each number as a row of characters ended by a comma, padded with zero bytes; shape (n, c, width)."""
    size = np.abs(scaled)
    whole = max(1, len(str(size.max(initial=0))) - decimals)
    point = 1 if decimals else 0
    width = 1 + whole + point + decimals + 1
    text = np.zeros((*scaled.shape, width), np.uint8)
    text[..., 0] = np.where(scaled < 0, ord("-"), 0)
    text[..., -1] = ord(",")
    if point:
        text[..., 1 + whole] = ord(".")
    rest = size
    for place in range(decimals + whole):
        column = width - 2 - place - (point if place >= decimals else 0)
        shown = rest > 0 if place > decimals else np.True_  # no leading zeros
        rest, digit = np.divmod(rest, 10)
        text[..., column] = np.where(shown, ord("0") + digit, 0)
    return text


def write_records(path: Path, rows: int, seed: int = 1) -> None:
    """Records of 100 bytes as the sort benchmark has them: random printable key of 10, row number, filler, newline."""
    rng = np.random.default_rng(seed)
    with _writing(path) as file:
        for part in _chunks(rows):
            n = part.stop - part.start
            text = np.full((n, RECORD_BYTES), ord(" "), np.uint8)
            text[:, :10] = rng.integers(ord("!"), ord("~") + 1, (n, 10), dtype=np.uint8)
            number = np.arange(part.start, part.stop)
            for place in range(43, 11, -1):
                number, digit = np.divmod(number, 10)
                text[:, place] = ord("0") + digit
            text[:, 46:99] = ord("A") + rng.integers(0, 26, (n, 1), dtype=np.uint8)
            text[:, 99] = ord("\n")
            file.write(text.reshape(-1).data)


def write_points(path: Path, rows: int, columns: int = 20, centers: int = 20, seed: int = 1) -> None:
    """A Parquet file of float64 columns x0, x1, ...: points around so many centres, four standard deviations apart."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    means = rng.normal(0, 4, (centers, columns))
    schema = pa.schema([(f"x{column}", pa.float64()) for column in range(columns)])
    with _writing(path) as file, pq.ParquetWriter(file, schema, use_dictionary=False) as writer:
        for part in _chunks(rows):
            X = means[rng.integers(0, centers, part.stop - part.start)]
            X = X + rng.normal(0, 1, X.shape)
            writer.write_table(pa.table(list(X.T.copy()), schema=schema), row_group_size=CHUNK // 4)


_BYTES_A_ROW = {"numeric": 201, "keyed": 17, "records": RECORD_BYTES, "points": 162}
_OF_SIZE: dict[str, Callable[..., None]] = {"text": write_text, "wide": write_wide_text}
_OF_ROWS: dict[str, Callable[..., None]] = {
    "numeric": write_numeric_csv,
    "keyed": write_keyed_csv,
    "records": write_records,
    "points": write_points,
}
KINDS = (*_OF_SIZE, *_OF_ROWS)


def generate(kind: str, size: int, path: Path, seed: int = 1, **options: Any) -> None:
    """Write a file of the kind, of about `size` bytes."""
    if kind in _OF_SIZE:
        _OF_SIZE[kind](path, size, seed=seed, **options)
    else:
        _OF_ROWS[kind](path, max(1, size // _BYTES_A_ROW[kind]), seed=seed, **options)


def main() -> None:
    from mapreduce.settings import parse_size

    parser = argparse.ArgumentParser(description="Write large data from a seed.")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("size", help="bytes, such as 200MB")
    parser.add_argument("path", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    generate(arguments.kind, parse_size(arguments.size), arguments.path, arguments.seed)
    print(f"{arguments.path}: {os.path.getsize(arguments.path):,} bytes")


if __name__ == "__main__":
    main()
