"""What does a fitted model look like? Residuals, the path of a penalty with its cross-validation, principal components.

`draw(model, dataset, engine, path)` writes a PNG, SVG or PDF, and needs matplotlib (the extra `plot`). Points are rows
that a sample stands for (sample.py), so a picture of a large file takes one more pass, and is the same for any cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import mapreduce as mr
from algorithms.sample import Drawn, Sample

POINTS = 4000
FORMATS = (".png", ".svg", ".pdf")
BLUE, RED, GREY = "#2b6cb0", "#c53030", "#718096"
NAMED = 8
"""Coefficients whose names stand beside their paths: the largest."""
BARS = 30


def check_plot(model: Any, path: str | Path) -> None:
    """Before any work. Raises UsageError for what can't be drawn, or where matplotlib is missing."""
    if _picture_of(model) is None:
        raise mr.UsageError(f"there is no picture of {model.name}; --plot draws {', '.join(PICTURES)}")
    if Path(path).suffix.lower() not in FORMATS:
        raise mr.UsageError(f"--plot {path}: a picture's name ends in {', '.join(FORMATS)}")
    if not Path(path).parent.is_dir():
        raise mr.UsageError(f"--plot {path}: there is no folder {Path(path).parent}")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise mr.UsageError("--plot needs matplotlib: pip install 'mapreduce-engine[plot]'") from None


