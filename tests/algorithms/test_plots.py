"""Are pictures drawn, of the right points, and the same again?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import mapreduce as mr
from algorithms import plots
from algorithms.elastic_net_cv import LassoCV
from algorithms.linear_regression import LinearRegression
from algorithms.pca import PCA
from algorithms.sample import Drawn, Sample
from tests.conftest import ROOT

DATA = ROOT / "data"
X = np.random.default_rng(3).normal(size=(300, 3))
Y = X @ [1.0, 2.0, 0.0] + np.random.default_rng(4).normal(size=300)
ALL = Drawn(300, np.arange(300), X, Y)


def test_a_sample_is_the_same_however_rows_are_cut() -> None:
    drawn = []
    for order, size in ((slice(None), "64MB"), (slice(None, None, -1), "1KB"), (slice(None), "3KB")):
        rows = mr.from_arrays(X[order], Y[order])
        found = mr.run(Sample(40, seed=5), rows, engine="inline", split_size=size).value
        assert (found.rows, found.X.shape, found.y.shape) == (300, (40, 3), (40,))
        drawn.append(np.column_stack([found.X, found.y]).tobytes())
    assert len(set(drawn)) == 1
    rows_of_all = {row.tobytes() for row in np.column_stack([X, Y])}
    assert all(row.tobytes() in rows_of_all for row in np.column_stack([found.X, found.y]))
    other = mr.run(Sample(40, seed=6), mr.from_arrays(X, Y), engine="inline").value
    assert other.X.tobytes() != found.X.tobytes()


def test_a_sample_is_fair() -> None:
    """Each of 300 rows is drawn about as often: 200 draws of 40 leave a row out of all but one in 10^12 times."""
    times = np.zeros(300)
    place = {row.tobytes(): number for number, row in enumerate(X)}
    for seed in range(200):
        for row in mr.run(Sample(40, seed), mr.from_arrays(X, Y), engine="inline").value.X:
            times[place[row.tobytes()]] += 1
    assert times.sum() == 8000
    # binomial(200, 40 / 300): mean 26.7, standard deviation 4.8
    assert times.min() > 26.7 - 5 * 4.8 and times.max() < 26.7 + 5 * 4.8


def test_residuals_are_those_of_the_rows() -> None:
    model = LinearRegression().fit(X, Y)
    figure = Figure()
    plots.residuals(figure, model, ALL)
    points: Any = figure.axes[0].collections[0].get_offsets()
    assert np.allclose(points[:, 0], model.predict(X)) and np.allclose(points[:, 1], Y - model.predict(X))


def test_a_path_has_a_line_for_each_coefficient() -> None:
    model = LassoCV(n_alphas=20).fit(X, Y)
    figure = Figure()
    plots.penalty_path(figure, model, ALL)
    left, right = figure.axes
    assert np.allclose(left.lines[1].get_ydata(), model.path_coef_[:, 1] * X[:, 1].std())
    assert np.allclose(right.lines[0].get_ydata(), model.cv_mse_)
    assert left.get_xscale() == "log"


def test_components_are_bars_and_points() -> None:
    model = PCA().fit(X)
    figure = Figure()
    plots.components(figure, model, ALL)
    bars: Any = figure.axes[0].patches
    assert [bar.get_height() for bar in bars] == model.explained_variance_ratio_.tolist()
    assert np.allclose(figure.axes[1].collections[0].get_offsets(), model.transform(X)[:, :2])


def test_names_do_not_stand_on_each_other() -> None:
    heights = plots.spread([0.0, 0.1, 0.2, 5.0], gap=1.0)
    assert heights == pytest.approx([-0.9, 0.1, 1.1, 5.0])


@pytest.mark.parametrize(
    "suffix", [".png", *(pytest.param(each, marks=pytest.mark.thorough) for each in (".svg", ".pdf"))]
)
def test_from_the_command_line(suffix: str, tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    pictures = [tmp_path / f"{name}{suffix}" for name in ("first", "again")]
    for picture, size in zip(pictures, ("64MB", "20KB"), strict=True):
        done = run_cli(
            "fit", "ridge", DATA / "houses.csv", "--target", "price", "--split-size", size, "--plot", picture
        )
        assert (done.rc, f"drew {picture}" in done.err) == (0, True), done.err
    first, again = (picture.read_bytes() for picture in pictures)
    assert first == again
    assert first.startswith({".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix])


@pytest.mark.parametrize(
    ("algorithm", "picture", "message"),
    [
        ("kmeans", "a.png", "no picture of kmeans; --plot draws linear_regression"),
        ("pca", "a.gif", "ends in .png, .svg, .pdf"),
        ("pca", "none/a.png", "there is no folder"),
    ],
)
def test_what_is_refused(
    algorithm: str, picture: str, message: str, tmp_path: Path, run_cli: Callable[..., Any]
) -> None:
    done = run_cli("fit", algorithm, DATA / "iris.parquet", "--plot", tmp_path / picture)
    assert (done.rc, message in done.err) == (2, True), done.err
