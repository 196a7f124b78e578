"""Is this file the one that was read before? Content hashes of inputs, made while the job runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

CHUNK_BYTES = 1 << 20


def hash_file(path: str, is_stopped: Callable[[], bool] = lambda: False) -> str | None:
    """XXH3-128 of a local file's bytes, in hex; None if it can't be read here (a URI, say), or once it is stopped."""
    import xxhash

    digest = xxhash.xxh3_128()
    buffer = bytearray(CHUNK_BYTES)
    view = memoryview(buffer)
    try:
        with open(path, "rb", buffering=0) as file:
            while size := file.readinto(buffer):
                digest.update(view[:size])
                if is_stopped():
                    return None
    except OSError:
        return None
    return digest.hexdigest()


class InputHasher:
    """Hashes files in a thread of its own: hashing releases the GIL, and is as fast as reading."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = tuple(paths)
        self._hashes: list[str | None] = []
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="input-hasher", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for path in self._paths:
            if self._stopped:
                return
            self._hashes.append(hash_file(path, lambda: self._stopped))

    def hashes(self) -> list[str | None]:
        """Wait for the hashes, in the order of the paths."""
        self._thread.join()
        return self._hashes

    def stop(self) -> None:
        """Give up at once: a file may be large, and whoever presses Ctrl-C does not wait. A second call is harmless."""
        self._stopped = True
        self._thread.join()
