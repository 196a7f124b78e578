"""Does `mapreduce simulate` do what its options say, and is every mistake told in one clear message?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.cli.main import main


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What is printed: on stdout if all went well, else on stderr."""
    assert main(["simulate", *arguments]) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


def page(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(told(capsys, *arguments, "--json"))
    return loaded


def test_one_run(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, "--maps", "8", "--reduces", "2", "--map-seconds", "10", "--reduce-seconds", "5", "--hosts", "4")
    assert "job        8 map and 2 reduce tasks on 4 hosts\n" in text
    assert "makespan   25.0 s\n" in text
    assert "stages     map 0 s to 20.0 s, reduce 20.0 s to 25.0 s\n" in text
    assert "backups    0 started, 0 won\n" in text


def test_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    faults = "--crash 1 --crash 2@30 --stragglers 0.1:5 --slow-disks 2:20 --partition 2@20+30 --stop 1@10+50"
    more = "--lost-outputs 0.01 --repair 20 --notice 5 --backups slow --slots 2 --seed 4"
    [run] = page(capsys, "--maps", "300", "--reduces", "20", "--hosts", "20", *faults.split(), *more.split())["runs"]
    assert run["outcome"] == "succeeded"
    assert (run["cuts"], run["stops"]) == (2, 1)
    assert run["crashes"] >= 2
    assert run["wasted_seconds"] > 0
    assert run["cost"]["decisions_per_second"] > 0


def test_several_hosts_make_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, "--hosts", "1,2,50", "--maps", "4", "--reduces", "0", "--map-seconds", "10")
    rows = [line.split() for line in text.splitlines()]
    assert [row[0] for row in rows[:4]] == ["workers", "1", "2", "50"]
    assert [row[3] for row in rows[1:4]] == ["1.00", "2.00", "4.00"]
    assert rows[1][1:3] == ["40.0", "s"]
    assert text.splitlines()[-1] == "2 workers pay: 2.0 times as fast as one. 50 workers would be 100% faster."


def test_folds_and_maps_alone(capsys: pytest.CaptureFixture[str]) -> None:
    fold = told(capsys, "--maps", "64", "--fold", "--hosts", "64", "--map-seconds", "10", "--reduce-seconds", "5")
    assert "64 map and 2 reduce-1 and 1 reduce tasks" in fold
    assert "makespan   20.0 s" in fold
    assert "job        5 map tasks on 100 hosts" in told(capsys, "--maps", "5", "--reduces", "0")


def test_preset(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, "--preset", "osdi-sort", "--hosts", "100")
    assert "859 map and 229 reduce tasks on 100 hosts" in text


class Lengths(mr.Job):
    reduce = mr.Sum()

    def map(self, line: str) -> Iterator[tuple[int, int]]:
        yield len(line), 1


def test_replay_of_a_real_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = tmp_path / "in.txt", tmp_path / "out"
    source.write_text("".join(f"line {number}\n" for number in range(20_000)))
    mr.run(Lengths(), mr.read_text(source), output=output, engine="inline", split_size=20_000)
    text = told(capsys, "--from", str(output))
    assert text.startswith("Lengths: 11 map tasks, 1 reduce task; ")
    assert [line.split()[0] for line in text.splitlines()[1:7]] == ["workers", "1", "2", "4", "8", "16"]
    answer = page(capsys, "--from", str(output), "--hosts", "1,3")
    assert answer["from"]["job"] == "Lengths"
    alone, three = answer["speedups"]
    assert alone["speedup"] == pytest.approx(1.0)
    assert 1.0 <= three["speedup"] <= 3.0
    err = told(capsys, "--from", str(output), "--maps", "3", code=2)
    assert "--maps does not go with --from: the tasks are those of the past job" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--hosts 0", "--hosts: '0' is no number of hosts; write 100, or several in order: 1,2,4,8"),
        ("--hosts 4,2", "--hosts: '4,2' is no number of hosts"),
        ("--maps 0", "'--maps'"),
        ("--map-seconds -1", "--map-seconds: '-1' is not a time; write seconds above 0: 10, uniform:5:15"),
        ("--map-seconds lognormal:10", "--map-seconds: 'lognormal:10' is not a time"),
        ("--reduce-seconds fast", "--reduce-seconds: 'fast' is not a time"),
        ("--crash often", "--crash: 'often' is no crash; write crashes a host and hour (0.1) or COUNT@SECONDS"),
        ("--stragglers 0.1", "--stragglers: '0.1' is no slowness; write SHARE:FACTOR (0.02:10)"),
        ("--slow-disks 0.1:0.5", "--slow-disks: '0.1:0.5' is no slowness"),
        ("--partition 3", "--partition: '3' names no hosts and times; write COUNT@SECONDS+SECONDS"),
        ("--stop 3@5", "--stop: '3@5' names no hosts and times"),
        ("--lost-outputs 2", "--lost-outputs: '2' is no share; write a number from 0 to 1"),
        ("--repair soon", "--repair: 'soon' is no time; write seconds from 0 on, or never"),
        ("--backups always", "'--backups'"),
        ("--fold --reduces 3", "--reduces does not go with --fold"),
        ("--preset osdi", "'--preset'"),
        (
            "--preset million --crash 1",
            "--crash does not go with --preset, which takes --hosts, --seed and those of the network",
        ),
        ("--preset million --from out", "give one of them"),
        ("--from nowhere", "no event log nowhere"),
        ("--hostes 3", "no option --hostes; did you mean --hosts"),
    ],
)
def test_mistakes(arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    err = told(capsys, *arguments.split(), code=2)
    assert message in err
    assert "Traceback" not in err
