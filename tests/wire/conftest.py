"""What do tests of the wire need before they count what is left behind?"""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def collector_of_zmq() -> None:
    """pyzmq frees what it sent without a copy in a thread of its own, which lives as long as the process."""
    import zmq

    with zmq.Context() as context, context.socket(zmq.PAIR) as left, context.socket(zmq.PAIR) as right:
        left.bind("inproc://first")
        right.connect("inproc://first")
        left.send(bytes(1 << 20), copy=False)
        right.recv()
