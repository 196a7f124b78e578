"""Are products of matrices of long integers those of Python's own arithmetic?"""

from __future__ import annotations

import random
from itertools import product as all_of

import numpy as np
import pytest

from algorithms.sums import products
from algorithms.sums.products import product


@pytest.mark.parametrize("few", [0, 10**9], ids=["slices", "one by one"])
def test_as_integers_multiply(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "FEW", few)
    draw = random.Random(few)
    sizes = [(1, 1, 1), (3, 5, 2), (7, 40, 3), (66, 65, 67)]
    for (p, q, r), left, right in all_of(sizes, (0, 1, 19, 61, 200, 700), (0, 20, 64, 300)):
        A, B = (
            np.array([[draw.randint(-(1 << bits), 1 << bits) for _ in range(n)] for _ in range(m)], object)
            for bits, m, n in ((left, p, q), (right, q, r))
        )
        assert (product(A, B) == A.dot(B)).all()


def test_the_most_that_slices_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """All digits at their ends, and more terms than one sum may have."""
    monkeypatch.setattr(products, "FEW", 0)
    terms = products.LONGEST + 3
    for sign in (1, -1):
        worst = sign * (1 << 19) * sum(1 << (20 * place) for place in range(8))
        A, B = np.full((1, terms), worst, object), np.full((terms, 1), worst, object)
        assert product(A, B).tolist() == [[terms * worst * worst]]
