"""Ridge, lasso, and what lies between: which coefficients predict, where large ones cost?

    sum w (y - b - theta'x)^2 / 2W  +  sum c_j |theta_j|  +  sum r_j theta_j^2 / 2        W = sum w

    map     block   -> sum w [1 x y][1 x y]', exact
    reduce  a, b    -> a + b
    finish  theta by coordinate descent on the sums (sums/penalised.py),  b = mean(y) - theta'mean(x)

An objective is named by whose it is. With weight `alpha` and share rho, `l1_ratio`, of the first penalty, s_j the
standard deviation of column j and s_y that of y,

    sklearn       c_j = alpha rho            r_j = alpha (1 - rho)              Ridge: r_j = alpha / W
    glmnet        c_j = alpha rho s_j        r_j = alpha (1 - rho) s_j^2 / s_y  s over n; without b, s_y about 0
    spark-normal  as glmnet with b, also without: Spark's solver `normal`
    spark-lbfgs   the same with s over n - 1: Spark's solver `l-bfgs`

glmnet and Spark scale columns and y before they penalise; written for coefficients of columns as they are, that is a
weight of each its own. (Both divide alpha by s_y when they scale y: the second penalty does not scale back.) The first
penalty makes coefficients 0, the second shrinks those of correlated columns together. Lasso has only the first, Ridge
only the second, in scikit-learn's objective as its Ridge has it: sum w (y - f)^2 + alpha |theta|^2.

No pass over the rows follows: the descent needs the sums alone. As they are exact, the equations that hold at the
minimum are solved to the last bit: coefficients are correctly rounded, the same on any machine, and certified by the
duality gap (over the objective of theta = 0) and by the slopes that must be 0 or small (over the largest at theta = 0).

Sources: A. Hoerl and R. Kennard, Ridge Regression, 1970; R. Tibshirani, Regression Shrinkage and Selection via the
Lasso, 1996; H. Zou and T. Hastie, Regularization and Variable Selection via the Elastic Net, 2005; J. Friedman, T.
Hastie and R. Tibshirani, Regularization Paths for Generalized Linear Models via Coordinate Descent, 2010.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

import mapreduce as mr
from algorithms.linear_model import LinearModel
from algorithms.sums import ExactGram, to_float
from algorithms.sums.least_squares import fit
from algorithms.sums.moments import OBJECTIVES, Moments, Problem
from algorithms.sums.penalised import BITS, Descent, Penalty, Quadratic, certificate, rounded
from algorithms.tables import columns, listed


class ElasticNet(LinearModel):
    """Least squares with both penalties: alpha (l1_ratio |theta|_1 + (1 - l1_ratio) |theta|^2 / 2).

    alpha: weight of the penalty; glmnet's lambda, Spark's regParam
    l1_ratio: share of the first penalty, from 0 (ridge) to 1 (lasso); glmnet's alpha, Spark's elasticNetParam
    objective: whose scales are meant: 'sklearn', 'glmnet', 'spark-normal' or 'spark-lbfgs'
    fit_intercept: whether b is learned; else it is 0
    degree: highest power of each column that is a term of its own
    max_iter: rounds of descent after which the fit gives up and says so

    Learned are coef_ (terms,), intercept_, n_ (rows), r2_, mse_ (of these rows), gap_ and kkt_, the certificate, and
    converged_.
    """

    name: ClassVar[str] = "elastic_net"
    learned: ClassVar[tuple[str, ...]] = (
        "coef_", "intercept_", "n_", "r2_", "mse_", "gap_", "kkt_", "converged_",
    )  # fmt: skip

    n_: int
    r2_: float
    mse_: float
    gap_: float
    kkt_: float
    converged_: bool
    n_iter_: int

    is_ridge: ClassVar[bool] = False

    def __init__(
        self,
        alpha: float = 1.0,
        l1_ratio: float = 0.5,
        objective: str = "sklearn",
        fit_intercept: bool = True,
        degree: int = 1,
        max_iter: int = 1000,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.objective = objective
        self.fit_intercept = fit_intercept
        self.degree = degree
        self.max_iter = max_iter

    def check_parameters(self) -> None:
        super().check_parameters()
        if not 0 <= self.alpha < np.inf:
            raise mr.UsageError(f"alpha is {self.alpha}; it must be 0 or more")
        check_shares(self.objective, self.l1_ratio, self.max_iter)

    def learn(self, state: ExactGram) -> None:
        moments = Moments.of(state, fit_intercept=self.fit_intercept)
        for bits in BITS:
            problem = Problem.of(moments, self.objective, bits, is_ridge=self.is_ridge)
            penalty = problem.penalty(exactly(self.alpha), exactly(self.l1_ratio))
            found = Descent(problem.quadratic, self.max_iter).minimise(penalty)
            if found.is_certain or not found.converged:
                break
        if not (found.converged or self.alpha):
            fit(state, self.term_names_, fit_intercept=self.fit_intercept)  # says what depends on what
        self.converged_, self.n_iter_, self.n_ = found.converged, found.sweeps, moments.rows
        theta = [problem.quadratic.coefficient(j, value) for j, value in enumerate(found.theta.tolist())]
        self.coef_ = np.array([to_float(value) for value in theta])
        self.intercept_ = to_float(moments.intercept(theta))
        self._judge(problem.quadratic, penalty)

    def _judge(self, quadratic: Quadratic, penalty: Penalty) -> None:
        """The figures of the coefficients as they are rounded."""
        theta = rounded(quadratic, self.coef_)
        self.gap_, self.kkt_ = certificate(quadratic, penalty, theta)
        self.mse_, self.r2_ = quadratic.fit_of(theta)

    def figures(self) -> dict[str, Any]:
        return {
            "coef": dict(zip(self.term_names_, self.coef_.tolist(), strict=True)),
            "intercept": self.intercept_,
            "n": self.n_,
            "alpha": self.alpha,
            "l1_ratio": self.l1_ratio,
            "objective": self.objective,
            "nonzero": int(np.count_nonzero(self.coef_)),
            "r2": self.r2_,
            "mse": self.mse_,
            "duality_gap": self.gap_,
            "kkt_residual": self.kkt_,
            "converged": self.converged_,
            "precision": "correctly rounded" if self.converged_ else "not converged",
        }

    def table(self) -> str:
        figures = self.figures()
        rows = [*figures.pop("coef").items(), ("intercept", figures.pop("intercept"))]
        if not self.fit_intercept:
            rows.pop()
        shown = [(name, value if value else ".") for name, value in rows]
        return columns(("", "coef"), shown) + "\n" + listed(figures)


class Lasso(ElasticNet):
    """Least squares with the first penalty: alpha |theta|_1.

    alpha: weight of the penalty; glmnet's lambda, Spark's regParam
    objective: whose scales are meant: 'sklearn', 'glmnet', 'spark-normal' or 'spark-lbfgs'
    fit_intercept: whether b is learned; else it is 0
    degree: highest power of each column that is a term of its own
    max_iter: rounds of descent after which the fit gives up and says so

    Learned is what ElasticNet learns.
    """

    name: ClassVar[str] = "lasso"

    def __init__(
        self,
        alpha: float = 1.0,
        objective: str = "sklearn",
        fit_intercept: bool = True,
        degree: int = 1,
        max_iter: int = 1000,
    ) -> None:
        super().__init__(alpha, 1.0, objective, fit_intercept, degree, max_iter)


class Ridge(ElasticNet):
    """Least squares with the second penalty; in scikit-learn's objective + alpha |theta|^2.

    alpha: weight of the penalty; glmnet's lambda, Spark's regParam
    objective: whose scales are meant: 'sklearn', 'glmnet', 'spark-normal' or 'spark-lbfgs'
    fit_intercept: whether b is learned; else it is 0
    degree: highest power of each column that is a term of its own

    Learned is what ElasticNet learns.
    """

    name: ClassVar[str] = "ridge"
    is_ridge: ClassVar[bool] = True

    def __init__(
        self, alpha: float = 1.0, objective: str = "sklearn", fit_intercept: bool = True, degree: int = 1
    ) -> None:
        super().__init__(alpha, 0.0, objective, fit_intercept, degree)


def check_shares(objective: str, l1_ratio: float, max_iter: int) -> None:
    """Raises UsageError."""
    if objective not in OBJECTIVES:
        raise mr.UsageError(f"objective is {objective!r}; {mr.near(objective, OBJECTIVES)}")
    if not 0 <= l1_ratio <= 1:
        raise mr.UsageError(f"l1_ratio is {l1_ratio}; it must lie between 0 (ridge) and 1 (lasso)")
    if max_iter < 1:
        raise mr.UsageError(f"max_iter is {max_iter}; it must be at least 1")


def exactly(value: float) -> Fraction:
    """The decimal that a parameter is written as: 0.1 is a tenth."""
    return Fraction(repr(float(value)))
