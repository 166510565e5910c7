"""One publisher per event, whichever protocol it speaks.

Invariant: behind it at most one publisher of an event is connected, and every call of a publisher
stands between its `publisher_connected` and its `publisher_disconnected`. A publisher that another
protocol's replaces is ended here at once as `taken-over`; what its ingest still says is dropped.

Upstream: the ingests, of which each refuses by itself a second publisher of its own protocol.
Downstream: the node's `PublisherSink`. Everything runs on the event loop.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from hotpath.ingest.admission import AdmissionEntry, Reason, Refusal
from hotpath.ingest.publisher import PublisherSink
from hotpath.ingest.statistics import Publisher
from hotpath.media.unit import Format, Unit


class ProtocolIngest(Protocol):
    """What is asked of the ingest of one protocol; `disconnect` returns before it is done."""

    def set_table(self, entries: Sequence[AdmissionEntry]) -> None: ...

    def set_occupied(self, event: str, occupied: bool) -> None: ...

    def disconnect(self, publisher_id: int, reason: str) -> None: ...


class Publishers:
    """A `PublisherSink` for the ingests, and one ingest (`set_table`, `disconnect`) for the node.

    Publisher ids must be unique among the ingests.
    """

    def __init__(self, sink: PublisherSink) -> None:
        self._sink = sink
        self._ingests: dict[str, ProtocolIngest] = {}
        self._table: Mapping[str, AdmissionEntry] = {}
        self._by_event: dict[str, Publisher] = {}
        self._connected: dict[int, Publisher] = {}

    def join(self, protocol: Literal["srt", "whip"], ingest: ProtocolIngest) -> None:
        self._ingests[protocol] = ingest
        ingest.set_table(tuple(self._table.values()))

    # -- for the node ------------------------------------------------------------------------

    def set_table(self, entries: Sequence[AdmissionEntry]) -> None:
        self._table = {entry.event: entry for entry in entries}
        for ingest in self._ingests.values():
            ingest.set_table(entries)
        for publisher in self._by_event.values():
            self._tell_others(publisher, occupied=True)

    def disconnect(self, publisher_id: int, reason: str) -> None:
        """Unknown ids are ignored; the sink hears of it when the ingest has done it."""
        publisher = self._connected.get(publisher_id)
        for protocol, ingest in self._ingests.items():
            if publisher is None or publisher.protocol == protocol:
                ingest.disconnect(publisher_id, reason)

    def publisher_of(self, event: str) -> Publisher | None:
        return self._by_event.get(event)

    # -- for the ingests ---------------------------------------------------------------------

    def publisher_connected(self, publisher: Publisher) -> None:
        holder = self._by_event.get(publisher.event)
        if holder is not None:
            entry = self._table.get(publisher.event)
            if holder.protocol != publisher.protocol and not (entry and entry.takeover):
                # Both connected at the same moment: each was admitted while the event was free.
                self._ingests[publisher.protocol].disconnect(publisher.id, Reason.BUSY.value)
                return
            self._ingests[holder.protocol].disconnect(holder.id, "taken-over")
            self.publisher_disconnected(holder.id, "taken-over")
        self._by_event[publisher.event] = self._connected[publisher.id] = publisher
        self._tell_others(publisher, occupied=True)
        self._sink.publisher_connected(publisher)

    def publisher_formats(self, publisher_id: int, formats: Sequence[Format]) -> None:
        if publisher_id in self._connected:
            self._sink.publisher_formats(publisher_id, formats)

    def publisher_units(self, publisher_id: int, units: Sequence[Unit]) -> None:
        if publisher_id in self._connected:
            self._sink.publisher_units(publisher_id, units)

    def publisher_warning(self, publisher_id: int, code: str, message: str) -> None:
        if publisher_id in self._connected:
            self._sink.publisher_warning(publisher_id, code, message)

    def publisher_disconnected(self, publisher_id: int, reason: str) -> None:
        publisher = self._connected.pop(publisher_id, None)
        if publisher is None:
            return
        del self._by_event[publisher.event]
        self._tell_others(publisher, occupied=False)
        self._sink.publisher_disconnected(publisher_id, reason)

    def publisher_refused(self, refusal: Refusal) -> None:
        self._sink.publisher_refused(refusal)

    def _tell_others(self, publisher: Publisher, *, occupied: bool) -> None:
        for protocol, ingest in self._ingests.items():
            if protocol != publisher.protocol:
                ingest.set_occupied(publisher.event, occupied)
