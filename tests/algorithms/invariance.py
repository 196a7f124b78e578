"""Has a model the same bits, however its data lay and whoever did the work? A table: models x variations.

    python -m tests.algorithms.invariance                     every model by every variation, and all pairs of them
    python -m tests.algorithms.invariance ridge pca           some models

A model is a row of CASES (invariance_cases.py): estimator, parameters, real data, and what cannot be varied, with the
reason. A variation is a value of one AXIS. A run (Way) has a value on each axis; its digest must be that of the fit of
one CSV file in this process. The exit code is 1 if any differs.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import mapreduce as mr
from algorithms.models import digest_of_model, load_model
from mapreduce.storage.leftovers import remove_dead_folders
from tests.algorithms.invariance_cases import CASES, Case, Table
from tests.faults.killed_runs import When, killed_at_record, killed_at_step

ROOT = Path(__file__).resolve().parents[2]
HOSTS = "localhost:1,localhost:2"
CHAOS = "3:kill=0.2,corrupt=0.15"
MACHINES: dict[str, dict[str, str]] = {
    "haswell": {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    "prescott": {"OPENBLAS_CORETYPE": "Prescott", "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"},
    "kernels off": {"MAPREDUCE_KERNELS": "off"},
    "no numba": {"INVARIANCE_WITHOUT": "numba"},
    "no vectors": {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3", "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F"},
}
"""What the environment of a process makes of its processor, BLAS and compiled loops."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a model is fitted: a value on each axis."""

    engine: str = "inline"
    splits: str = "default"
    order: str = "as is"
    files: str = "one"
    format: str = "csv"
    way: str = "fit"

    def __str__(self) -> str:
        plain = Way()
        changed = [
            getattr(self, each.name) for each in fields(self) if getattr(self, each.name) != getattr(plain, each.name)
        ]
        return " + ".join(changed) or "plain"


AXES: dict[str, tuple[str, ...]] = {
    "engine": ("inline", "1 worker", "2 workers", "3 workers", "7 workers", "cluster", "chaos", "killed"),
    "splits": ("default", "311B", "1000B", "3KB", "7777B", "1MB"),
    "order": ("as is", "shuffled", "reversed"),
    "files": ("one", "renamed", "two", "eleven"),
    "format": ("csv", "csv.gz", "other digits", "tsv", "parquet", "libsvm"),
    "way": ("fit", "refit", "forget", "merge", "cached", "beside", "saved"),
}
SEED = 3
"""With which all pairs of values meet in some model."""
SINGLE = [replace(Way(), **{axis: value}) for axis, values in AXES.items() for value in values[1:]]
FLOATS = ("partial fit", "npy", "doubles", "jsonl")
"""Ways of data whose numbers are binary floats: they are compared with the fit of the arrays."""


