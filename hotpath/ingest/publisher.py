"""What ingest tells the node about publishers, and whom it tells.

Downstream: the node implements `PublisherSink`; every call is made on the event loop, in order per
publisher: connected, then formats, units and warnings, then disconnected.
"""

from collections.abc import Sequence
from typing import Protocol

from hotpath.ingest.admission import Refusal
from hotpath.ingest.statistics import Publisher
from hotpath.media.unit import Format, Unit


class PublisherSink(Protocol):
    def publisher_connected(self, publisher: Publisher) -> None: ...

    def publisher_formats(self, publisher_id: int, formats: Sequence[Format]) -> None:
        """All tracks as they are now; before the units that need them."""

    def publisher_units(self, publisher_id: int, units: Sequence[Unit]) -> None:
        """In stream order; 90 kHz, unwrapped, the publisher's clock."""

    def publisher_warning(self, publisher_id: int, code: str, message: str) -> None: ...

    def publisher_disconnected(self, publisher_id: int, reason: str) -> None: ...

    def publisher_refused(self, refusal: Refusal) -> None: ...
