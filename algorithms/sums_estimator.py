"""Which estimators need the data once only? Those whose model follows from exact sums of the rows.

    fit     state = sum over blocks of fold().map(block), one pass        model = learn(state)

What is kept, merged, taken away or cut to fewer columns is the state; `learn` reads no row. So a model can be fitted
again from kept sums (kept_sums.py): with new rows, without a file's rows, to another target or penalty.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Self

import mapreduce as mr
from algorithms.estimator import Estimator
from algorithms.kept_sums import Changes, KeptSums, Proof, fold_name, forgotten
from algorithms.sums.states import State, state_from_bytes


class SumsEstimator(Estimator):
    """An estimator that learns from one state. A subclass gives `fold`, `width` and `learn`; and `cut`, if its states
    can be cut to fewer columns."""

    kept_sums_: KeptSums | None = None
    state_: Any = None
    """The sums that it has learned from; not saved with the model."""

    def check_parameters(self) -> None:
        """Raises UsageError for parameters that no data can suit; called before any row is read."""

    def fold(self) -> mr.Fold:
        """A fold over blocks whose partials are states, and whose value is their sum."""
        raise NotImplementedError

    def width(self, state: Any) -> int:
        """How many features the rows of this state have."""
        raise NotImplementedError

    def learn(self, state: Any) -> None:
        """Set all of `learned`; `feature_names_` and `target_name_` are set. Raises InputError."""
        raise NotImplementedError

    def cut(self, state: Any, columns: Sequence[int]) -> State:
        """The state of some columns alone. They are counted over features, then target; the new target comes last."""
        raise mr.UsageError(f"the sums of {self.name} can't be cut to other columns; fit it to them afresh")

    def state_from_bytes(self, data: bytes) -> State:
        """A state of `fold` from what its `pack` gave."""
        return state_from_bytes(data)

    def fit(
        self, X: Any, y: Any = None, *, engine: mr.Engine | None = None, observer: Any = None, keep_sums: bool = False
    ) -> Self:
        """As any estimator. With `keep_sums` the sums of each split stay with the model, for `refit`, `forget` and
        `fit_kept`."""
        self.kept_sums_ = KeptSums("", (), weights=_option(X, "weights")) if keep_sums else None
        super().fit(X, y, engine=engine, observer=observer)
        if self.kept_sums_ is not None:
            self.lineage_ = {**self.lineage_, **self.kept_sums_.lineage()}
        return self

    def refit(
        self, dataset: mr.Dataset, *, engine: mr.Engine | None = None, observer: Any = None, only: bool = False
    ) -> Changes:
        """Learn from these files too; from those that the model knows by the same path, as they are now. Mapped is only
        what no split of the model held. `only`: from these files and no other. Raises InputError for other columns."""
        self.check_parameters()
        kept = self._kept()
        dataset = self.reads(dataset)
        names = dataset.feature_names()
        if names is not None and tuple(names) != kept.features:
            raise mr.InputError(
                f"the input has the columns {', '.join(names)}; the sums that the model keeps are of "
                f"{', '.join(kept.features)}: name these as features"
            )
        with nullcontext(engine) if engine is not None else mr.Engine() as used:
            found = used.partials(self.fold(), dataset.resolved(), known=kept.contents.keys(), observer=observer)
        self.kept_sums_, changes = kept.updated(found, only=only)
        self.fit_kept(self.feature_names_, self.target_name_)
        return changes

    def forget(self, *paths: str) -> Proof:
        """Take the rows of files out of the model, without reading anything. Raises UsageError for files that the model
        does not know, InputError where no rows would be left."""
        kept = self._kept()
        named = dict.fromkeys(path for name in paths for path in kept.named(name))
        self.kept_sums_, proof = forgotten(kept, list(named))
        if not proof.holds:
            raise mr.InternalError(
                f"the sums without {', '.join(proof.files)} have two digests: {proof.subtracted}, {proof.afresh}"
            )
        self.fit_kept(self.feature_names_, self.target_name_)
        return proof

    def fit_kept(self, features: Sequence[str], target: str | None, sums: KeptSums | None = None) -> Self:
        """Learn from kept sums, the model's own or those of another: any of their columns as features and target."""
        self.kept_sums_ = sums if sums is not None else self.kept_sums_
        kept = self._kept()
        if kept.fold != fold_name(self.fold()):
            raise mr.UsageError(f"{self.name} with these options needs other sums than those kept; fit it afresh")
        state: State = kept.total()
        if (tuple(features), target) != (kept.features, kept.target):
            columns = [*kept.features, *([] if kept.target is None else [kept.target])]
            wanted = [*features, *([] if target is None else [target])]
            for name in wanted:
                if name not in columns:
                    raise mr.UsageError(f"no sums of a column {name!r} are kept; {mr.near(name, columns)}")
            state = self.cut(state, [columns.index(name) for name in wanted])
        with mr.Engine("inline") as engine:
            self.lineage_ = {**engine.lineage(self), **kept.lineage()}
        self.fit_sums(state, list(features), target)
        return self

    def fit_sums(self, state: State, names: list[str], target: str | None = None) -> None:
        """Learn from sums of rows of these features, wherever they come from."""
        self.check_parameters()
        self.feature_names_, self.target_name_ = names, target
        self.learn(state)
        self.state_ = state

    def merge(self, other: Self) -> Self:
        """Learn from the rows of another model of the same kind too: as if it had seen both. Raises UsageError where
        either does not hold its sums."""
        for model in (self, other):
            model._check_holds_state()
        if self.feature_names_ != other.feature_names_ or fold_name(self.fold()) != fold_name(other.fold()):
            raise mr.UsageError("models of other columns or options cannot be merged; fit them alike")
        self.kept_sums_ = None
        self.fit_sums(self.state_ + other.state_, self.feature_names_, self.target_name_)
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn from these rows of arrays too: as if `fit` had seen all of them, bit for bit."""
        if not hasattr(self, "feature_names_"):
            return Estimator.fit(self, X, y)
        self._check_holds_state()
        with mr.Engine("inline") as engine:
            added = engine.run(self.fold(), self.reads(self._arrays(X, y, is_known=True))).value
        self.kept_sums_ = None
        self.fit_sums(self.state_ + added, self.feature_names_, self.target_name_)
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Without the sums: workers that apply the model need none."""
        return {name: value for name, value in self.__dict__.items() if name != "state_"}

    def _check_holds_state(self) -> None:
        if self.state_ is None:
            raise mr.UsageError(f"a {self.name} that was not fitted here holds no sums to add to; use refit, or fit it")

    def _kept(self) -> KeptSums:
        if self.kept_sums_ is None:
            raise mr.UsageError(f"this {type(self).__name__} keeps no sums; fit it with keep_sums (--keep-sums)")
        return self.kept_sums_

    def _fit(self, engine: mr.Engine, dataset: mr.Dataset, names: Any, observer: Any) -> None:
        self.check_parameters()
        fold = self.fold()
        if self.kept_sums_ is None:
            state = engine.run(fold, dataset, observer=observer).value
            self.fit_sums(state, names.of(self.width(state)), self.target_name_)
            return
        found = engine.partials(fold, dataset, observer=observer)
        new = replace(self.kept_sums_, fold=fold_name(fold), target=self.target_name_)
        filled, _ = new.updated(found)
        features = names.of(self.width(filled.total()))
        self.fit_kept(features, self.target_name_, replace(filled, features=tuple(features)))


def _option(X: Any, name: str) -> str | None:
    value = X.options.get(name) if isinstance(X, mr.Dataset) else None
    return None if value is None else str(value)
