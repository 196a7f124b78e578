"""What does a test write that needs hosts? `from tests.hosts.fixture import hosts`, and asks for `hosts`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hosts.network import Network, network, why_not

TRACKER, A, B, C = "tracker", "a", "b", "c"


@pytest.fixture(scope="module")
def network_of_hosts() -> Iterator[Network]:
    """One network for the tests of a file: to make it takes half a second."""
    if reason := why_not():
        pytest.skip(reason)
    with network(TRACKER, A, B, C) as net:
        yield net


@pytest.fixture
def hosts(network_of_hosts: Network) -> Iterator[Network]:
    """Hosts `tracker`, `a`, `b` and `c`; after the test nothing runs in them and their links are whole."""
    yield network_of_hosts
    network_of_hosts.end_processes()
