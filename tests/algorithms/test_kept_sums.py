"""Is a model that was fitted again from kept sums the model of a fresh fit, bit for bit, and does it read no more?"""

from __future__ import annotations

import errno
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from algorithms import models
from algorithms.kept_sums import KeptSums
from algorithms.linear_regression import LinearRegression
from algorithms.models import digest_of_model, load_model
from mapreduce.storage.locks import take_lock

MONTHS = {"jan": 300, "feb": 200, "mar": 100}


@pytest.fixture
def months(tmp_path: Path) -> Path:
    """A folder of three tables of the same columns."""
    folder = tmp_path / "sales"
    folder.mkdir()
    for number, (name, rows) in enumerate(MONTHS.items()):
        write(folder / f"{name}.csv", rows, seed=number)
    return folder


def write(path: Path, rows: int, seed: int) -> None:
    path.write_text("area,rooms,price\n" + lines(rows, seed))


def lines(rows: int, seed: int) -> str:
    draw = random.Random(seed)
    table = []
    for _ in range(rows):
        area, rooms = draw.randint(40, 400) / 2, draw.randint(1, 6)
        table.append(f"{area},{rooms},{1000 * area + 5000 * rooms + draw.gauss(0, 300):.2f}\n")
    return "".join(table)


def read(*paths: Path) -> mr.Dataset:
    return mr.read_csv(*paths, target="price")


def fresh(*paths: Path, **parameters: Any) -> str:
    with mr.Engine("inline") as engine:
        return digest_of_model(LinearRegression(**parameters).fit(read(*paths), engine=engine))


class SmallSplits(mr.Engine):
    """Cuts into pieces that a test can count."""

    def __init__(self) -> None:
        super().__init__("inline")

    def partials(self, fold: Any, dataset: Any, **settings: Any) -> Any:
        return super().partials(fold, dataset, **{"split_size": "1KB", **settings})


def kept_model(*paths: Path) -> LinearRegression:
    with SmallSplits() as engine:
        return LinearRegression().fit(read(*paths), engine=engine, keep_sums=True)


def test_keeping_sums_changes_no_bit(months: Path) -> None:
    model = kept_model(months / "jan.csv", months / "feb.csv")
    assert digest_of_model(model) == fresh(months / "jan.csv", months / "feb.csv")
    assert model.kept_sums_ is not None
    assert len(model.kept_sums_.contents) > 5


def test_new_files_are_added(months: Path) -> None:
    model = kept_model(months / "jan.csv", months / "feb.csv")
    with SmallSplits() as engine:
        changes = model.refit(read(months / "mar.csv"), engine=engine)
    assert [Path(path).name for path in changes.added] == ["mar.csv"]
    assert (changes.changed, changes.dropped, changes.mapped) == ([], [], changes.splits)
    assert digest_of_model(model) == fresh(months)


def test_what_was_read_is_not_read_again(months: Path) -> None:
    model = kept_model(months)
    with SmallSplits() as engine:
        changes = model.refit(read(months), engine=engine)
    assert (changes.mapped, len(changes.same)) == (0, 3)
    assert digest_of_model(model) == fresh(months)


def test_of_a_file_that_grew_the_end_is_read(months: Path) -> None:
    model = kept_model(months)
    with (months / "jan.csv").open("a") as file:
        file.write(lines(120, seed=9))
    with SmallSplits() as engine:
        changes = model.refit(read(months / "jan.csv"), engine=engine)
    assert [Path(path).name for path in changes.changed] == ["jan.csv"]
    assert 1 <= changes.mapped <= changes.splits // 2
    assert digest_of_model(model) == fresh(months)


def test_a_file_with_other_rows_takes_its_own_place(months: Path) -> None:
    model = kept_model(months)
    write(months / "feb.csv", 50, seed=77)
    with SmallSplits() as engine:
        model.refit(read(months / "feb.csv"), engine=engine)
    assert digest_of_model(model) == fresh(months)


def test_only_drops_the_others(months: Path) -> None:
    model = kept_model(months)
    (months / "feb.csv").rename(months / "renamed.csv")
    with SmallSplits() as engine:
        changes = model.refit(read(months / "jan.csv", months / "renamed.csv"), engine=engine, only=True)
    assert changes.mapped == 0, "what a split holds decides, not what its file is called"
    assert sorted(Path(path).name for path in changes.dropped) == ["feb.csv", "mar.csv"]
    assert digest_of_model(model) == fresh(months / "jan.csv", months / "renamed.csv")