def ways_of(number: int) -> Iterator[Way]:
    """Runs of the model of that number: each value of each axis once at least; all models together meet most pairs."""
    draw = random.Random(f"{number} {SEED}")
    turns = max(map(len, AXES.values()))
    columns = []
    for values in AXES.values():
        column = [value for _ in range(turns // len(values) + 1) for value in draw.sample(values, len(values))]
        columns.append(column[:turns])
    for chosen in zip(*columns, strict=True):
        yield Way(**dict(zip(AXES, chosen, strict=True)))


def why_not(case: Case, way: Way | str) -> str | None:
    """Why this model is not fitted in that way; None if it is."""
    named = [way] if isinstance(way, str) else [getattr(way, each.name) for each in fields(way)]
    return next((case.excluded[name] for name in named if name in case.excluded), None)


def possible(way: Way) -> Way:
    """The same without what cannot go together."""
    if way.engine == "killed":  # a fork of a process that has read Parquet may hang; and one fit is killed, not several
        way = replace(way, way="fit", format="csv" if way.format == "parquet" else way.format, splits="1000B")
    if way.way == "beside" and (way.format == "libsvm" or way.files != "one"):
        way = replace(way, format="csv" if way.format == "libsvm" else way.format, files="one")
    if way.way in ("refit", "forget", "merge"):
        way = replace(way, files="two")
    if way.engine == "chaos" and way.splits in ("default", "1MB"):
        way = replace(way, splits="3KB")
    return way


class Settled:
    """An engine, with settings for all that runs on it."""

    def __init__(self, engine: mr.Engine, **settings: Any) -> None:
        self._engine, self._settings = engine, settings

    def run(self, job: Any, dataset: Any, **options: Any) -> Any:
        return self._engine.run(job, dataset, **self._settings, **options)

    def partials(self, fold: Any, dataset: Any, **options: Any) -> Any:
        return self._engine.partials(fold, dataset, **self._settings, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


class Workshop:
    """Engines that are started once, and digests of plain fits; `close` ends them."""

    def __init__(self, folder: Path, engines: Mapping[int, mr.Engine] | None = None) -> None:
        self.folder = folder
        self._resources = ExitStack()
        self._engines: dict[str, mr.Engine] = {
            f"{n} worker{'s' if n > 1 else ''}": engine for n, engine in (engines or {}).items()
        }
        self._known: dict[Any, str] = {}
        self._number = 0

    def close(self) -> None:
        self._resources.close()

    def engine(self, name: str) -> mr.Engine:
        if name not in self._engines:
            made = (
                mr.Engine("inline") if name == "inline" else mr.Engine("cluster", hosts=HOSTS) if name == "cluster"
                else mr.Engine(workers=int(name.split()[0]))
            )  # fmt: skip
            self._engines[name] = self._resources.enter_context(made)
        return self._engines[name]

    def new_folder(self) -> Path:
        self._number += 1
        folder = self.folder / f"{self._number:05d}"
        folder.mkdir(parents=True)
        return folder

    def plain(self, case: Case, *, coded: bool = False) -> str:
        """The digest of the fit of one CSV file in this process; `coded` where classes and columns have numbers."""
        key = (case, "coded" if coded else "plain")
        if key not in self._known:
            table = case.table.coded() if coded else case.table
            path = table.write(self.new_folder() / "plain.csv")
            self._known[key] = digest(case.estimator().fit(case.read(path, table), engine=self.engine("inline")), coded)
        return self._known[key]

    def arrays(self, case: Case) -> str:
        """The digest of the fit of the table as arrays."""
        if (case, "arrays") not in self._known:
            self._known[case, "arrays"] = digest(case.estimator().fit(*case.arrays()), True)
        return self._known[case, "arrays"]

    def wanted(self, case: Case, way: Way | str) -> str:
        if isinstance(way, str):
            return self.plain(case) if way in MACHINES else self.arrays(case)
        return self.plain(case, coded=way.format == "libsvm")

    def found(self, case: Case, way: Way | str) -> str:
        """The digest of the model that is fitted in this way."""
        if isinstance(way, str):
            return _of_arrays(case, way, self)
        if way.engine == "killed":
            return _killed(case, way, self)
        settings: dict[str, Any] = {} if way.splits == "default" else {"split_size": way.splits}
        if way.engine == "chaos":
            with mr.Engine(workers=2) as engine:  # whose workers come and go
                return _fitted(case, way, self, Settled(engine, chaos=CHAOS, **settings))
        return _fitted(case, way, self, Settled(self.engine(way.engine), **settings))


def digest(model: Any, coded: bool = False) -> str:
    """With `coded` columns have no names: formats differ in whether they have any."""
    if coded:
        model.feature_names_ = [f"x{number}" for number in range(len(model.feature_names_))]
        model.target_name_ = None
    return digest_of_model(model)


def _fitted(case: Case, way: Way, shop: Workshop, engine: Any) -> str:
    coded = way.format == "libsvm"
    table = (case.table.coded() if coded else case.table).ordered(way.order)
    folder = shop.new_folder()
    if way.way == "beside":
        return digest(case.estimator().fit(_beside(case, way, table, folder), engine=engine))
    paths = table.cut(folder, way.files, way.format)
    read = partial(case.read, table=table, format=way.format)
    if way.way == "merge":
        first, second = (case.estimator().fit(read(path), engine=engine) for path in paths)
        return digest(first.merge(second), coded)
    if way.way in ("refit", "forget"):
        return digest(_refitted(case, way, paths, read, engine), coded)
    dataset = read(folder if way.files == "eleven" else paths)
    model = case.estimator().fit(
        engine.cache(case.estimator().reads(dataset)) if way.way == "cached" else dataset, engine=engine
    )
    if way.way == "saved":
        model.save(folder / "model")
        model = load_model(folder / "model")
    return digest(model, coded)


def _refitted(case: Case, way: Way, paths: list[Path], read: Callable[[Any], mr.Dataset], engine: Any) -> Any:
    """From sums that were kept of the first file, with the second; to forget, with a third, which is a copy."""
    model = case.estimator().fit(read(paths[0]), engine=engine, keep_sums=True)
    if way.way == "refit":
        model.refit(read(paths[1]), engine=engine)
        return model
    copy = paths[0].with_name(f"copy-{paths[0].name}")
    copy.write_bytes(paths[1].read_bytes())
    model.refit(read([paths[1], copy]), engine=engine)
    model.forget(str(copy))
    return model


def _beside(case: Case, way: Way, table: Table, folder: Path) -> mr.Dataset:
    middle = len(table.header) // 2
    halves = [table.columns(table.header[:middle]), table.columns(table.header[middle:])]
    read = [
        part.read(part.cut(folder / f"{number}", "one", way.format), way.format) for number, part in enumerate(halves)
    ]
    return mr.beside(*read, **case.roles)


def _killed(case: Case, way: Way, shop: Workshop) -> str:
    """The tracker dies when a record of its journal is written; the same fit then goes on."""
    coded = way.format == "libsvm"
    table = (case.table.coded() if coded else case.table).ordered(way.order)
    folder = shop.new_folder()
    dataset = case.read(table.cut(folder / "data", way.files, way.format), table, way.format)

    def fit() -> Any:
        model = case.estimator()
        with mr.Engine("inline") as engine, engine.resumable(folder / "model"):
            model.fit(dataset, engine=Settled(engine, split_size=way.splits))
            model.save(folder / "model")
        return model

    if not killed_at_record(fit, 3, When.AFTER) and not killed_at_step(_afresh(fit, folder), 10, folder / "model"):
        raise AssertionError("the fit was never killed")
    try:
        return digest(fit(), coded)
    finally:
        remove_dead_folders()


def _afresh(fit: Callable[[], Any], folder: Path) -> Callable[[], Any]:
    """The fit, without what an earlier one has left: files that are one split have few records."""

    def run() -> None:
        shutil.rmtree(folder / "model", ignore_errors=True)
        fit()

    return run


def _of_arrays(case: Case, way: str, shop: Workshop) -> str:
    import numpy as np

    X, *y = case.arrays()
    if way == "partial fit":
        model = case.estimator()
        cuts = [0, max(len(X) // 3, 2), len(X) // 2, len(X)]
        parts = np.random.default_rng(1).permutation(len(X))
        for start, end in pairwise(cuts):
            rows = parts[start:end]
            model.partial_fit(X[rows], *(each[rows] for each in y))
        return digest(model, True)
    folder = shop.new_folder()
    matrix = np.column_stack([X, *y])
    target = X.shape[1] if y else None
    if way == "npy":
        np.save(folder / "rows.npy", matrix)
        return digest(case.estimator().fit(mr.read_npy(folder / "rows.npy", target=target)), True)
    if way == "jsonl":
        table = case.table.coded()
        path = table.write(folder / "rows.jsonl", "jsonl")
        return digest(case.estimator().fit(case.read(path, table, "jsonl"), engine=shop.engine("inline")), True)
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [f"x{number}" for number in range(matrix.shape[1])]
    pq.write_table(pa.table(dict(zip(names, matrix.T, strict=True))), folder / "rows.parquet", row_group_size=41)
    dataset = mr.read_parquet(folder / "rows.parquet", target=names[-1] if y else None)
    return digest(case.estimator().fit(dataset, engine=shop.engine("inline")), True)


def plain_digests(cases: list[str]) -> dict[str, str]:
    """Of some models, by name."""
    with tempfile.TemporaryDirectory() as folder:
        shop = Workshop(Path(folder))
        try:
            return {name: shop.plain(CASES[name]) for name in cases}
        finally:
            shop.close()


def digests_on(machine: str, cases: list[str]) -> dict[str, str]:
    """The same in a process of its own, which takes itself to be on that machine."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.algorithms.invariance", "--digests", *cases],
        cwd=ROOT,
        env={**os.environ, **MACHINES[machine]},
        capture_output=True,
        check=False,
        text=True,
        timeout=600,
    )
    if done.returncode:
        raise AssertionError(f"{machine}: {done.stderr}")
    return dict(line.split("\t") for line in done.stdout.splitlines())


@contextmanager
def a_workshop() -> Iterator[Workshop]:
    with tempfile.TemporaryDirectory() as folder:
        shop = Workshop(Path(folder))
        try:
            yield shop
        finally:
            shop.close()


def main(arguments: list[str]) -> int:
    names = [name for name in arguments if not name.startswith("-")] or list(CASES)
    if unknown := set(names) - set(CASES):
        print(f"no model {sorted(unknown)[0]!r}; choose from {', '.join(CASES)}", file=sys.stderr)
        return 2
    if "--digests" in arguments:
        if hidden := os.environ.get("INVARIANCE_WITHOUT"):
            sys.modules[hidden] = None  # type: ignore[assignment]
        for name, found in plain_digests(names).items():
            print(f"{name}\t{found}")
        return 0
    machines = {machine: digests_on(machine, names) for machine in MACHINES}
    wrong = 0
    with a_workshop() as shop:
        for number, name in enumerate(names):
            started = time.monotonic()
            lines = list(_differences(shop, name, number, machines))
            wrong += sum(line.startswith("DIFFERS") for line in lines)
            same = sum(line == "same" for line in lines)
            print(
                f"{name:34} {same:3} ways the same  {time.monotonic() - started:6.1f} s  {shop.plain(CASES[name])[:16]}"
            )
            for line in lines:
                if line != "same":
                    print(f"    {line}")
            sys.stdout.flush()
    print(f"{wrong} differ" if wrong else "no bit differs")
    return 1 if wrong else 0


def _differences(shop: Workshop, name: str, number: int, machines: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """A line for each way: `same`, what differs, or why it is not tried."""
    case = CASES[name]
    ways: list[Way | str] = [*SINGLE, *ways_of(number), *FLOATS, *machines]
    for way in ways:
        way = possible(way) if isinstance(way, Way) else way
        if reason := why_not(case, way):
            yield f"not {way}: {reason}"
            continue
        try:
            found = machines[way][name] if isinstance(way, str) and way in machines else shop.found(case, way)
        except Exception as error:
            yield f"DIFFERS {way}: {type(error).__name__}: {error}"
            continue
        yield "same" if found == shop.wanted(case, way) else f"DIFFERS {way}: {found[:16]}"


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
