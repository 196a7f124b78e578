"""How long does it take to move bytes between simulated hosts, while others move theirs?

    host --out--+                  +--in--> host        each link carries `bandwidth` each way, the core in between
    host --out--+----- core -------+--in--> host        `hosts x bandwidth / oversubscription` for all together

A flow goes from a host to a host (an input that lies elsewhere), or from all hosts with outputs to one (a reduce task's
share of the shuffle). What it gets is reckoned as its smallest equal share:

    min(bandwidth / flows out of its source,  bandwidth / flows into its reader,  core / all flows)

Max-min fairness would give what one flow leaves to others that share a link with it; here nobody gets that. So a rate
is never too high, and right wherever the flows of a link are held up by the same link: the common case, a shuffle or a
full core. Random traffic took up to 15 % longer than by exact shares (tests/simulate/test_network.py). In return a flow
that comes or goes costs as much as there are flows on its two links, instead of all. The core's share is reckoned anew
for all when the number of flows has changed by a tenth.

A flow's first byte takes two latencies, a request and its answer; what does not fit in TCP's first window waits half a
round trip more until links are full. There is no loss, no congestion and no disk in this.

The core is one for all: it knows no racks and no directions. Traffic that all goes one way between two switches gets
half of what it is given here, and traffic below one switch, which needs no core, is counted (docs/scale.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from mapreduce.dataclass import dataclass
from mapreduce.errors import UsageError
from mapreduce.simulate.timetable import Timetable

ANSWER_LATENCIES = 2.0
FILL_LATENCIES = 1.0
FIRST_WINDOW_BYTES = 14_600  # ten segments (RFC 6928)
CORE_CHANGE = 0.1

_RATES = {"bit": 1 / 8, "kbit": 1e3 / 8, "mbit": 1e6 / 8, "gbit": 1e9 / 8, "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9}
_TIMES = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True, slots=True)
class Links:
    """A network: bytes a second of a host's link, each way; seconds from host to host; what the core is short of."""

    bandwidth: float
    latency: float = 0.0
    oversubscription: float = 1.0


def parse_rate(text: str) -> float:
    """Bytes a second of '1Gbit', '200 Mbit/s' or '25MB'. Raises UsageError."""
    return _parsed(text.lower().removesuffix("/s"), _RATES, f"{text!r} is no bandwidth; write 1Gbit, 200Mbit or 25MB")


def parse_latency(text: str) -> float:
    """Seconds of '0.5ms', '50us' or '1s'. Raises UsageError."""
    return _parsed(text.lower(), _TIMES, f"{text!r} is no latency; write 0.5ms, 50us or 1s", least=0.0)


def _parsed(text: str, units: Mapping[str, float], complaint: str, least: float = 1e-9) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-zµ]+)\s*", text)
    if match is None or match[2] not in units or float(match[1]) < least:
        raise UsageError(complaint)
    return float(match[1]) * units[match[2]]


class Flow:
    """Bytes on their way. `source` None: from all hosts that have something, each the same."""

    __slots__ = ("done", "entered", "left", "rate", "reader", "since", "source")

    def __init__(self, source: int | None, reader: int, size: float, done: Callable[[], None]) -> None:
        self.source = source
        self.reader = reader
        self.left = size
        self.done = done
        self.rate = 0.0
        self.since = 0.0
        self.entered = 0  # of its entries in the timetable, the last one counts


class Network:
    """The flows of a simulation, on its clock."""

    def __init__(self, links: Links, hosts: int, timetable: Timetable) -> None:
        self.links = links
        self._timetable = timetable
        self._out: list[dict[Flow, None]] = [{} for _ in range(hosts)]
        self._in: list[dict[Flow, None]] = [{} for _ in range(hosts)]
        self._core = hosts * links.bandwidth / links.oversubscription
        self._flows: dict[Flow, None] = {}
        self._rated_at = 0  # flows when the core's share was last reckoned
        self.bytes_moved = 0.0

    def start(self, source: int | None, reader: int, size: float, done: Callable[[], None]) -> Flow:
        """Move `size` bytes; `done` is called when they are there. `stop` ends it before."""
        flow = Flow(source, reader, size, done)
        latencies = ANSWER_LATENCIES + FILL_LATENCIES * (size > FIRST_WINDOW_BYTES)
        self._timetable.at(self._timetable.now + latencies * self.links.latency, self._enter, flow)
        return flow

    def stop(self, flow: Flow) -> None:
        """Nobody waits for it any more. Harmless if it has ended."""
        if flow in self._flows:
            self._leave(flow)
        flow.entered = -1

    def nearest(self, sources: Sequence[int]) -> int:
        """Of hosts that have the same, the one that sends least."""
        return min(sources, key=lambda host: len(self._out[host]))

    def _enter(self, flow: Flow) -> None:
        if flow.entered < 0:
            return
        self._flows[flow] = None
        flow.since = self._timetable.now
        self._in[flow.reader][flow] = None
        if flow.source is not None:
            self._out[flow.source][flow] = None
        self._share_anew(flow)

    def _leave(self, flow: Flow) -> None:
        self._note(flow)
        del self._flows[flow]
        del self._in[flow.reader][flow]
        if flow.source is not None:
            del self._out[flow.source][flow]
        self._share_anew(flow)

    def _share_anew(self, changed: Flow) -> None:
        """The rates of those whom a flow that came or went concerns."""
        if abs(len(self._flows) - self._rated_at) > CORE_CHANGE * self._rated_at:
            self._rated_at = len(self._flows)
            if self.links.oversubscription > 1:
                for flow in self._flows:
                    self._rate(flow)
                return
        for flow in self._in[changed.reader]:
            self._rate(flow)
        for flow in self._out[changed.source] if changed.source is not None else ():
            if flow.reader != changed.reader:
                self._rate(flow)

    def _rate(self, flow: Flow) -> None:
        bandwidth = self.links.bandwidth
        rate = min(bandwidth / len(self._in[flow.reader]), self._core / max(1, self._rated_at, len(self._flows)))
        if flow.source is not None:
            rate = min(rate, bandwidth / len(self._out[flow.source]))
        if rate == flow.rate:
            return
        self._note(flow)
        flow.rate = rate
        flow.entered += 1
        self._timetable.at(flow.since + flow.left / rate, self._arrive, (flow, flow.entered))

    def _note(self, flow: Flow) -> None:
        """What has come until now."""
        now = self._timetable.now
        come = min(flow.left, (now - flow.since) * flow.rate)
        flow.left -= come
        flow.since = now
        self.bytes_moved += come

    def _arrive(self, entry: tuple[Flow, int]) -> None:
        flow, entered = entry
        if flow.entered != entered:
            return
        self._leave(flow)
        self.bytes_moved += flow.left  # a rounding error's worth
        flow.left, flow.entered = 0.0, -1
        flow.done()
