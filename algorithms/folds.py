"""To which fold does a row belong? A hash of its numbers and a seed says so, whichever file, block or worker holds it.

    residue   of each number, modulo the prime 2^31 - 1:  (sum slice_t 2^(20 t)) / (2^a 5^b)
    fold      mix(seed, residue of x_1, ..., of x_d, of y) modulo the number of folds

A residue belongs to the number, not to how it is written: 0.5, 0.50 and 5e-1 have one, and so have slices of other
scales. So equal rows are in one fold, which also keeps copies of a row from testing a model that has seen it. The folds
of n rows are as large as n / k throws each make them, not exactly equal.

    state     the exact Gram of each fold;   training sums = total - fold,   test error = v'T_fold v,  v = (-theta, 1)

Source: G. Steele, D. Lea and C. Flood, Fast Splittable Pseudorandom Number Generators, 2014, for the mixing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import mapreduce as mr
from algorithms.linear_model import with_powers
from algorithms.rows import no_rows
from algorithms.sums import ClassSums, ExactGram

PRIME = (1 << 31) - 1
SLICE = 1 << 20
GOLDEN = 0x9E3779B97F4A7C15
WORD = (1 << 64) - 1

Residues = np.ndarray[Any, np.dtype[np.int64]]
Words = np.ndarray[Any, np.dtype[np.uint64]]


def folds_of(Z: mr.Slices, folds: int, seed: int) -> Residues:
    """The fold of each row, from 0."""
    hashed = np.full(len(Z), _mixed_one(seed & WORD), np.uint64)
    for column in range(Z.columns):
        hashed = _mixed(hashed + np.uint64(GOLDEN) + _residues(Z, column).astype(np.uint64))
    return np.asarray(hashed % np.uint64(folds), np.int64)


def _residues(Z: mr.Slices, column: int) -> Residues:
    """Of each number of a column."""
    total = np.zeros(len(Z), np.int64)
    for piece in Z.piece(column).T[::-1]:  # the highest first: at most 2^31 * 2^20 + 2^19
        total = (total * SLICE + piece.astype(np.int64)) % PRIME
    scale = pow(2, Z.twos[column], PRIME) * pow(5, Z.fives[column], PRIME)
    return np.asarray(total * pow(scale, -1, PRIME) % PRIME)


def _mixed(words: Words) -> Words:
    """SplitMix64's last steps: each bit that goes in changes half of those that come out."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _mixed_one(word: int) -> int:
    return int(_mixed(np.array([word], np.uint64))[0])


class FoldSums(mr.Fold):
    """The exact Gram of each fold."""

    def __init__(self, folds: int, seed: int = 0, degree: int = 1) -> None:
        self.folds = folds
        self.seed = seed
        self.degree = degree

    def map(self, block: Any) -> ClassSums:
        Z, weights = block.exact(), block.exact_weights()
        chosen = folds_of(Z, self.folds, self.seed)
        Z = with_powers(Z, self.degree)
        states = {}
        for fold in np.unique(chosen).tolist():
            rows = np.flatnonzero(chosen == fold)
            states[fold] = ExactGram.of(Z.select(rows), None if weights is None else weights.select(rows))
        return ClassSums(states)

    def reduce(self, a: ClassSums, b: ClassSums) -> ClassSums:
        return a + b

    def zero(self) -> ClassSums:
        raise no_rows()