def test_a_forgotten_file_was_never_seen(months: Path) -> None:
    model = kept_model(months)
    (months / "feb.csv").unlink()
    proof = model.forget(str(months / "feb.csv"))
    assert proof.holds
    assert proof.rows == MONTHS["feb"]
    assert proof.before != proof.subtracted == proof.afresh
    assert proof.afresh == kept_model(months).kept_sums_.total().digest()  # type: ignore[union-attr]
    assert digest_of_model(model) == fresh(months)


def test_another_target_and_fewer_columns_need_no_data(months: Path) -> None:
    model = kept_model(months)
    model.fit_kept(["price"], "area")
    with mr.Engine("inline") as engine:
        dataset = mr.read_csv(months, target="area", features=["price"])
        assert digest_of_model(model) == digest_of_model(LinearRegression().fit(dataset, engine=engine))
    penalised = LinearRegression(alpha=2.5)
    penalised.fit_kept(["area", "rooms"], "price", model.kept_sums_)
    assert digest_of_model(penalised) == fresh(months, alpha=2.5)


def test_kept_sums_come_back_from_a_file(months: Path, tmp_path: Path) -> None:
    model = kept_model(months)
    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert isinstance(loaded, LinearRegression)
    assert loaded.kept_sums_ is not None
    assert loaded.kept_sums_ == model.kept_sums_
    assert loaded.kept_sums_.to_bytes() == model.kept_sums_.to_bytes()
    assert loaded.lineage_.items() >= model.lineage_.items()
    assert loaded.lineage_["files"] == 3
    next((tmp_path / "model").glob("sums-*")).write_bytes(b"{}")
    with pytest.raises(mr.UsageError, match="is damaged: sums-.* does not hold what it held"):
        load_model(tmp_path / "model")


def test_files_are_found_by_folder_and_where_they_have_moved(months: Path) -> None:
    kept = kept_model(months).kept_sums_
    assert isinstance(kept, KeptSums)
    assert len(kept.named(str(months))) == 3
    assert kept.named("sales/feb.csv") == [str(months / "feb.csv")]
    with pytest.raises(mr.UsageError, match=r"nothing from apr\.csv; it knows .*feb\.csv"):
        kept.named("apr.csv")


def test_sums_of_other_options_are_refused(months: Path) -> None:
    model = kept_model(months)
    with pytest.raises(mr.UsageError, match="needs other sums than those kept"):
        LinearRegression(degree=2).fit_kept(["area"], "price", model.kept_sums_)
    with pytest.raises(mr.UsageError, match="no sums of a column 'are' are kept.*area"):
        model.fit_kept(["are"], "price")


Run = Callable[..., Any]


def test_from_the_command_line(months: Path, tmp_path: Path, run_cli: Run) -> None:
    model = tmp_path / "model"
    jan, feb, mar = (str(months / f"{name}.csv") for name in MONTHS)
    fit = ("fit", "linear_regression", "--target", "price", "-q")
    assert run_cli(*fit, jan, feb, "--keep-sums", "-o", model).rc == 0
    done = run_cli("refit", model, mar)
    assert (done.rc, "files: 1 added; read" in done.err) == (0, True)
    assert run_cli(*fit, jan, feb, mar, "-o", tmp_path / "all").rc == 0
    assert digest(model) == digest(tmp_path / "all")
    twin = tmp_path / "copy.csv"
    twin.write_bytes(Path(mar).read_bytes())
    assert "its rows count twice" in run_cli("refit", model, twin, "-o", tmp_path / "twice").err
    proof = json.loads(run_cli("forget", model, mar, "--json").out)
    assert proof["holds"]
    assert proof["sums_less_the_files"] == proof["sums_of_all_others"]
    assert run_cli(*fit, jan, feb, "-o", tmp_path / "two").rc == 0
    assert digest(model) == digest(tmp_path / "two")
    other = json.loads(run_cli("refit", model, "--target", "area", "--json", "-o", tmp_path / "area").out)
    assert list(other["coef"]) == ["rooms", "price"]


