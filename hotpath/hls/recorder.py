"""The recorder: where the packager puts finished media for keeping.

Upstream: `packager`, on the event loop. Downstream: the spool, which implements this protocol and
carries the bytes to disk and object storage.
"""

from typing import Literal, Protocol

from hotpath.media.unit import Format

HoleReason = Literal["spool-full", "disk-error", "reader-behind"]


class Recorder(Protocol):
    """Takes one incarnation's media in order. No call ever blocks or raises for a full disk.

    Per rendition: an init section comes before the first part that names it, parts of a segment
    come in order, `segment` follows its last part. Times are ticks of the rendition's timescale
    counted from the programme's epoch.
    """

    def init(self, format: Format, number: int, data: bytes) -> None:
        """Init section `number` of the rendition named by `format.track`."""

    def part(
        self,
        rendition: str,
        msn: int,
        part: int,
        data: bytes,
        *,
        init: int,
        start: int,
        duration: int,
        samples: int,
        independent: bool,
        discontinuity_seq: int,
        pdt_ns: int,
        ingest_ns: int,
    ) -> None:
        """One `moof`+`mdat`; a segment is the concatenation of its parts.

        `ingest_ns` is that of the first unit in the part.
        """

    def segment(self, rendition: str, msn: int, *, duration: int) -> None:
        """The segment is complete and will not change."""

    def gap(self, rendition: str, msn: int, *, start: int, duration: int) -> None:
        """The source had no media for this segment."""

    def hole(self, rendition: str, *, first_msn: int, last_msn: int, reason: HoleReason) -> None:
        """Segments `first_msn` to `last_msn` are missing or incomplete here, though the source
        had them. Parts of `first_msn` that were given already stay; a `segment` call closed it."""

    def seal(self, *, final: bool) -> None:
        """Nothing follows. `final`: the programme is over, no other incarnation will come."""
