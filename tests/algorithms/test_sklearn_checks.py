"""Does scikit-learn take every estimator for one of its own? Its checks, and the list of where we mean to differ."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_dataframe_column_names_consistency, check_estimator

import algorithms
from algorithms.estimator import Estimator

ROOT = Path(__file__).resolve().parents[2]
FEW = {"n_alphas": 5, "folds": 2}
PARAMETERS: dict[str, dict[str, Any]] = dict.fromkeys(("ridge_cv", "lasso_cv", "elastic_net_cv"), FEW)
"""A path of 100 weights in each of a hundred fits would only take time."""

TOO_FEW = "fewer rows than coefficients are refused; `collinear=minimum_norm` or `alpha` makes them fit"
ONE_COLUMN = "it compares the groups of one column; these checks give it several"
DEVIATIONS: dict[str, dict[str, str]] = {
    "linear_regression": {
        "check_fit2d_1sample": TOO_FEW,
        "check_sample_weight_equivalence_on_dense_data": TOO_FEW,
        "check_sample_weight_equivalence_on_sparse_data": TOO_FEW,
    },
    "anova": dict.fromkeys(
        (
            "check_dict_unchanged", "check_dont_overwrite_parameters", "check_dtype_object",
            "check_estimators_dtypes", "check_estimators_fit_returns_self", "check_estimators_nan_inf",
            "check_estimators_overwrite_params", "check_estimators_pickle", "check_f_contiguous_array_estimator",
            "check_fit2d_1sample", "check_fit2d_predict1d", "check_fit_check_is_fitted", "check_fit_idempotent",
            "check_fit_score_takes_y", "check_methods_sample_order_invariance", "check_methods_subset_invariance",
            "check_n_features_in", "check_n_features_in_after_fitting", "check_pipeline_consistency",
            "check_positive_only_tag_during_fit", "check_readonly_memmap_input",
        ),
        ONE_COLUMN,
    ),
}  # fmt: skip
"""Checks of scikit-learn that an estimator fails, and why it should."""
SAID = {TOO_FEW: "too few to determine", ONE_COLUMN: "compares the groups of one column"}
"""What the error says that makes the check fail."""


def made(name: str) -> Estimator:
    module, _, class_name = algorithms.ESTIMATORS[name].partition(":")
    estimator: Estimator = getattr(import_module(module), class_name)(**PARAMETERS.get(name, {}))
    return estimator


@pytest.fixture(autouse=True)
def folders_in_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each fit of some rows takes 2 ms and a folder for its job, which a busy disk makes ten times as much."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.mark.filterwarnings("ignore")  # the checks look for warnings themselves
@pytest.mark.filterwarnings("error::sklearn.exceptions.EstimatorCheckFailedWarning")
@pytest.mark.parametrize("name", algorithms.ESTIMATORS)
def test_checks_of_scikit_learn(name: str) -> None:
    expected = DEVIATIONS.get(name, {})
    found = check_estimator(made(name), expected_failed_checks=expected, on_skip=None)
    assert len(found) > 35
    failed = [each for each in found if each["status"] == "xfail"]
    assert {each["check_name"] for each in failed} == set(expected)
    for each in failed:
        error = each["exception"].__cause__ or each["exception"]
        assert SAID[expected[each["check_name"]]] in str(error)


@pytest.mark.parametrize("name", [name for name in algorithms.ESTIMATORS if name != "anova"])
def test_columns_have_the_names_and_the_order_of_the_fit(name: str) -> None:
    check_dataframe_column_names_consistency(name, made(name))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in algorithms.ESTIMATORS if hasattr(made(name), "transform")])
@pytest.mark.parametrize(
    "check",
    [
        "check_get_feature_names_out_error", "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
        "check_set_output_transform", "check_set_output_transform_pandas", "check_set_output_transform_polars",
        "check_global_output_transform_pandas", "check_global_set_output_transform_polars",
    ],
)  # fmt: skip
def test_new_columns_have_names(name: str, check: str) -> None:
    getattr(estimator_checks, check)(name, made(name))


def test_the_documentation_lists_the_deviations() -> None:
    text = (ROOT / "docs" / "how-to.md").read_text()
    section = text.split("## Use the algorithms with scikit-learn")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", section, re.MULTILINE)
    assert [name for name, _, _ in listed] == list(DEVIATIONS)
    for name, checks, reason in listed:
        expected = DEVIATIONS[name]
        assert set(expected.values()) == {reason}
        assert checks.startswith(f"{len(expected)} ") or set(re.findall(r"`(\w+)`", checks)) == set(expected)
