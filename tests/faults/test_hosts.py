"""What happens to hosts, and to the links between them, does a job survive it with the same bytes?

Three hosts with one worker each (tests/hosts); the tasks wait at gates, so that what happens meets running tasks.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mapreduce.tracker.policy import REMOTE_QUEUE_DEPTH
from tests.faults.killed_hosts import killed_at
from tests.hosts.cluster import LINES, PORT, SSH, TASKS, Cluster, Run
from tests.hosts.fixture import hosts, network_of_hosts
from tests.hosts.network import Network, wait_until

__all__ = ["hosts", "network_of_hosts"]


@pytest.fixture
def cluster(request: pytest.FixtureRequest, hosts: Network, tmp_path: Path) -> Cluster:
    """`apart`: no host sees another's files. `shared`: all see a folder, in which input and output lie."""
    is_shared = request.param == "shared"
    return Cluster(hosts, tmp_path, is_shared=is_shared, has_input_apart=not is_shared)


everywhere = pytest.mark.parametrize("cluster", ["apart", "shared"], indirect=True)
apart = pytest.mark.parametrize("cluster", ["apart"], indirect=True)


def kill_agent(hosts: Network) -> None:
    """`kill -9` of the agent alone: its workers are orphans."""
    os.kill(min(hosts["a"].pids()), signal.SIGKILL)


def power_off(hosts: Network) -> None:
    hosts["a"].cut()
    hosts["a"].kill_all()


def cut(hosts: Network) -> None:
    hosts["a"].cut()


def cut_what_it_says(hosts: Network) -> None:
    hosts["a"].cut_outgoing()


def cut_what_it_hears(hosts: Network) -> None:
    for host in hosts:
        if host.name != "a":
            host.cut_outgoing(hosts["a"])


SHORT_SECONDS = 2.0

IN_MAPS = [kill_agent, cut, cut_what_it_says]
WITH_OUTPUTS = [power_off, cut_what_it_hears]


def begun(cluster: Cluster, stage: str, *options: object) -> Run:
    """A job of whose tasks in that stage one waits on each of the three hosts. Each has done some of the maps then."""
    for gate in {"map", stage}:
        cluster.close_gate(gate)
    cluster.begin_agents("a", "b", "c")
    run = cluster.begin_run(*options)
    cluster.wait_for("map", "a", "b", "c")
    if stage != "map":
        cluster.open_gate("map")
        cluster.wait_for(stage, "a", "b", "c")
    return run


@apart
@pytest.mark.parametrize("happen", IN_MAPS, ids=lambda happen: happen.__name__)
def test_a_host_is_lost_in_its_maps(cluster: Cluster, happen: Callable[[Network], None]) -> None:
    """Others do what it had begun."""
    cluster.close_gate("map", "a")
    run = begun(cluster, "map")
    happen(cluster.hosts)
    cluster.open_gate("map")
    cluster.expect_same(run)


@apart
@pytest.mark.parametrize("happen", WITH_OUTPUTS, ids=lambda happen: happen.__name__)
def test_a_host_is_lost_with_its_outputs(cluster: Cluster, happen: Callable[[Network], None]) -> None:
    """All maps are done, some of them there: those are done again."""
    run = begun(cluster, "reduce")
    maps = cluster.begun("map").total()
    happen(cluster.hosts)
    cluster.open_gate("reduce")
    cluster.expect_same(run)
    assert cluster.begun("map").total() > maps


def begun_with_copies(cluster: Cluster) -> Run:
    """The same, in its reduces, and the output of each map is on two hosts."""
    run = begun(cluster, "reduce", *WITH_COPIES)
    journal = run.output / "_job" / "journal"
    wait_until("each map output has a copy", lambda: journal.read_text().count('"moved"') == TASKS)
    return run


WITH_COPIES = ("--listen", f"tracker:{PORT}", "--replicas", 2)


@apart
def test_a_host_is_lost_whose_outputs_have_copies(cluster: Cluster) -> None:
    """No map is done again."""
    run = begun_with_copies(cluster)
    maps = cluster.begun("map").total()
    power_off(cluster.hosts)
    cluster.open_gate("reduce")
    cluster.expect_same(run)
    assert cluster.begun("map").total() == maps


@apart
def test_the_tracker_is_killed_and_a_host_is_lost_whose_outputs_have_copies(cluster: Cluster) -> None:
    """The next tracker reads in the journal where the copies are."""
    run = begun_with_copies(cluster)
    maps = cluster.begun("map").total()
    run.process.kill()
    run.process.wait()
    power_off(cluster.hosts)
    cluster.open_gate("reduce")
    again = cluster.begin_run(*WITH_COPIES, again=run)
    cluster.expect_same(again)
    assert cluster.begun("map").total() == maps


@everywhere
def test_a_partition_heals(cluster: Cluster) -> None:
    """What the zombie goes on with while nobody hears it, and then says, counts for nothing."""
    cluster.close_gate("map", "a")
    run = begun(cluster, "map")
    cluster.hosts["a"].cut()
    cluster.close_gate("reduce")
    cluster.open_gate("map")
    wait_until("the tracker has missed it", lambda: "host a" in run.told().partition("host a joined")[2])
    cluster.open_gate("map", "a")
    cluster.hosts["a"].mend()
    wait_until("it has joined again", lambda: run.told().count("host a joined") == 2)
    cluster.open_gate("reduce")
    cluster.expect_same(run)


