"""What a player takes from a media playlist: how far it reaches and the newest parts' names.

Pure. A text that many players get is parsed once. Spec: draft-pantos-hls-rfc8216bis, 4.4.4.
"""

import gzip
import re
from collections import OrderedDict
from dataclasses import dataclass

KEPT = 64
NEWEST = 8
_PART = re.compile(rb'URI="([^"]+)"')
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Listing:
    edge: tuple[int, int]
    """Segment that is open and its newest part; -1: none yet."""
    parts: tuple[tuple[tuple[int, int], bytes], ...]
    """The newest parts, by segment and number, and their URIs."""


def parse(text: bytes) -> Listing:
    msn, part = 0, -1
    parts: list[tuple[tuple[int, int], bytes]] = []
    for line in text.splitlines():
        if line.startswith(b"#EXT-X-PART:"):
            part += 1
            found = _PART.search(line)
            if found is not None:
                parts.append(((msn, part), found[1]))
        elif line.startswith(b"#EXT-X-MEDIA-SEQUENCE:"):
            msn += int(line[22:])
        elif line.startswith(b"#EXT-X-SKIP:"):
            msn += int(line.partition(b"SKIPPED-SEGMENTS=")[2].partition(b",")[0])
        elif line and not line.startswith(b"#"):
            msn, part = msn + 1, -1
    return Listing((msn, part), tuple(parts[-NEWEST:]))


class Playlists:
    """Parsed texts, by their bytes."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Listing] = OrderedDict()

    def parsed(self, body: bytes) -> Listing:
        found = self._known.get(body)
        if found is None:
            found = parse(gzip.decompress(body) if body.startswith(_GZIP) else body)
            self._known[body] = found
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return found
