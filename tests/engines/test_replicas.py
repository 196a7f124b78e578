"""Who copies what, when, and what follows from it: decisions as lists of what happens, and a copier without a wire."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.dataflow.package import JobPackage
from mapreduce.dataflow.results import Output
from mapreduce.engines.chaos import ChaosExecutor, parse_chaos
from mapreduce.engines.cluster import ClusterExecutor
from mapreduce.engines.copier import Copier, Wish
from mapreduce.engines.copies import CHOICES, TRIES, UNDERWAY, Copies, Order
from mapreduce.engines.hub import Hub
from mapreduce.engines.meeting import Begin, CopyOrder, CopyTrouble, Have, encode_pid
from mapreduce.errors import UsageError
from mapreduce.ids import AttemptId, TaskId
from mapreduce.service.leased import LeasedExecutor
from mapreduce.storage.traffic import Link, Moved, Way
from mapreduce.tracker.executor import Copied, Lost, OutputsGone, Ready, Report
from mapreduce.wire.messages import Hello, Kind, Message
from tests.engines.lived import Words, wait_until
from tests.engines.test_cluster_executor import FakeCarrier
from tests.engines.test_hub import HELLO, FakeWire


def map_(index: int, number: int = 0) -> AttemptId:
    return AttemptId(TaskId(0, index), number)


def output(host: str, index: int, bytes_: int = 100) -> Output:
    return Output(f"@{host}/_job/segments/{index}.seg", bytes=bytes_)


def copies(replicas: int, *hosts: str) -> Copies:
    made = Copies(replicas)
    for host in hosts:
        made.joined(host)
    return made


# --- decisions


def test_a_committed_output_is_copied_to_another_host() -> None:
    scene = copies(2, "a", "b")
    scene.committed(map_(0), output("a", 0))
    assert scene.orders() == [Order("b", map_(0), "@a/_job/segments/0.seg", 100)]
    assert scene.orders() == [], "once is enough"
    assert scene.counts() == (1, 0)
    assert scene.copied("b", map_(0))
    assert scene.counts() == (1, 1) and scene.orders() == []


def test_copies_spread_the_load() -> None:
    scene = copies(2, "a", "b", "c", "d")
    held: Counter[str] = Counter()
    for index in range(90):
        scene.committed(map_(index), output("a", index, bytes_=index % 7))
        for order in scene.orders():
            scene.copied(order.host, order.attempt)
            held[order.host] += order.bytes
    assert held.keys() == {"b", "c", "d"} and max(held.values()) - min(held.values()) <= 7


def test_among_many_hosts_not_all_are_looked_at_and_yet_none_has_much() -> None:
    hosts = [f"h{number:03}" for number in range(10 * CHOICES)]
    scene = copies(2, *hosts)
    held: Counter[str] = Counter()
    for index in range(1600):
        scene.committed(map_(index), output(hosts[index % len(hosts)], index))
        (order,) = scene.orders()
        scene.copied(order.host, order.attempt)
        held[order.host] += 1
    assert max(held.values()) <= 2 * 1600 // len(hosts), "of 10 on the average"


def test_more_replicas_than_hosts_are_as_many_as_there_are() -> None:
    scene = copies(5, "a", "b")
    scene.committed(map_(0), output("a", 0))
    assert [order.host for order in scene.orders()] == ["b"]
    scene.copied("b", map_(0))
    assert scene.orders() == [] and scene.counts() == (1, 1) and scene.wanted == 2
    scene.joined("c")
    assert [(order.host, order.path) for order in scene.orders()] == [("c", "@a+b/_job/segments/0.seg")]


def test_another_machine_comes_first() -> None:
    """Two agents of one machine go together."""
    scene = Copies(2)
    for host, machine in (("a", "10.0.0.1"), ("a.2", "10.0.0.1"), ("b", "10.0.0.2")):
        scene.joined(host, machine)
    for index in range(UNDERWAY + 1):
        scene.committed(map_(index), output("a", index))
    assert [order.host for order in scene.orders()] == ["b"] * UNDERWAY + ["a.2"]


def test_a_host_has_few_orders_at_a_time() -> None:
    scene = copies(2, "a", "b")
    for index in range(10):
        scene.committed(map_(index), output("a", index))
    first = scene.orders()
    assert [order.attempt for order in first] == [map_(index) for index in range(UNDERWAY)]
    assert scene.orders() == []
    scene.copied("b", map_(1))
    assert [order.attempt for order in scene.orders()] == [map_(UNDERWAY)]


def test_who_waits_for_a_busy_host_does_not_hold_up_others() -> None:
    scene = copies(2, "a", "b")
    for index in range(10):
        scene.committed(map_(index), output("a", index))
    scene.orders()
    scene.committed(map_(10), output("b", 10))
    assert scene.orders() == [Order("a", map_(10), "@b/_job/segments/10.seg", 100)]


def test_a_host_that_leaves_has_its_orders_done_by_others() -> None:
    scene = copies(2, "a", "b")
    scene.committed(map_(0), output("a", 0))
    assert [order.host for order in scene.orders()] == ["b"]
    scene.left("b")
    assert scene.orders() == []
    assert not scene.copied("b", map_(0)), "what it says later does not count"
    scene.joined("c")
    assert [order.host for order in scene.orders()] == ["c"]


def test_what_is_left_of_a_host_that_is_gone_is_copied_anew() -> None:
    scene = copies(2, "a", "b", "c")
    scene.committed(map_(0), output("a", 0))
    (order,) = scene.orders()
    scene.copied(order.host, map_(0))
    scene.left("a")
    scene.gone("a")
    (again,) = scene.orders()
    assert again.path == f"@{order.host}/_job/segments/0.seg" and again.host not in ("a", order.host)


def test_what_is_gone_is_not_copied() -> None:
    scene = copies(2, "a", "b")
    scene.committed(map_(0), output("a", 0))
    scene.left("a")
    scene.gone("a")
    assert scene.orders() == [] and scene.counts() == (0, 0)


def test_an_output_that_was_made_again_is_copied_anew() -> None:
    scene = copies(2, "a", "b", "c")
    scene.committed(map_(0), output("a", 0))
    (order,) = scene.orders()
    scene.committed(map_(0, 1), output("b", 0))
    assert not scene.copied(order.host, map_(0)), "it is a copy of what does not count any more"
    (again,) = scene.orders()
    assert again.attempt == map_(0, 1) and again.host != "b"
    assert scene.copied(again.host, map_(0, 1))


def test_who_can_not_copy_an_output_is_not_asked_again_for_it() -> None:
    scene = copies(2, "a", "b", "c")
    scene.committed(map_(0), output("a", 0))
    (order,) = scene.orders()
    scene.not_copied(order.host, map_(0), ours=False)
    (other,) = scene.orders()
    assert {order.host, other.host} == {"b", "c"}
    scene.not_copied(other.host, map_(0), ours=False)
    assert scene.orders() == []


def test_a_host_whose_disk_is_full_is_left_alone() -> None:
    scene = copies(2, "a", "b")
    for index in range(TRIES + 2):
        scene.committed(map_(index), output("a", index))
    for order in scene.orders():
        scene.not_copied(order.host, order.attempt, ours=True)
    assert scene.orders() == []
    scene.left("b")
    scene.joined("b")
    assert len(scene.orders()) == UNDERWAY, "another disk, or room on the old one"


def test_a_host_that_is_avoided_gets_no_copies() -> None:
    scene = copies(2, "a", "b", "c")
    for index in range(4):
        scene.committed(map_(index), output("a", index))
    assert {order.host for order in scene.orders({"b"})} == {"c"}


def test_what_a_journal_tells_of_is_copied_as_well() -> None:
    scene = Copies(2)
    scene.committed(map_(0), output("a", 0))
    scene.committed(map_(1), output("a+b", 1))
    scene.committed(map_(2), Output(inline=b"small"))
    assert scene.orders() == []
    scene.joined("a")
    scene.joined("b")
    assert [(order.host, order.attempt) for order in scene.orders()] == [("b", map_(0))]


@settings(deadline=None, max_examples=150)
@given(st.integers(2, 4), st.lists(st.tuples(st.sampled_from("cjlgyno"), st.integers(0, 5)), max_size=60))
def test_whatever_happens(replicas: int, happenings: list[tuple[str, int]]) -> None:
    """No copy lies beside another, none is ordered that nobody needs, and in the end all are there."""
    scene, here, underway = Copies(replicas), set[str](), dict[tuple[str, TaskId], AttemptId]()
    lies: dict[TaskId, set[str]] = {}
    number = 0

    def order() -> None:
        for order in scene.orders():
            task = order.attempt.task
            assert order.host in here and order.host not in lies[task]
            assert (order.host, task) not in underway
            assert set(order.path[1:].partition("/")[0].split("+")) == lies[task]
            underway[order.host, task] = order.attempt
            assert len(lies[task]) + sum(other == task for _, other in underway) <= replicas
            assert sum(host == order.host for host, _ in underway) <= UNDERWAY

    def answer(key: tuple[str, TaskId], *, made: bool) -> None:
        attempt = underway.pop(key)
        if not made:
            scene.not_copied(key[0], attempt, ours=False)
        elif scene.copied(key[0], attempt):
            lies[key[1]].add(key[0])

    for what, choice in happenings:
        host = "abcdef"[choice]
        if what == "c" and host in here:
            number += 1
            task = TaskId(0, choice % 3)
            scene.committed(AttemptId(task, number), output(host, number))
            lies[task] = {host}
            underway = {key: attempt for key, attempt in underway.items() if key[1] != task}
        elif what == "j" and host not in here:
            here.add(host)
            scene.joined(host)
        elif what in "lg" and host in here:
            here.discard(host)
            scene.left(host)
            underway = {key: attempt for key, attempt in underway.items() if key[0] != host}
            if what == "g":
                scene.gone(host)
                lies = {task: hosts - {host} for task, hosts in lies.items() if hosts - {host}}
                underway = {key: attempt for key, attempt in underway.items() if key[1] in lies}
        elif what in "yn" and underway:
            answer(sorted(underway)[choice % len(underway)], made=what == "y")
        elif what == "o":
            order()
    for host in "uvwx":
        here.add(host)
        scene.joined(host)
    for _ in range(100):
        order()
        for key in sorted(underway):
            answer(key, made=True)
    assert all(len(hosts) >= replicas for hosts in lies.values())
    assert scene.counts() == (len(lies), len(lies))


# --- between hub and driver


class Scene:
    """A job of two stages whose outputs are copied, on hosts with a worker each."""

    def __init__(self, replicas: int, *hosts: str) -> None:
        self.wire = FakeWire()
        self.notes: list[str] = []
        hub = Hub(self.wire, clock=self.wire.clock)
        self.executor = ClusterExecutor(
            hub, Begin("job-1"), JobPackage("job-1", b""), 1, FakeCarrier(), self.notes.append, replicas=replicas
        )
        for host in hosts:
            hello = Hello("agent", HELLO.release, HELLO.python, host, 1, f"scratch of {host}")
            self.say(host, Message(Kind.HELLO, body=hello.encode()))
            self.say(host, Message(Kind.READY, worker=0, body=encode_pid(500)))
        assert [type(report) for report in self.wait()] == [Ready] * len(hosts)

    def say(self, host: str, message: Message) -> None:
        self.wire.inbox.append((host.encode(), message))

    def wait(self) -> list[Report]:
        return self.executor.wait(0)

    def orders(self) -> list[tuple[str, CopyOrder]]:
        sent = [(peer.decode(), CopyOrder.decode(said.body)) for peer, said in self.wire.sent if said.kind == Kind.COPY]
        self.wire.sent.clear()
        return sent


def test_a_copy_is_ordered_reported_and_told_of() -> None:
    scene = Scene(2, "a", "b")
    scene.executor.committed(map_(0), output("a", 0))
    scene.wait()
    assert scene.orders() == [("b", CopyOrder("@a/_job/segments/0.seg", 100))]
    scene.say("b", Message(Kind.HAVE, 1, map_(0), body=Have("a", 100, 0.5).encode()))
    assert scene.wait() == [Copied(map_(0), "b")]
    scene.executor.close()
    assert scene.notes[-1] == (
        "replicas: 1 of 1 map outputs were on 2 hosts; 1 copy of map outputs, 100 B in 0.5 s of copying: a -> b 100 B"
    )
    assert scene.executor.moved[Link("a", "b", Way.COPY)] == Moved(100, 0.5)


def test_without_replicas_nobody_hears_of_hosts_or_copies() -> None:
    scene = Scene(1, "a", "b")
    scene.executor.committed(map_(0), output("a", 0))
    assert scene.wait() == [] and scene.orders() == []
    scene.say("b", Message(Kind.HAVE, 1, map_(0), body=Have("a", 100, 0.5).encode()))
    scene.say("b", Message(Kind.BYE))
    assert [type(report) for report in scene.wait()] == [Lost, OutputsGone]


def test_a_copy_of_another_job_or_of_nobody_is_none() -> None:
    scene = Scene(2, "a", "b")
    scene.say("b", Message(Kind.HAVE, 7, map_(0), body=Have("a", 100, 0.5).encode()))
    scene.say("b", Message(Kind.HAVE, 1, map_(0), body=Have("a", 100, 0.5).encode()))
    scene.say("b", Message(Kind.HAVE, 1, body=Have("a", 100, 0.5).encode()))
    assert scene.wait() == []


def test_nonsense_about_copies_costs_the_session() -> None:
    scene = Scene(2, "a", "b")
    scene.say("b", Message(Kind.HAVE, 1, map_(0), body=(b"{}",)))
    assert [type(report) for report in scene.wait()] == [Lost, OutputsGone]


def test_why_a_host_has_no_copies_is_told_once() -> None:
    scene = Scene(3, "a", "b")
    for index in range(2):
        scene.executor.committed(map_(index), output("a", index))
    scene.wait()
    trouble = CopyTrouble("No space left on device", ours=True)
    for index in range(2):
        scene.say("b", Message(Kind.NO_COPY, 1, map_(index), body=trouble.encode()))
    assert scene.wait() == []
    scene.executor.close()
    assert scene.notes[-2:] == [
        "replicas: 0 of 2 map outputs were on 2 hosts (3 were asked for, and no more hosts were there)",
        "no copy on host b: No space left on device",
    ]


def with_leases(executor: Any) -> Any:
    return LeasedExecutor(executor, dict, lambda host, slots: None)


def with_chaos(executor: Any) -> Any:
    return ChaosExecutor(executor, parse_chaos("7", "job-1"), lambda sentence: None)


@pytest.mark.parametrize("wrap", [with_leases, with_chaos])
def test_executors_in_between_pass_on_what_counts(wrap: Callable[[Any], Any]) -> None:
    told: list[AttemptId] = []
    inner = SimpleNamespace(workers=list, committed=lambda attempt, output: told.append(attempt))
    wrap(inner).committed(map_(0), output("a", 0))
    assert told == [map_(0)]
    wrap(SimpleNamespace(workers=list)).committed(map_(0), output("a", 0))


def test_a_copy_of_a_host_that_leaves_at_once_is_told_before_its_end() -> None:
    """Or the driver would believe in it for good."""
    scene = Scene(2, "a", "b")
    scene.executor.committed(map_(0), output("a", 0))
    scene.wait()
    scene.say("b", Message(Kind.HAVE, 1, map_(0), body=Have("a", 100, 0.5).encode()))
    scene.say("b", Message(Kind.BYE))
    assert [type(report) for report in scene.wait()] == [Copied, Lost, OutputsGone]


def test_an_engine_of_one_host_makes_no_copies() -> None:
    with mr.Engine(replicas=2) as engine, pytest.raises(UsageError, match="replicas .* copies on other hosts"):
        engine.run(Words(), mr.from_records([]))
    with pytest.raises(UsageError, match="replicas is 0; it must be at least 1"):
        mr.Engine(replicas=0)


# --- making them


@dataclass
class FakeClient:
    """What other hosts have; a read of one that is not here fails. `meanwhile` happens when half of a file is here."""

    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    meanwhile: Callable[[], None] = lambda: None
    asked: list[str] = field(default_factory=list)

    def fetch(self, host: str, path: str, file: BinaryIO, check: Callable[[], None]) -> Any:
        self.asked.append(host)
        if (host, path) not in self.files:
            raise OSError(errno.EHOSTUNREACH, "out of reach")
        data = self.files[host, path]
        file.write(data[: len(data) // 2])
        self.meanwhile()
        check()
        file.write(data[len(data) // 2 :])

    def close(self) -> None: ...


REST = "_job/segments/0-0-0.seg"


class CopierScene:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.client = FakeClient()
        self.copier = Copier("c", lambda: self.client)  # type: ignore[arg-type,return-value]

    def told(self, path: str, bytes_: int) -> Have | CopyTrouble:
        self.copier.ask(Wish(1, map_(0), str(self.root), "job", CopyOrder(path, bytes_)))
        found: list[Any] = []

        def answered() -> bool:
            found.extend(self.copier.answers())
            return bool(found)

        wait_until(answered, "an answer")
        (answer,) = found
        assert answer[:2] == (1, map_(0))
        return answer.told  # type: ignore[no-any-return]

    def left(self) -> list[str]:
        return [str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[CopierScene]:
    made = CopierScene(tmp_path)
    yield made
    made.copier.close()


def test_a_copy_is_whole_or_not_there(scene: CopierScene) -> None:
    scene.client.files["a", f"job/{REST}"] = b"0123456789"
    scene.client.meanwhile = lambda: halves.extend(scene.left())
    halves: list[str] = []
    told = scene.told(f"@a/{REST}", 10)
    assert isinstance(told, Have) and (told.source, told.bytes) == ("a", 10)
    assert (scene.root / REST).read_bytes() == b"0123456789"
    assert scene.left() == [REST] and REST not in halves and len(halves) == 1
    assert scene.told(f"@a/{REST}", 10) == Have("c", 0, 0.0), "it lies here already"


def test_the_next_host_is_asked_where_the_first_is_out_of_reach(scene: CopierScene) -> None:
    scene.client.files["b", f"job/{REST}"] = b"0123456789"
    told = scene.told(f"@a+b+d/{REST}", 10)
    assert isinstance(told, Have) and told.source == "b"
    assert scene.client.asked[-1] == "b"


@pytest.mark.parametrize(
    ("path", "bytes_", "why"),
    [
        (f"@b/{REST}", 10, "host b: out of reach"),
        (f"@a/{REST}", 11, "host a: 10 bytes instead of 11"),
        ("@a/_job/../../etc/passwd", 10, "is no output of a job"),
        ("@a//etc/passwd", 10, "is no output of a job"),
        (REST, 10, "no host has it"),
    ],
)
def test_what_can_not_be_copied(scene: CopierScene, path: str, bytes_: int, why: str) -> None:
    scene.client.files["a", f"job/{REST}"] = b"0123456789"
    told = scene.told(path, bytes_)
    assert isinstance(told, CopyTrouble) and why in told.reason and not told.ours
    assert scene.left() == []


def test_a_full_disk_is_this_hosts_trouble(scene: CopierScene, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str) -> BinaryIO:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("mapreduce.storage.store.LocalStore.create", lambda self, path: full(path))
    scene.client.files["a", f"job/{REST}"] = b"0123456789"
    assert scene.told(f"@a/{REST}", 10) == CopyTrouble("No space left on device", ours=True)


def test_a_disk_that_is_nearly_full_is_left_to_the_tasks(scene: CopierScene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(total=1000, used=0, free=59))
    scene.client.files["a", f"job/{REST}"] = b"0123456789"
    told = scene.told(f"@a/{REST}", 10)
    assert told == CopyTrouble("less than 5% of its disk would be left free", ours=True)
    assert scene.left() == []


def test_the_folder_of_a_job_that_is_over_is_not_made_again(scene: CopierScene) -> None:
    """The job ends while its output is copied, and its folder is removed."""
    stopped: list[bool] = []

    def stop() -> None:
        if not stopped:
            stopped.append(True)
            scene.copier.stop()
            for path in (scene.root / "_job").rglob("*.tmp"):
                path.unlink()

    scene.client.files |= {("a", f"job/{REST}"): b"0123456789", ("a", "job/_job/x"): b"x"}
    scene.client.meanwhile = stop
    scene.copier.ask(Wish(1, map_(0), str(scene.root), "job", CopyOrder(f"@a/{REST}", 10)))
    wait_until(lambda: stopped, "it is stopped")
    assert isinstance(scene.told("@a/_job/x", 1), Have), "and then goes on with another"
    assert scene.left() == ["_job/x"]


def test_there_is_a_bound_to_what_waits(scene: CopierScene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mapreduce.engines.copier.MOST_WISHES", 0)
    assert scene.told(f"@a/{REST}", 10) == CopyTrouble("too many orders at once")
