"""Every ingest of the node as one: who may publish, who is sent away, who is there already.

Invariant: an event has one publisher per role whichever protocol it speaks: while one is there, the
other protocols know its place as occupied. Publisher ids are unique across protocols. Upstream:
`hotpath.node.programs` and `sink`. Downstream: `SrtIngest`, `WhipIngest`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from hotpath.ingest.admission import AdmissionEntry
from hotpath.ingest.statistics import Publisher
from infra.publishers import Place, Role


class Ingest(Protocol):
    """What the node asks of one protocol."""

    def set_table(self, entries: Sequence[AdmissionEntry]) -> None: ...

    def set_occupied(self, event: str, role: Role, occupied: bool) -> None: ...

    def disconnect(self, publisher_id: int, reason: str) -> None: ...


class Ingests:
    """The protocols side by side; see the module for the invariant."""

    def __init__(self) -> None:
        self._protocols: Mapping[str, Ingest] = {}
        self._present: dict[Place, Publisher] = {}
        self._askable: Mapping[str, Callable[[Place], None]] = {}

    def attach(
        self,
        protocols: Mapping[str, Ingest],
        askable: Mapping[str, Callable[[Place], None]] | None = None,
    ) -> None:
        """The protocols by name, as publishers carry it; once, before any serves.

        `askable`: how those that have a way back ask a publisher for a keyframe.
        """
        self._protocols = protocols
        self._askable = askable or {}

    def set_table(self, entries: Sequence[AdmissionEntry]) -> None:
        for ingest in self._protocols.values():
            ingest.set_table(entries)
        # A table that left an event out for a while has forgotten who occupies it.
        for publisher in self._present.values():
            self._occupy(publisher)

    def disconnect(self, publisher_id: int, reason: str) -> None:
        """End a publisher; protocols that do not know the id do nothing."""
        for ingest in self._protocols.values():
            ingest.disconnect(publisher_id, reason)

    def request_keyframe(self, publisher: Publisher) -> None:
        """A picture of this publisher is wanted and none is held: ask it, if it can be asked."""
        ask = self._askable.get(publisher.protocol)
        if ask is not None:
            ask(publisher.place)

    def began(self, publisher: Publisher) -> None:
        """This publisher has its place now, whoever had it before."""
        self._present[publisher.place] = publisher
        self._occupy(publisher)

    def ended(self, publisher: Publisher) -> None:
        """The publisher is gone; if it had its place still, that is free for all protocols."""
        if self._present.get(publisher.place) is publisher:
            del self._present[publisher.place]
            for ingest in self._protocols.values():
                ingest.set_occupied(*publisher.place, False)

    def _occupy(self, publisher: Publisher) -> None:
        for name, ingest in self._protocols.items():
            ingest.set_occupied(*publisher.place, name != publisher.protocol)
