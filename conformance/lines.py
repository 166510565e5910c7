"""The lines of a playlist, and what is wrong with those of any kind of playlist.

Invariant: any text can be read; flaws are noted, at most `MAX_FLAWS`. Upstream: `reading`,
`variants`. Spec: draft-pantos-hls-rfc8216bis, 4.1, 4.2, 4.4.1 and what may be there once.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from conformance.attributes import Attributes, parse_attributes
from conformance.playlist import Flaw

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
MAX_LINES = 100_000
MAX_FLAWS = 50

MULTIVARIANT_TAGS = frozenset(
    {
        "#EXT-X-MEDIA",
        "#EXT-X-STREAM-INF",
        "#EXT-X-I-FRAME-STREAM-INF",
        "#EXT-X-SESSION-DATA",
        "#EXT-X-SESSION-KEY",
        "#EXT-X-CONTENT-STEERING",
    }
)
ONCE = {
    "#EXT-X-VERSION": "4.4.1.2",
    "#EXT-X-INDEPENDENT-SEGMENTS": "4.4.2",
    "#EXT-X-START": "4.4.2",
    "#EXT-X-TARGETDURATION": "4.4.3",
    "#EXT-X-MEDIA-SEQUENCE": "4.4.3",
    "#EXT-X-DISCONTINUITY-SEQUENCE": "4.4.3",
    "#EXT-X-ENDLIST": "4.4.3",
    "#EXT-X-PLAYLIST-TYPE": "4.4.3",
    "#EXT-X-I-FRAMES-ONLY": "4.4.3",
    "#EXT-X-PART-INF": "4.4.3",
    "#EXT-X-SERVER-CONTROL": "4.4.3",
    "#EXT-X-SKIP": "4.4.5.2",
}
MEDIA_ONLY = frozenset(
    {tag for tag, section in ONCE.items() if section in ("4.4.3", "4.4.5.2")}
    | {"#EXTINF", "#EXT-X-PART", "#EXT-X-MAP", "#EXT-X-GAP", "#EXT-X-DISCONTINUITY"}
    | {"#EXT-X-BYTERANGE", "#EXT-X-KEY", "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-BITRATE"}
)


def date_s(text: str | None) -> float | None:
    """Unix seconds of an ISO 8601 date; without a zone it is UTC."""
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


class Lines:
    """Lines with their numbers, and the flaws of all playlists alike (4.1, 4.2, 4.4.1)."""

    def __init__(self, text: str) -> None:
        self.flaws: list[Flaw] = []
        self.number = 1
        self._seen: set[str] = set()
        if text.startswith("\ufeff"):
            self.flaw("4.1", "begins with a byte order mark")
            text = text[1:]
        if _CONTROL.search(text):
            self.flaw("4.1", "has control characters")
        self.lines = text.split("\n")[:MAX_LINES]
        if not self.lines or self.lines[0].rstrip("\r") != "#EXTM3U":
            self.flaw("4.4.1.1", "the first line is not #EXTM3U")

    def flaw(self, section: str, words: str) -> None:
        if len(self.flaws) < MAX_FLAWS:
            self.flaws.append(Flaw(section, self.number, words))

    def attributes(self, tag: str, value: str) -> Attributes:
        found, problems = parse_attributes(value)
        for problem in problems:
            self.flaw("4.2", f"{tag}: {problem}")
        return found

    def once(self, tag: str) -> None:
        if tag in self._seen and tag in ONCE:
            self.flaw(ONCE[tag], f"{tag} is there twice")
        self._seen.add(tag)

    def each(self, take: Callable[[str, str], None], uri: Callable[[str], None]) -> None:
        for number, raw in enumerate(self.lines, 1):
            self.number = number
            line = raw.rstrip("\r")
            if line.startswith("#EXT"):
                tag, _, value = line.partition(":")
                self.once(tag)
                take(tag, value)
            elif line and not line.startswith("#"):
                uri(line)
