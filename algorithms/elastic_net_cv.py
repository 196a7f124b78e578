"""How much penalty? The whole path of ridge, lasso or elastic net, and what cross-validation says of it, from one pass.

    map     block   -> for each fold f: T_f = sum w [1 x y][1 x y]' of its rows, exact    (folds.py)
    reduce  a, b    -> a + b, fold by fold
    finish  alpha_1 > alpha_2 > ...: theta of T = sum T_f for each, begun where the last ended      (elastic_net.py)
            for each fold: theta of T - T_f for each,  e_f = v'T_f v / W_f,  v = (-b, -theta, 1)
            curve  m = sum W_f e_f / W,   se = sqrt(sum W_f (e_f - m)^2 / W / (folds - 1))

No fit reads a row: training sums are what is left when a fold's are taken away, and they are exact, so the errors are
those of k fits from scratch, the same for any order of rows, workers and files. alpha_1 is the least penalty that makes
all coefficients 0 (of ridge, where none does, that of l1_ratio 0.001, as in glmnet). `alpha_min` has the least m,
`alpha_1se` is the largest whose m is within one standard error of that.

Sources: J. Friedman, T. Hastie and R. Tibshirani, Regularization Paths for Generalized Linear Models via Coordinate
Descent, 2010, sections 2.5 and 2.6; L. Breiman et al., Classification and Regression Trees, 1984, section 3.4.3, for
the rule of one standard error.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

import mapreduce as mr
from algorithms.elastic_net import check_shares, exactly
from algorithms.estimator import logger
from algorithms.folds import FoldSums
from algorithms.linear_model import LinearModel
from algorithms.rows import Array
from algorithms.sums import ClassSums, ExactGram, to_float
from algorithms.sums.equations import to_root
from algorithms.sums.moments import Moments, Problem, grid
from algorithms.sums.penalised import BITS, JUDGED_BITS, Descent, Minimum, certificate, rounded
from algorithms.tables import columns, listed

LEAST_SHARE = 0.001
"""The share of the first penalty that stands for less where the path begins, as in glmnet."""
RIDGE_TOP, RIDGE_RATIO = 1000, 1e-8
"""scikit-learn's Ridge: from where all is shrunk a thousandfold down to what changes the fifth digit."""


