"""Which programmes are on the air on this node: the bus by programme key.

Upstream: `hotpath.node` opens and closes. Downstream: whoever looks a programme up by its key.
"""

from collections.abc import Iterator

from hotpath.bus.stream import ProgramStream
from infra.keys import ProgramKey


class Registry:
    """Holds at most one open stream per programme."""

    def __init__(self) -> None:
        self._streams: dict[ProgramKey, ProgramStream] = {}

    def open(self, stream: ProgramStream) -> None:
        current = self._streams.get(stream.key)
        if current is not None and not current.ended:
            raise ValueError(
                f"{stream.key}: end {current.incarnation} before opening {stream.incarnation}"
            )
        self._streams[stream.key] = stream

    def close(self, key: ProgramKey) -> None:
        self._streams.pop(key, None)

    def get(self, key: ProgramKey) -> ProgramStream | None:
        return self._streams.get(key)

    def __iter__(self) -> Iterator[ProgramStream]:
        return iter(list(self._streams.values()))

    def __len__(self) -> int:
        return len(self._streams)
