"""How do crashes, cuts and stops come over the simulated hosts?

    crash   the host is empty: its attempts end, outputs that lay on it are gone. After `notice_seconds` the tracker is
            told of lost workers and lost outputs; whoever reads such an output before fails and names it. After
            `repair_seconds` the host comes back with new workers.
    cut     the host goes on, nobody hears of it. If it lasts longer than `notice_seconds` the tracker is told as after
            a crash; when the network is back, late reports come in, and new workers take the place of those given up.
    stop    the host stands still, and then goes on where it was. The tracker is told nothing: attempts that make no
            progress are its own to find.

An attempt that was reading when a host went had read that host's outputs already with the chance that its reading was
done.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from mapreduce.simulate.cluster import Host
from mapreduce.simulate.faults import Blow, Faults
from mapreduce.tracker.events import AllWorkersGone, OutputLost

if TYPE_CHECKING:
    from mapreduce.simulate.simulation import Simulation

HOUR_SECONDS = 3600.0


class Misfortunes:
    """All faults of one simulation but slowness, which is a host's own, and lost outputs, which are an output's."""

    def __init__(self, simulation: Simulation, faults: Faults, random: Random) -> None:
        self._simulation = simulation
        self._timetable = simulation.timetable
        self._faults = faults
        self._random = random
        self._will_be_up = len(simulation.hosts)

    def enter(self) -> None:
        """Put what has a time into the timetable."""
        faults = self._faults
        for blows, hit in ((faults.crashes, self._crash), (faults.partitions, self._cut), (faults.stops, self._stop)):
            for blow in blows:
                self._timetable.at(blow.time, partial(self._strike, hit), blow)

    def host_is_up(self, host: Host) -> None:
        """Its next crash is drawn."""
        if self._faults.crash_rate:
            seconds = self._random.expovariate(self._faults.crash_rate / HOUR_SECONDS)
            self._timetable.at(self._timetable.now + seconds, partial(self._crash_by_chance, losses=host.losses), host)

    def _strike(self, hit: Callable[[Host, float], None], blow: Blow) -> None:
        free = [host for host in self._simulation.hosts if host.runs_now and not host.cut]
        for host in self._random.sample(free, min(blow.hosts, len(free))):
            hit(host, blow.seconds)

    # Crash

    def _crash_by_chance(self, host: Host, losses: int) -> None:
        if host.up and host.losses == losses:
            self._crash(host, 0.0)
        elif host.up:  # a cut or a stop came between
            self.host_is_up(host)

    def _crash(self, host: Host, _seconds: float) -> None:
        simulation, now = self._simulation, self._timetable.now
        simulation.tally.crashes += 1
        for worker in host.workers:
            simulation.kill(worker)
        host.lost += simulation.outputs.lose_all(host)
        del host.outputs[:]
        host.up, host.cut, host.stopped = False, False, -1.0
        host.losses += 1
        host.late.clear()
        host.unheard.clear()
        self._fail_readers(host)
        self._timetable.at(now + self._faults.notice_seconds, partial(self._notice, losses=host.losses), host)
        if self._faults.repair_seconds == math.inf:
            self._will_be_up -= 1
        else:
            self._timetable.at(now + self._faults.repair_seconds, self._repair, host)

    def _repair(self, host: Host) -> None:
        self._tell_losses(host)
        host.losses += 1
        host.workers.clear()
        host.lost.clear()
        self._simulation.join(host)

    # Cut

    def _cut(self, host: Host, seconds: float) -> None:
        now = self._timetable.now
        self._simulation.tally.cuts += 1
        host.cut = True
        host.losses += 1
        self._timetable.at(now + self._faults.notice_seconds, partial(self._notice, losses=host.losses), host)
        self._timetable.at(now + seconds, partial(self._heal, losses=host.losses), host)

    def _heal(self, host: Host, losses: int) -> None:
        """The network is back: what was late is told, workers that were given up are replaced."""
        if host.losses != losses:
            return
        simulation = self._simulation
        host.cut = False
        host.losses += 1
        simulation.outputs.find_again(host.lost)
        host.lost.clear()
        late, host.late = host.late, []
        if host.told:
            host.told = False
            for worker in host.workers:
                simulation.kill(worker)
            host.workers.clear()
        for run in late:
            simulation.report_finished(run)
        unheard, host.unheard = host.unheard, []
        for run in unheard:
            simulation.end_cancelled(run)
        simulation.join(host)

    # Both

    def _notice(self, host: Host, losses: int) -> None:
        if host.losses != losses:
            return
        if host.cut:
            host.lost = self._simulation.outputs.lose_all(host)
            self._fail_readers(host)
        self._tell_losses(host)
        if not self._will_be_up:
            reason = "every host has crashed and none comes back"
            self._simulation.tell(AllWorkersGone(self._timetable.now, reason))

    def _tell_losses(self, host: Host) -> None:
        """The tracker learns which workers and outputs are lost."""
        if host.told:
            return
        host.told = True
        simulation, now = self._simulation, self._timetable.now
        for worker in host.workers:
            simulation.lose_worker(worker, f"host {host.number} does not answer")
        for task in host.lost:
            if simulation.outputs.is_missing(task):
                simulation.tell(OutputLost(now, task))

    def _fail_readers(self, host: Host) -> None:
        """Attempts that have not read all of their inputs yet meet those that are gone, at once."""
        stages = {task.stage + 1 for task in host.lost}
        if not stages:
            return
        now = self._timetable.now
        for run in self._simulation.running():
            if run.attempt.task.stage in stages and run.fetched > now:
                unread = (run.fetched - now) / (run.fetched - run.started)
                if self._random.random() < unread:
                    self._timetable.at(now, self._simulation.read_inputs, run)

    # Stop

    def _stop(self, host: Host, seconds: float) -> None:
        now = self._timetable.now
        self._simulation.tally.stops += 1
        host.stopped = now
        host.losses += 1
        self._timetable.at(now + seconds, partial(self._resume, losses=host.losses), host)

    def _resume(self, host: Host, losses: int) -> None:
        if host.losses != losses:
            return
        lost_seconds = self._timetable.now - host.stopped
        host.stopped = -1.0
        self._simulation.resume(host, lost_seconds)
        self._simulation.join(host)