class ElasticNetCV(LinearModel):
    """Elastic net with the weight of its penalty chosen by cross-validation.

    l1_ratio: share of the first penalty, from 0 (ridge) to 1 (lasso); glmnet's alpha. Of several the best is chosen
    n_alphas: how many weights to try
    eps: the smallest weight over the largest; none for 0.001, glmnet's and Spark's objectives 0.0001, or 0.01 where
        columns are more than rows
    alphas: the weights themselves, instead of n_alphas and eps
    folds: how many parts of the rows; each is left out once
    seed: which folds
    choose: 'min' for the least error, '1se' for the largest weight within one standard error of it
    objective: whose scales are meant: 'sklearn', 'glmnet', 'spark-normal' or 'spark-lbfgs'
    fit_intercept: whether b is learned; else it is 0
    degree: highest power of each column that is a term of its own
    max_iter: rounds of descent after which a fit gives up and says so

    Learned are coef_ (terms,), intercept_, alpha_ and l1_ratio_, the choice, alpha_min_ and alpha_1se_; alphas_
    (weights,), path_coef_ (weights, terms), path_intercept_ and path_r2_ (weights,), the path; cv_mse_ and cv_error_
    (weights,), the curve and its standard errors, fold_mse_ (weights, folds) and fold_rows_ (folds,); gap_ and kkt_,
    the worst certificates of the path, converged_ and n_.
    """

    name: ClassVar[str] = "elastic_net_cv"
    least_rows: ClassVar[int] = 2
    learned: ClassVar[tuple[str, ...]] = (
        "coef_", "intercept_", "alpha_", "l1_ratio_", "alpha_min_", "alpha_1se_", "alphas_", "path_coef_",
        "path_intercept_", "path_r2_", "cv_mse_", "cv_error_", "fold_mse_", "fold_rows_", "gap_", "kkt_", "converged_",
        "n_",
    )  # fmt: skip
    is_ridge: ClassVar[bool] = False

    alpha_: float
    l1_ratio_: float
    alpha_min_: float
    alpha_1se_: float
    alphas_: Array
    path_coef_: Array
    path_intercept_: Array
    path_r2_: Array
    cv_mse_: Array
    cv_error_: Array
    fold_mse_: Array
    fold_rows_: Any
    gap_: float
    kkt_: float
    converged_: bool
    n_: int
    n_iter_: int

    def __init__(
        self,
        l1_ratio: float | list[float] = 0.5,
        n_alphas: int = 100,
        eps: float | None = None,
        alphas: list[float] | None = None,
        folds: int = 5,
        seed: int = 0,
        choose: str = "min",
        objective: str = "sklearn",
        fit_intercept: bool = True,
        degree: int = 1,
        max_iter: int = 1000,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.n_alphas = n_alphas
        self.eps = eps
        self.alphas = alphas
        self.folds = folds
        self.seed = seed
        self.choose = choose
        self.objective = objective
        self.fit_intercept = fit_intercept
        self.degree = degree
        self.max_iter = max_iter

    def check_parameters(self) -> None:
        super().check_parameters()
        if not self._ratios:
            raise mr.UsageError("l1_ratio is empty; it must be a share from 0 to 1, or several")
        for ratio in self._ratios:
            check_shares(self.objective, ratio, self.max_iter)
        if self.folds < 2:
            raise mr.UsageError(f"folds is {self.folds}; it must be at least 2: one to test, one to learn from")
        if self.choose not in ("min", "1se"):
            raise mr.UsageError(f"choose is {self.choose!r}; choose 'min' or '1se'")
        if self.n_alphas < 1 or (self.eps is not None and not 0 < self.eps < 1):
            raise mr.UsageError(f"n_alphas is {self.n_alphas}, eps {self.eps}; at least 1, and between 0 and 1")
        if self.alphas is not None and (not len(self.alphas) or not all(0 <= each < np.inf for each in self.alphas)):
            raise mr.UsageError(f"alphas is {self.alphas}; it must be weights of 0 or more, such as 0.1,1,10")

    def fold(self) -> mr.Fold:
        return FoldSums(self.folds, self.seed, self.degree)

    def width(self, state: ClassSums) -> int:
        return int(next(iter(state.states.values())).columns - 1) // self.degree

    def learn(self, state: ClassSums) -> None:
        parts = [part for _, part in sorted(state.states.items()) if _weight(part)]
        if not parts:
            raise mr.InputError("the weights of all rows are zero; at least one must count")
        if len(parts) < 2:
            raise mr.InputError(f"all rows ({state.rows}) fall into one fold; cross-validation needs 2: take more rows")
        total = sum(parts[1:], parts[0])
        moments = Moments.of(total, fit_intercept=self.fit_intercept)
        self.n_, self.fold_rows_ = moments.rows, np.array([part.rows for part in parts])
        found: list[dict[str, Any]] = []
        for self.l1_ratio_ in self._ratios:
            self._follow(moments)
            self._validate(total, parts, moments.weight)
            found.append({name: getattr(self, name) for name in self.learned})
        for name, value in min(found, key=lambda each: float(each["cv_mse_"].min())).items():
            setattr(self, name, value)
        self.converged_ = all(each["converged_"] for each in found)
        if len(self.alphas_) > 1 and self.alpha_min_ == self.alphas_[-1] > 0:
            logger.warning(
                "%s: the least error is that of the smallest weight tried, %.4g; lower eps, or name alphas below it",
                self.name,
                self.alpha_min_,
            )

    @property
    def _ratios(self) -> list[float]:
        return list(self.l1_ratio) if isinstance(self.l1_ratio, Sequence) else [self.l1_ratio]

    def _follow(self, moments: Moments) -> None:
        """The path of all rows."""
        problem = self._problem(moments)
        rho = exactly(self.l1_ratio_)
        self.alphas_ = np.array(self._grid(problem))
        descent = Descent(problem.quadratic, self.max_iter)
        coefs, intercepts, fits, certificates, sweeps = [], [], [], [], []
        for alpha in self.alphas_.tolist():
            penalty = problem.penalty(exactly(alpha), rho)
            found = descent.minimise(penalty)
            theta = self._certain(moments, problem, found, alpha)
            coefs.append([to_float(value) for value in theta])
            intercepts.append(to_float(moments.intercept(theta)))
            own = rounded(problem.quadratic, np.array(coefs[-1]))
            fits.append(problem.quadratic.fit_of(own).r2)
            certificates.append(certificate(problem.quadratic, penalty, own))
            sweeps.append(found)
        self.path_coef_, self.path_intercept_, self.path_r2_ = np.array(coefs), np.array(intercepts), np.array(fits)
        self.gap_ = max(each.gap for each in certificates)
        self.kkt_ = max(each.kkt for each in certificates)
        self.converged_ = all(found.converged for found in sweeps)
        self.n_iter_ = max(found.sweeps for found in sweeps)

    def _certain(self, moments: Moments, problem: Problem, found: Minimum, alpha: float) -> list[Fraction]:
        """The coefficients, with more bits where their rounding is not certain."""
        if found.converged and not found.is_certain:
            problem = self._problem(moments, BITS[-1])
            descent = Descent(problem.quadratic, self.max_iter)
            found = descent.minimise(problem.penalty(exactly(alpha), exactly(self.l1_ratio_)))
        return [problem.quadratic.coefficient(j, value) for j, value in enumerate(found.theta.tolist())]

    def _validate(self, total: ExactGram, parts: list[ExactGram], weight: Fraction) -> None:
        """The errors of each fold, of fits to all others."""
        errors, shares = [], []
        for part in parts:
            moments = Moments.of(total - part, fit_intercept=self.fit_intercept)
            problem = self._problem(moments, JUDGED_BITS)
            descent = Descent(problem.quadratic, self.max_iter)
            penalties = (problem.penalty(exactly(alpha), exactly(self.l1_ratio_)) for alpha in self.alphas_.tolist())
            found = [descent.minimise(penalty) for penalty in penalties]
            self.converged_ = self.converged_ and all(each.converged for each in found)
            tested = problem.quadratic.of_others(moments.about(part))
            errors.append(tested.errors(np.column_stack([each.theta for each in found])))
            shares.append(_weight(part) / weight)
        by_alpha = list(zip(*errors, strict=True))
        curve = [sum(map(Fraction.__mul__, shares, each), Fraction(0)) for each in by_alpha]
        spread = [
            sum((share * (error - mean) ** 2 for share, error in zip(shares, each, strict=True)), Fraction(0))
            for each, mean in zip(by_alpha, curve, strict=True)
        ]
        self.fold_mse_ = np.array([[to_float(value) for value in each] for each in by_alpha])
        self.cv_mse_ = np.array([to_float(value) for value in curve])
        self.cv_error_ = np.array([to_root(value / (len(parts) - 1)) for value in spread])
        best = curve.index(min(curve))
        within = min(
            k for k, value in enumerate(self.cv_mse_.tolist()) if value <= self.cv_mse_[best] + self.cv_error_[best]
        )
        self.alpha_min_, self.alpha_1se_ = float(self.alphas_[best]), float(self.alphas_[within])
        chosen = best if self.choose == "min" else within
        self.alpha_ = float(self.alphas_[chosen])
        self.coef_, self.intercept_ = self.path_coef_[chosen].copy(), float(self.path_intercept_[chosen])

    def _problem(self, moments: Moments, bits: int = BITS[0]) -> Problem:
        return Problem.of(moments, self.objective, bits, is_ridge=self.is_ridge)

    def _grid(self, problem: Problem) -> list[float]:
        """The weights of the path, the largest first."""
        if self.alphas is not None:
            return sorted(map(float, self.alphas), reverse=True)
        moments = problem.moments
        if self.is_ridge and self.objective == "sklearn":
            top = RIDGE_TOP * moments.weight * max(moments.second(j) for j in range(len(self.term_names_)))
            return grid(top, self.eps or RIDGE_RATIO, self.n_alphas)
        ratio = 1e-3 if self.objective == "sklearn" else 1e-4 if moments.rows > len(self.term_names_) else 0.01
        largest = problem.largest_alpha(exactly(max(self.l1_ratio_, LEAST_SHARE)))
        return grid(largest, self.eps or ratio, self.n_alphas)

    def figures(self) -> dict[str, Any]:
        return {
            "coef": dict(zip(self.term_names_, self.coef_.tolist(), strict=True)),
            "intercept": self.intercept_,
            "n": self.n_,
            "alpha": self.alpha_,
            "alpha_min": self.alpha_min_,
            "alpha_1se": self.alpha_1se_,
            "l1_ratio": self.l1_ratio_,
            "objective": self.objective,
            "nonzero": int(np.count_nonzero(self.coef_)),
            "cv_mse": float(self.cv_mse_[self._chosen]),
            "cv_error": float(self.cv_error_[self._chosen]),
            "r2": float(self.path_r2_[self._chosen]),
            "folds": self.fold_rows_.tolist(),
            "path": {
                "alpha": self.alphas_.tolist(),
                "nonzero": np.count_nonzero(self.path_coef_, axis=1).tolist(),
                "r2": self.path_r2_.tolist(),
                "cv_mse": self.cv_mse_.tolist(),
                "cv_error": self.cv_error_.tolist(),
            },
            "duality_gap": self.gap_,
            "kkt_residual": self.kkt_,
            "converged": self.converged_,
            "precision": "correctly rounded" if self.converged_ else "not converged",
        }

    @property
    def _chosen(self) -> int:
        return int(np.flatnonzero(self.alphas_ == self.alpha_)[0])

    def table(self) -> str:
        figures = self.figures()
        path = figures.pop("path")
        rows = [*figures.pop("coef").items(), ("intercept", figures.pop("intercept"))]
        shown = [(name, value if value else ".") for name, value in rows]
        marks = {self.alpha_1se_: "1se", self.alpha_min_: "min"}
        if self.alpha_min_ == self.alpha_1se_:
            marks = {self.alpha_min_: "min, 1se"}
        lines = [(marks.get(each[0], ""), *each) for each in zip(*path.values(), strict=True)]
        figures["folds"] = " ".join(map(str, figures["folds"])) + " rows"
        return "\n".join(
            (columns(("", *path), lines), columns(("", "coef"), shown), listed(figures)),
        )


def _weight(gram: ExactGram) -> Fraction:
    return gram.pick([]).numbers.fractions()[0]


class LassoCV(ElasticNetCV):
    """Lasso with the weight of its penalty chosen by cross-validation.

    n_alphas: how many weights to try
    eps: the smallest weight over the largest; none for 0.001, glmnet's and Spark's objectives 0.0001, or 0.01 where
        columns are more than rows
    alphas: the weights themselves, instead of n_alphas and eps
    folds: how many parts of the rows; each is left out once
    seed: which folds
    choose: 'min' for the least error, '1se' for the largest weight within one standard error of it
    objective: whose scales are meant: 'sklearn', 'glmnet', 'spark-normal' or 'spark-lbfgs'
    fit_intercept: whether b is learned; else it is 0
    degree: highest power of each column that is a term of its own
    max_iter: rounds of descent after which a fit gives up and says so

    Learned is what ElasticNetCV learns.
    """

    name: ClassVar[str] = "lasso_cv"

    def __init__(
        self,
        n_alphas: int = 100,
        eps: float | None = None,
        alphas: list[float] | None = None,
        folds: int = 5,
        seed: int = 0,
        choose: str = "min",
        objective: str = "sklearn",
        fit_intercept: bool = True,
        degree: int = 1,
        max_iter: int = 1000,
    ) -> None:
        super().__init__(1.0, n_alphas, eps, alphas, folds, seed, choose, objective, fit_intercept, degree, max_iter)


class RidgeCV(ElasticNetCV):
    """Ridge with the weight of its penalty chosen by cross-validation.

    n_alphas: how many weights to try
    eps: the smallest weight over the largest; none for 1e-8, glmnet's and Spark's objectives 0.0001
    alphas: the weights themselves, instead of n_alphas and eps
    folds: how many parts of the rows; each is left out once
    seed: which folds
    choose: 'min' for the least error, '1se' for the largest weight within one standard error of it
    objective: whose scales are meant: 'sklearn', 'glmnet', 'spark-normal' or 'spark-lbfgs'
    fit_intercept: whether b is learned; else it is 0
    degree: highest power of each column that is a term of its own

    Learned is what ElasticNetCV learns.
    """

    name: ClassVar[str] = "ridge_cv"
    is_ridge: ClassVar[bool] = True

    def __init__(
        self,
        n_alphas: int = 100,
        eps: float | None = None,
        alphas: list[float] | None = None,
        folds: int = 5,
        seed: int = 0,
        choose: str = "min",
        objective: str = "sklearn",
        fit_intercept: bool = True,
        degree: int = 1,
    ) -> None:
        super().__init__(0.0, n_alphas, eps, alphas, folds, seed, choose, objective, fit_intercept, degree)