def digest(model: Path) -> str:
    return str(json.loads((model / "model.json").read_text())["digest"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fit", "kmeans", "{jan}", "--keep-sums", "-o", "{new}"), "does not learn from sums of one pass"),
        (("fit", "linear_regression", "{jan}", "--target", "price", "--keep-sums"), "needs a folder"),
        (("refit", "{plain}", "{jan}"), "keeps no sums; fit it with --keep-sums"),
        (("refit", "{kept}", "--only"), "--only says which files"),
        (("refit", "{kept}", "{other}"), "no column 'rooms'"),
        (("refit", "{kept}", "--algorithm", "kmeans"), "does not learn from sums"),
        (("refit", "{kept}", "--set", "alpah=1"), "alpha"),
        (("refit", "{kept}", "--features", "area,room"), "did you mean 'rooms'"),
        (("forget", "{kept}", "{other}"), "has learned nothing from"),
        (("forget", "{kept}", "{jan}"), "has learned from no other rows"),
        (("forget", "{plain}", "{jan}"), "keeps no sums"),
        (("forget", "{new}", "{jan}"), "is no model"),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], message: str, months: Path, tmp_path: Path, run_cli: Run) -> None:
    jan = months / "jan.csv"
    LinearRegression().fit(read(jan)).save(tmp_path / "plain")
    kept_model(jan).save(tmp_path / "kept")
    (tmp_path / "other.csv").write_text("area,price\n1,2\n2,3\n")
    before = digest(tmp_path / "kept")
    names = {name: tmp_path / name for name in ("plain", "kept", "new")}
    done = run_cli(*(each.format(jan=jan, other=tmp_path / "other.csv", **names) for each in arguments))
    assert (done.rc, message in done.err) == (2, True), done.err
    assert digest(tmp_path / "kept") == before


def test_a_model_tells_by_which_code_it_was_fitted_again(months: Path, tmp_path: Path, run_cli: Run) -> None:
    model = tmp_path / "model"
    jan, feb = (str(months / f"{name}.csv") for name in ("jan", "feb"))
    assert run_cli("fit", "linear_regression", jan, "--target", "price", "--keep-sums", "-o", model).rc == 0
    first = lineage(model)
    assert run_cli("refit", model, feb).rc == 0
    then = lineage(model)
    assert then["code"] == first["code"] and then["packages"] == first["packages"]
    assert (then["files"], then["splits"] != first["splits"]) == (2, True)
    assert run_cli("forget", model, feb).rc == 0
    assert {**first, "bytes": None} == {**lineage(model), "bytes": None}


def lineage(model: Path) -> Any:
    return json.loads((model / "model.json").read_text())["lineage"]


@pytest.mark.parametrize("command", ["refit", "forget"])
def test_one_at_a_time_changes_a_model(command: str, months: Path, tmp_path: Path, run_cli: Run) -> None:
    model, jan, feb = tmp_path / "model", str(months / "jan.csv"), str(months / "feb.csv")
    assert run_cli("fit", "linear_regression", jan, feb, "--target", "price", "--keep-sums", "-o", model).rc == 0
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    lock = take_lock(model / "_lock")
    try:
        refused = run_cli(command, model, feb)
        assert refused.rc == 2
        assert f"another refit or forget is changing {model} (pid {os.getpid()})" in refused.err
        assert "-o" in refused.err
        assert run_cli(command, model, feb, "-o", tmp_path / "other").rc == 0
    finally:
        lock.path.unlink()
        lock.release()
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before
    assert run_cli(command, model, feb).rc == 0
    assert not (model / "_lock").exists()


def test_a_full_disk_leaves_the_old_model(months: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = kept_model(months / "jan.csv")
    model.save(tmp_path / "model")
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    model.refit(read(months / "feb.csv"))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(mr.ResourceError, match="cannot be written to .*: No space left on device"):
        model.save(tmp_path / "model")
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == before


def test_who_reads_a_model_while_it_is_replaced_reads_the_new_one(
    months: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    old, new = kept_model(months / "jan.csv"), kept_model(months / "feb.csv")
    old.save(folder)
    whole, waiting = models._whole, [new]

    def read_late(path: Path) -> bytes:
        while waiting:
            waiting.pop().save(folder)
        return whole(path)

    monkeypatch.setattr(models, "_whole", read_late)
    assert digest_of_model(load_model(folder)) == digest_of_model(new)
    next(folder.glob("arrays-*")).unlink()
    with pytest.raises(mr.UsageError, match="is damaged"):
        load_model(folder)
