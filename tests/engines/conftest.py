"""What do tests of engines on several hosts need before they count what is left behind?"""

from __future__ import annotations

from tests.wire.conftest import collector_of_zmq

__all__ = ["collector_of_zmq"]