@apart
def test_a_short_cut_ends_no_session(cluster: Cluster) -> None:
    """Two seconds are less than the silence after which a host is given up (as it is: 5 s): TCP sends again what was
    lost, the agent stays who it is, and goes on. An idle worker may take over what waits for another just as that
    begins, so a few tasks may run twice, but not those of a whole host."""
    cluster.quick.clear()
    cluster.close_gate("map", "a")
    run = begun(cluster, "map")
    cluster.hosts["a"].cut()
    cluster.open_gate("map")
    time.sleep(SHORT_SECONDS)
    cluster.hosts["a"].mend()
    cluster.open_gate("map", "a")
    cluster.expect_same(run)
    assert run.told().count("host a joined") == 1
    assert cluster.begun("map").total() <= LINES + REMOTE_QUEUE_DEPTH * LINES // TASKS


@apart
def test_the_tracker_is_killed(cluster: Cluster) -> None:
    """The agents come back to the next one, and no map that was finished runs again."""
    run = begun(cluster, "reduce")
    run.process.kill()
    run.process.wait()
    cluster.open_gate("reduce")
    again = cluster.begin_run(again=run)
    cluster.expect_same(again)
    events = cluster.events(again)
    last_begin = max(number for number, event in enumerate(events) if event["e"] == "begin")
    assert {str(event["task"]).split()[0] for event in events[last_begin:] if event["e"] == "started"} == {"reduce"}


@apart
def test_a_slow_and_a_lossy_link(cluster: Cluster) -> None:
    cluster.hosts["a"].rate(2)
    cluster.hosts["b"].lose(0.05)
    cluster.begin_agents("a", "b", "c")
    cluster.expect_same(cluster.begin_run())


@apart
def test_a_disk_is_full(cluster: Cluster) -> None:
    """What does not fit on one host is done by the others."""
    cluster.hosts["a"].small_disk(64 << 10)
    run = begun(cluster, "map")
    cluster.open_gate("map")
    cluster.expect_same(run)


@apart
def test_the_only_disk_is_full_until_another_host_comes(cluster: Cluster) -> None:
    cluster.hosts["a"].small_disk(64 << 10)
    cluster.begin_agent("a")
    run = cluster.begin_run()
    wait_until("it waits", lambda: "waiting for another host" in run.told())
    cluster.begin_agent("b")
    cluster.expect_same(run)


@apart
def test_clocks_differ(cluster: Cluster) -> None:
    """By days, in both directions."""
    for name, days in (("a", 10), ("b", -10), ("c", 0)):
        cluster.begin_agent(name, patches=("--clock", days * 86_400))
    cluster.expect_same(cluster.begin_run())


@apart
def test_another_version(cluster: Cluster) -> None:
    """It is told so, and ends; the others do the job."""
    old = cluster.begin_agent("a", patches=('mapreduce.__version__="0.0.1"',))
    cluster.begin_agents("b", "c")
    run = cluster.begin_run()
    cluster.expect_same(run)
    assert old.wait(10) == 2
    told = cluster.told_by("a").splitlines()
    assert told[-1].startswith("error: the tracker refused")
    assert "0.0.1" in told[-1]


@apart
def test_another_protocol(cluster: Cluster) -> None:
    old = cluster.begin_agent("a", patches=("mapreduce.wire.messages.VERSION=77",))
    cluster.begin_agents("b", "c")
    run = cluster.begin_run()
    cluster.expect_same(run)
    assert old.wait(10) == 2
    assert cluster.told_by("a").splitlines()[-1].startswith("error: ")


@apart
def test_a_host_begun_over_ssh_is_lost(cluster: Cluster) -> None:
    cluster.close_gate("map")
    run = cluster.begin_run("--hosts", "a,b:1,c:2", "--ssh", SSH)
    cluster.wait_for("map", "a", "b", "c")
    power_off(cluster.hosts)
    cluster.open_gate("map")
    cluster.expect_same(run)
    for name in "abc":
        wait_until(f"nothing runs on {name}", lambda name=name: not cluster.hosts[name].pids())


@apart
def test_all_hosts_are_lost(cluster: Cluster) -> None:
    """One clear error, within a time limit; then the same command goes on from there."""
    cluster.quick["mapreduce.engines.hub.Hub:lonely_seconds"] = 2.0
    run = begun(cluster, "reduce")
    for host in ("a", "b", "c"):
        cluster.hosts[host].kill_all()
    assert run.end(20) == 2
    assert "error: no worker is left: no host has been connected for 2 s" in run.told()
    cluster.open_gate("reduce")
    cluster.begin_agents("a", "b")
    cluster.expect_same(cluster.begin_run(again=run))


@apart
@pytest.mark.parametrize(("victim", "record"), [("tracker", 14), ("agent", 8)])
def test_somebody_is_killed_at_a_record_of_the_journal(cluster: Cluster, victim: str, record: int) -> None:
    """All of them at all records: `python -m tests.faults --hosts`."""
    assert killed_at(cluster, victim, record)
