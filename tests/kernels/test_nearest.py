"""Do both paths assign the same rows to the same centres, with the same bits in sums and cost?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.kernels import assign_nearest
from mapreduce.kernels.load import kernels_of

relaxed = settings(deadline=None, max_examples=80)  # a process's first call loads object code
if kernels_of("nearest", compile=True) is None:
    pytest.skip("no compiled kernels here", allow_module_level=True)


@relaxed
@given(st.integers(0, 99), st.integers(0, 60), st.integers(1, 9), st.integers(1, 20), st.booleans())
def test_both_paths_agree(seed: int, n: int, d: int, k: int, coarse: bool) -> None:
    rng = np.random.default_rng(seed)
    X, centers = rng.normal(size=(n, d)), rng.normal(size=(k, d))
    if coarse:  # many ties
        X, centers = X.round(), centers.round()
    labels, plain_labels = np.empty(n, np.int32), np.empty(n, np.int32)
    found = assign_nearest(X, centers, labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAPREDUCE_KERNELS", "off")
        plain = assign_nearest(X, centers, plain_labels)
    assert labels.tolist() == plain_labels.tolist()
    assert found.sums.tobytes() == plain.sums.tobytes()
    assert found.counts.tolist() == plain.counts.tolist()
    assert found.cost == plain.cost


def test_against_the_definition() -> None:
    rng = np.random.default_rng(4)
    X = rng.normal(size=(5000, 7))
    labels = np.empty(5000, np.int32)
    found = assign_nearest(X, X[:11], labels)
    distances = ((X[:, None] - X[:11]) ** 2).sum(axis=2)
    assert (labels == distances.argmin(axis=1)).all()
    assert np.allclose(found.cost, distances.min(axis=1).sum())
    assert np.allclose(found.sums, [X[labels == c].sum(axis=0) for c in range(11)])
    assert found.counts.tolist() == np.bincount(labels).tolist()


def test_rows_that_are_not_finite() -> None:
    X = np.array([[np.nan, 1.0], [np.inf, 1.0], [5.0, 5.0]])
    for path in ("on", "off"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MAPREDUCE_KERNELS", path)
            found = assign_nearest(X, np.array([[0.0, 0.0], [5.0, 5.0]]))
        assert found.counts.tolist() == [2, 1]
        assert found.cost == np.inf


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="columns must agree"):
        assign_nearest(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="give int32"):
        assign_nearest(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros(3, np.int32))
