"""The recorder of a programme whose owner wants no recording: what it is given is kept nowhere.

Upstream: `hotpath.node.incarnations`, which makes one instead of a spool session. Nothing reaches
disk or object storage, so no function of the cold path ever hears of the programme.
"""

from hotpath.hls.recorder import HoleReason
from hotpath.media.unit import Format


class Unrecorded:
    """See the module."""

    def init(self, format: Format, number: int, data: bytes) -> None:
        pass

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
        pass

    def segment(self, rendition: str, msn: int, *, duration: int) -> None:
        pass

    def gap(self, rendition: str, msn: int, *, start: int, duration: int) -> None:
        pass

    def hole(self, rendition: str, *, first_msn: int, last_msn: int, reason: HoleReason) -> None:
        pass

    def seal(self, *, final: bool) -> None:
        pass
