"""How long does moving bytes take in the simulator? Against exact fair shares, and against what bytes predict."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from mapreduce.errors import UsageError
from mapreduce.simulate.faults import Blow, Faults, Slow
from mapreduce.simulate.network import FIRST_WINDOW_BYTES, Links, parse_latency, parse_rate
from mapreduce.simulate.results import Simulated
from mapreduce.simulate.simulation import Scenario, simulate
from mapreduce.simulate.workload import Constant, Lognormal, keyed_workload
from mapreduce.tracker.placement import Placement
from mapreduce.tracker.policy import Backups, Policy
from tests.simulate.timed_flows import Flows, ends

MB = 1e6


def fair_rates(flows: Sequence[Sequence[int]], capacities: Sequence[float]) -> list[float]:
    """Max-min fair rates of flows, each given by the links that it uses: exact, by progressive filling, and slow."""
    rates, open_flows, room = [0.0] * len(flows), set(range(len(flows))), list(capacities)
    while open_flows:
        users = [sum(link in flows[flow] for flow in open_flows) for link in range(len(room))]
        step, tight = min((room[link] / users[link], link) for link in range(len(room)) if users[link])
        for flow in open_flows:
            rates[flow] += step
            for link in flows[flow]:
                room[link] -= step
        open_flows = {flow for flow in open_flows if tight not in flows[flow]}
    return rates


def exact_ends(links: Links, hosts: int, flows: Flows) -> list[float]:
    """The same by progressive filling, step by step. All start at 0."""
    core = hosts * links.bandwidth / links.oversubscription
    capacities = [links.bandwidth] * (2 * hosts) + [core]
    left, arrived, now = {n: size for n, (*_, size) in enumerate(flows)}, [0.0] * len(flows), 0.0
    while left:
        order = sorted(left)
        routes = [[*([] if flows[n][1] is None else [flows[n][1]]), hosts + flows[n][2], 2 * hosts] for n in order]
        rates = fair_rates([[link for link in route if link is not None] for route in routes], capacities)
        step = min(left[n] / rate for n, rate in zip(order, rates, strict=True))
        now += step
        for n, rate in zip(order, rates, strict=True):
            left[n] -= step * rate
            if left[n] <= 1e-6:
                del left[n]
                arrived[n] = now
    return arrived


LINKS = Links(bandwidth=100 * MB)


def test_a_flow_alone_has_the_whole_link() -> None:
    assert ends(LINKS, 2, [(0.0, 0, 1, 200 * MB)]) == pytest.approx([2.0])


def test_flows_of_a_link_share_it_and_the_last_has_it_alone() -> None:
    flows: Flows = [(0.0, 0, 1, 100 * MB), (0.0, 0, 2, 200 * MB)]
    assert ends(LINKS, 3, flows) == pytest.approx([2.0, 3.0])


def test_a_flow_that_comes_later_slows_the_first() -> None:
    flows: Flows = [(0.0, 0, 2, 100 * MB), (0.5, 1, 2, 100 * MB)]
    assert ends(LINKS, 3, flows) == pytest.approx([1.5, 2.0])


def test_the_core_is_for_all() -> None:
    flows: Flows = [(0.0, host, 4 + host, 100 * MB) for host in range(4)]
    assert ends(replace(LINKS, oversubscription=4.0), 8, flows) == pytest.approx([2.0] * 4)


def test_latency_comes_before_the_first_byte() -> None:
    links = replace(LINKS, latency=0.01)
    assert ends(links, 2, [(0.0, 0, 1, 100 * MB)]) == pytest.approx([1.0 + 0.03])


def test_a_small_answer_takes_a_round_trip() -> None:
    """As measured by `python -m bench.network_model`; links need not be full for it."""
    links = replace(LINKS, latency=0.01)
    flows: Flows = [(0.0, 0, 1, FIRST_WINDOW_BYTES)]
    assert ends(links, 2, flows) == pytest.approx([0.02 + FIRST_WINDOW_BYTES / LINKS.bandwidth])


def test_exact_shares() -> None:
    assert fair_rates([[0], [0], [0, 1]], [90.0, 10.0]) == pytest.approx([40.0, 40.0, 10.0])


@pytest.mark.parametrize("oversubscription", [1.0, 2.0, 8.0])
@pytest.mark.parametrize("seed", range(6))
def test_near_to_exact_max_min_shares_and_never_too_fast(seed: int, oversubscription: float) -> None:
    pick = random.Random(seed)
    hosts = pick.choice((4, 10, 20))
    links = replace(LINKS, oversubscription=oversubscription)
    flows: Flows = [(0.0, *pick.sample(range(hosts), 2), pick.uniform(10, 100) * MB) for _ in range(4 * hosts)]  # type: ignore[misc]
    ours, exact = ends(links, hosts, flows), exact_ends(links, hosts, flows)
    assert max(ours) >= max(exact) * 0.95
    assert max(ours) <= max(exact) * 1.15
    assert sum(ours) <= sum(exact) * 1.25


def test_a_shuffle_is_exact() -> None:
    flows: Flows = [(0.0, None, host % 10, 100 * MB) for host in range(20)]
    for oversubscription in (1.0, 4.0):
        links = replace(LINKS, oversubscription=oversubscription)
        assert ends(links, 10, flows) == pytest.approx(exact_ends(links, 10, flows))


# Jobs


def test_inputs_lie_where_they_are_said_to() -> None:
    """All splits on host 0: it alone sends, and its own workers read in place."""
    workload = keyed_workload(40, 0, Constant(0.1), Constant(1.0)).reading(10 * MB, 0.0)
    scenario = Scenario(workload, 3, policy=Policy(backups=Backups.OFF), links=LINKS, placement=Placement.BALANCE)
    done = simulate(replace(scenario, inputs=((0,),) * 40))
    assert simulate(replace(scenario, inputs=((0,),) * 40, seed=2)).makespan == done.makespan
    moved = 40 * 10 * MB - done.tally.bytes_here
    assert done.tally.bytes_moved == pytest.approx(moved)
    assert moved <= done.makespan * LINKS.bandwidth
    local = simulate(replace(scenario, inputs=((0,),) * 40, placement=Placement.LOCALITY))
    assert local.tally.bytes_moved == 0
    assert local.makespan == pytest.approx(4.0)


def run(placement: Placement, *, slots: int = 4, shuffle: float = 0.0, reduces: int = 0, **more: object) -> Simulated:
    """200 maps of 64 MB that compute for a second each, on ten hosts with links of 200 Mbit/s."""
    workload = keyed_workload(400, reduces, Constant(1.0), Constant(1.0)).reading(64 * MB, shuffle)
    scenario = Scenario(
        workload,
        10,
        slots,
        policy=Policy(backups=Backups.OFF),
        links=Links(parse_rate("200Mbit"), parse_latency("0.5ms")),
        placement=placement,
    )
    return simulate(replace(scenario, **more))  # type: ignore[arg-type]


def test_locality_beats_balance_by_what_the_bytes_moved_predict() -> None:
    balance, locality = run(Placement.BALANCE), run(Placement.LOCALITY)
    assert locality.tally.bytes_moved == 0
    assert locality.makespan == pytest.approx(10.0, rel=0.01)  # 40 tasks a host, four at once
    predicted = balance.tally.bytes_moved / (10 * 25 * MB)  # over ten links of 25 MB/s
    assert predicted == pytest.approx(0.9 * 400 * 64 / 250, rel=0.1)  # nine of ten inputs lie elsewhere
    assert predicted <= balance.makespan <= 1.4 * predicted  # links are not all busy all the time: who reads is chance
    assert balance.makespan / locality.makespan > 9


def test_hybrid_is_as_local_where_each_host_has_as_much() -> None:
    hybrid = run(Placement.HYBRID)
    assert hybrid.makespan == pytest.approx(10.0, rel=0.1)
    assert hybrid.tally.bytes_moved < 0.02 * 400 * 64 * MB


def test_hybrid_helps_where_locality_waits() -> None:
    """One host of ten is eight times slower, and its link lets others read faster than it maps."""
    slow, links = Faults(slow=(Slow(1, 8.0),)), Links(parse_rate("1Gbit"))
    locality = run(Placement.LOCALITY, faults=slow, links=links)
    hybrid = run(Placement.HYBRID, faults=slow, links=links)
    assert locality.makespan == pytest.approx(80.0, rel=0.01)
    assert hybrid.makespan < 0.5 * locality.makespan
    assert 0 < hybrid.tally.bytes_moved < 0.2 * 400 * 64 * MB


def test_a_shuffle_takes_what_links_and_core_let_through() -> None:
    whole = 400 * 64 * MB
    for oversubscription in (1.0, 4.0):
        links = Links(parse_rate("1Gbit"), 0.0, oversubscription)
        done = run(Placement.LOCALITY, shuffle=64 * MB, reduces=40, links=links)
        moved = 0.9 * whole
        least = moved / (10 * 125 * MB / oversubscription)
        first, last = done.stages[1].first_start, done.stages[1].last_commit
        assert done.tally.bytes_moved == pytest.approx(moved, rel=0.01)
        assert least <= last - first <= least * 1.2 + 2.0


def test_crashes_and_cuts_in_the_middle_of_flows_end_well() -> None:
    faults = Faults(crashes=(Blow(2, 5.0),), partitions=(Blow(2, 12.0, 20.0),), stops=(Blow(1, 8.0, 5.0),))
    for placement in Placement:
        done = run(placement, shuffle=64 * MB, reduces=20, faults=faults)
        assert done.succeeded
        again = run(placement, shuffle=64 * MB, reduces=20, faults=faults)
        assert again.makespan == done.makespan


def test_a_network_without_limits_changes_little() -> None:
    workload = keyed_workload(300, 20, Lognormal(5, 0.3), Lognormal(5, 0.3))
    without = Scenario(workload, 20)
    fast = replace(without, workload=workload.reading(MB, MB), links=Links(1e12))
    assert simulate(fast).makespan == pytest.approx(simulate(without).makespan, rel=0.35)


@pytest.mark.parametrize(
    ("text", "rate"), [("1Gbit", 125e6), ("200 Mbit/s", 25e6), ("25MB", 25e6), ("8kbit", 1e3), ("1.5GB/s", 1.5e9)]
)
def test_rates(text: str, rate: float) -> None:
    assert parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "1", "0Gbit", "fast", "-1Mbit", "1Gibit"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(UsageError, match="no bandwidth"):
        parse_rate(text)


def test_latencies() -> None:
    assert parse_latency("0.5ms") == pytest.approx(5e-4)
    assert parse_latency("50us") == pytest.approx(5e-5)
    with pytest.raises(UsageError, match="no latency"):
        parse_latency("1")