def draw(model: Any, dataset: mr.Dataset, engine: mr.Engine, path: str | Path) -> None:
    """Draw a fitted model and rows of the dataset. Raises ResourceError where the file can't be written."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    picture = _picture_of(model)
    assert picture is not None
    sample = engine.run(Sample(POINTS, target=model.needs_target), dataset).value
    style: Any = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "mapreduce"}
    with rc_context(style):
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        picture(figure, model, sample)
        try:
            plain = {"Date": None} if Path(path).suffix.lower() == ".svg" else {}
            plain = {"CreationDate": None} if Path(path).suffix.lower() == ".pdf" else plain
            figure.savefig(path, dpi=150, metadata=plain)
        except OSError as error:
            raise mr.ResourceError(f"the picture can't be written to {path}: {error.strerror}") from error


def residuals(figure: Any, model: Any, sample: Drawn) -> None:
    """Residuals by prediction, and their quantiles by those of the normal distribution."""
    from scipy.stats import norm

    left, right = figure.subplots(1, 2)
    fitted = np.asarray(model.predict(sample.X), np.float64)
    error = sample.y - fitted
    left.axhline(0, color=GREY, linewidth=1)
    _points(left, fitted, error)
    left.set(xlabel=f"predicted {model.target_name_ or 'target'}", ylabel="residual", title=f"Residuals{_of(sample)}")
    left.locator_params(axis="x", nbins=6)
    ordered = np.sort(error) / (error.std() or 1.0)
    normal = norm.ppf((np.arange(len(ordered)) + 0.5) / len(ordered))
    right.axline((0, 0), slope=1, color=GREY, linewidth=1)
    _points(right, normal, ordered)
    right.set(xlabel="quantile of the normal distribution", ylabel="residual / standard deviation", title="Normal Q-Q")


def penalty_path(figure: Any, model: Any, sample: Drawn) -> None:
    """Each coefficient by the weight of the penalty, and the error that cross-validation found for it."""
    left, right = figure.subplots(1, 2)
    alphas, paths = model.alphas_, model.path_coef_.T * sample.X.std(axis=0)[: model.path_coef_.shape[1], None]
    names = model.term_names_
    largest = set(np.argsort(-np.abs(paths).max(axis=1), kind="stable")[:NAMED].tolist())
    last = int(np.argmin(alphas))
    lines = [
        left.plot(alphas, path, linewidth=1.2, alpha=1.0 if j in largest else 0.35)[0] for j, path in enumerate(paths)
    ]
    shown = sorted((j for j in largest if paths[j].any()), key=lambda j: float(paths[j, last]))
    heights = spread([float(paths[j, last]) for j in shown], gap=0.035 * float(np.ptp(paths)))
    for j, height in zip(shown, heights, strict=True):
        left.annotate(
            names[j],
            (alphas[last], height),
            xytext=(3, 0),
            textcoords="offset points",
            color=lines[j].get_color(),
            fontsize=7,
            va="center",
        )
    left.axhline(0, color=GREY, linewidth=0.8)
    left.set(
        xlabel="weight of the penalty, alpha",
        ylabel="coefficient x standard deviation of its column",
        title="Path of the coefficients",
    )
    right.errorbar(
        alphas, model.cv_mse_, model.cv_error_, color=BLUE, ecolor="#bee3f8", marker=".", markersize=4, linewidth=0.8
    )
    right.set(
        xlabel="weight of the penalty, alpha",
        ylabel="mean squared error on the rows left out",
        title=f"Cross-validation, {len(model.fold_rows_)} folds",
    )
    for axes in (left, right):
        axes.set_xscale("log")
        axes.invert_xaxis()  # as the path is walked: from none to all coefficients
        axes.axvline(model.alpha_min_, color=RED, linewidth=1, linestyle="--", label=f"least: {model.alpha_min_:.4g}")
        axes.axvline(
            model.alpha_1se_, color=GREY, linewidth=1, linestyle=":", label=f"within 1 s.e.: {model.alpha_1se_:.4g}"
        )
    right.legend(frameon=False)


def components(figure: Any, model: Any, sample: Drawn) -> None:
    """The share of variance that each component explains, and rows in the plane of the first two."""
    left, right = figure.subplots(1, 2)
    shares = np.asarray(model.explained_variance_ratio_)[:BARS]
    numbers = np.arange(1, len(shares) + 1)
    left.bar(numbers, shares, color=BLUE, width=0.7, label="each")
    left.plot(numbers, shares.cumsum(), color=RED, marker=".", linewidth=1, label="together")
    left.set(xlabel="component", ylabel="share of the variance", title="Scree", ylim=(0, 1.05))
    left.set_xticks(numbers if len(numbers) <= 12 else numbers[:: max(1, len(numbers) // 10)])
    left.legend(frameon=False, loc="center right")
    Z = np.asarray(model.transform(sample.X))
    second = Z[:, 1] if Z.shape[1] > 1 else np.zeros(len(Z))
    _points(right, Z[:, 0], second)
    right.set(
        xlabel=f"component 1 ({shares[0]:.1%})",
        ylabel=f"component 2 ({shares[1]:.1%})" if len(shares) > 1 else "",
        title=f"Rows{_of(sample)}",
    )


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights, moved as little as it takes for each to stand a gap above the one before."""
    groups: list[list[float]] = []  # [sum of (height - gap * place in the group), members]: each about its mean
    for height in heights:
        groups.append([height, 1.0])
        while len(groups) > 1 and groups[-2][0] / groups[-2][1] + gap * groups[-2][1] > groups[-1][0] / groups[-1][1]:
            total, count = groups.pop()
            groups[-1] = [groups[-1][0] + total - gap * groups[-1][1] * count, groups[-1][1] + count]
    return [total / count + gap * place for total, count in groups for place in range(int(count))]


Picture = Callable[[Any, Any, Drawn], None]

PICTURES: dict[str, Picture] = {
    "linear_regression": residuals,
    "ridge": residuals,
    "lasso": residuals,
    "elastic_net": residuals,
    "stepwise_regression": residuals,
    "ridge_cv": penalty_path,
    "lasso_cv": penalty_path,
    "elastic_net_cv": penalty_path,
    "pca": components,
}


def _picture_of(model: Any) -> Picture | None:
    return PICTURES.get(model.name)


def _points(axes: Any, x: Any, y: Any) -> None:
    many = len(x) > 500
    axes.scatter(x, y, s=6 if many else 14, alpha=0.35 if many else 0.7, color=BLUE, linewidths=0, rasterized=many)


def _of(sample: Drawn) -> str:
    """Says so where the points are not all rows."""
    return f" ({len(sample.X):,} of {sample.rows:,} rows)" if len(sample.X) < sample.rows else ""
