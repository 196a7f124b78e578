"""Least squares: theta minimises sum w (y - b - theta'x)^2, and needs one pass over the data.

    map     block   -> sum w [1 x y][1 x y]', exact; w = 1 without weights
    reduce  a, b    -> a + b
    finish  theta solves S_xx theta = S_xy,  b = mean(y) - theta'mean(x)    (sums/least_squares.py)

The sums do not round: text counts as the decimals that it is, floats as the binary fractions that they are. So the
model has the same bits however the rows were cut and whoever added them, and its coefficients are correctly rounded.
With `degree` the powers of each column are terms too, formed exactly from its decimals.

    errors    sigma^2 = RSS / (n - unknowns),  Var theta = sigma^2 S_xx^-1;  t, p, intervals, F, AIC, BIC: inference.py

There are two ways of floats: `sums=float` for very many columns (float_gram.py), and `solver=tsqr` for columns that
nearly depend on each other (tsqr.py).

Sources: C.-T. Chu et al., Map-Reduce for Machine Learning on Multicore, NIPS 2006, section 3; A. Aitken, On Least
Squares and Linear Combination of Observations, 1935, for weights; see algorithms/sums for the exact sums.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import mapreduce as mr
from algorithms.float_gram import GramSums, LeastSquares, fit_floats
from algorithms.inference import Errors, inference, summary_text
from algorithms.linear_model import ExactLeastSquares, LinearModel
from algorithms.rows import Array
from algorithms.sums.least_squares import Fit, fit
from algorithms.tsqr import TallSkinnyQR, Triangle, fit_triangle

__all__ = ["ExactLeastSquares", "GramSums", "LeastSquares", "LinearRegression"]


class LinearRegression(LinearModel):
    """Ordinary least squares, with `alpha` > 0 ridge regression: + alpha |theta|^2, the intercept not penalised.

    alpha: weight of the penalty; it leaves no standard errors
    fit_intercept: whether b is learned; else it is 0
    sums: 'exact' for the same, correctly rounded bits on any machine; 'float' where columns are very many
    degree: highest power of each column that is a term of its own
    solver: 'normal' for the normal equations of the sums; 'tsqr' for QR of the rows in floats
    collinear: 'refuse' columns that depend on each other, or take the coefficients of 'minimum_norm'
    confidence: share of the samples whose intervals hold the true coefficient

    Learned are coef_ (terms,), intercept_, n_ (rows), free_ (degrees of freedom), rss_, r2_, adjusted_r2_, sigma_, the
    standard deviation of the residuals (nan where no degree of freedom is left), std_error_ and intercept_error_, f_,
    and condition_, that of the columns' correlations. Without an intercept r2_ compares with 0 instead of the mean, as
    in R.
    """

    name: ClassVar[str] = "linear_regression"
    learned: ClassVar[tuple[str, ...]] = (
        "coef_", "intercept_", "n_", "free_", "r2_", "sigma_", "std_error_", "intercept_error_", "condition_",
        "adjusted_r2_", "f_", "rss_",
    )  # fmt: skip

    n_: int
    free_: int
    r2_: float
    sigma_: float
    std_error_: Array
    intercept_error_: float
    condition_: float
    adjusted_r2_: float
    f_: float
    rss_: float

    def __init__(
        self,
        alpha: float = 0.0,
        fit_intercept: bool = True,
        sums: str = "exact",
        degree: int = 1,
        solver: str = "normal",
        collinear: str = "refuse",
        confidence: float = 0.95,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.sums = sums
        self.degree = degree
        self.solver = solver
        self.collinear = collinear
        self.confidence = confidence

    def check_parameters(self) -> None:
        super().check_parameters()
        if not 0 <= self.alpha < math.inf:
            raise mr.UsageError(f"alpha is {self.alpha}; it must be 0 or more")
        for name, choices in {
            "sums": ("exact", "float"),
            "solver": ("normal", "tsqr"),
            "collinear": ("refuse", "minimum_norm"),
        }.items():
            if getattr(self, name) not in choices:
                raise mr.UsageError(f"{name} is {getattr(self, name)!r}; choose {' or '.join(map(repr, choices))}")
        if not 0 < self.confidence < 1:
            raise mr.UsageError(f"confidence is {self.confidence}; it must lie between 0 and 1, such as 0.95")
        if self.sums == "float" and self.degree > 1:
            raise mr.UsageError(f"degree is {self.degree}; with sums='float' it must be 1: powers need exact sums")
        if self.collinear == "minimum_norm" and not self._is_exact:
            raise mr.UsageError("collinear='minimum_norm' needs exact sums: floats don't tell what depends on what")
        if self.solver == "tsqr" and (self.alpha or self.sums == "float"):
            raise mr.UsageError("solver='tsqr' takes neither alpha nor sums='float'; leave these out")

    @property
    def _is_exact(self) -> bool:
        return self.sums == "exact" and self.solver == "normal"

    def fold(self) -> mr.Fold:
        if self.solver == "tsqr":
            return TallSkinnyQR(self.degree)
        return ExactLeastSquares(self.degree) if self.sums == "exact" else LeastSquares()

    def learn(self, state: Any) -> None:
        self._take(self._fitted(state))

    def _fitted(self, state: Any) -> Fit:
        names, fit_intercept = self.term_names_, self.fit_intercept
        if isinstance(state, GramSums):
            return fit_floats(state, names, self.alpha, fit_intercept=fit_intercept)
        if isinstance(state, Triangle):
            return fit_triangle(state, names, fit_intercept=fit_intercept)
        minimum_norm = self.collinear == "minimum_norm"
        return fit(state, names, self.alpha, fit_intercept=fit_intercept, minimum_norm=minimum_norm)

    def _take(self, found: Fit) -> None:
        self.coef_, self.intercept_, self.n_, self.free_ = found.coef, found.intercept, found.rows, found.free
        self.r2_, self.sigma_, self.condition_ = found.r2, found.sigma, found.condition
        self.std_error_, self.intercept_error_ = found.std_error, found.intercept_error
        self.adjusted_r2_, self.f_, self.rss_ = found.adjusted_r2, found.f, found.rss

    def figures(self) -> dict[str, Any]:
        names = self.term_names_
        return {
            "coef": dict(zip(names, self.coef_.tolist(), strict=True)),
            "intercept": self.intercept_,
            "std_error": dict(zip(names, self.std_error_.tolist(), strict=True)),
            "intercept_error": self.intercept_error_,
            "n": self.n_,
            "free": self.free_,
            "r2": self.r2_,
            "adjusted_r2": self.adjusted_r2_,
            "sigma": self.sigma_,
            "rss": self.rss_,
            **inference(self._errors(), self.confidence),
            "condition": self.condition_,
            "digits_lost": math.log10(max(self.condition_, 1.0)),
            "precision": "correctly rounded" if self._is_exact else "float64",
        }

    def _errors(self) -> Errors:
        has_intercept = self.fit_intercept
        return Errors(
            names=[*self.term_names_, *(["intercept"] if has_intercept else [])],
            coef=[*self.coef_.tolist(), *([self.intercept_] if has_intercept else [])],
            errors=[*self.std_error_.tolist(), *([self.intercept_error_] if has_intercept else [])],
            rows=self.n_,
            free=self.free_,
            has_intercept=has_intercept,
            rss=self.rss_,
            f=self.f_,
        )

    def table(self) -> str:
        return summary_text(self._errors(), self.figures(), self.target_name_)
