"""The grammar of SDP: text to sections of attributes, within bounds.

Invariant: any text gives sections or `SdpError`, in time and memory linear in its size; unknown
lines are kept or skipped, never an error. Pure. Upstream: HTTP bodies. Downstream:
`hotpath.webrtc.sdp_offer`, `hotpath.webrtc.sdp_fragment`. Spec: RFC 8866.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from hotpath.webrtc.errors import WebRtcError

MAX_BYTES = 64 * 1024
MAX_LINES = 4096
MAX_LINE = 4096
MAX_MEDIA = 32
MAX_FORMATS = 128


class SdpError(WebRtcError):
    """The SDP cannot be used; the message says what is wrong and how to mend it."""


@dataclass(slots=True)
class Section:
    """The session part of a description, or one m-line with what follows it."""

    media: tuple[str, ...] = ()
    """kind, port, protocol, formats…; empty for the session part."""
    attributes: list[tuple[str, str]] = field(default_factory=list)
    """(name, value) of the a-lines in order; a flag's value is empty."""

    def first(self, name: str) -> str | None:
        """The value of the first such attribute; a repeated one does not override it."""
        return next((value for key, value in self.attributes if key == name), None)

    def all(self, name: str) -> Iterator[str]:
        return (value for key, value in self.attributes if key == name)

    def has(self, name: str) -> bool:
        return any(key == name for key, _ in self.attributes)


def sections(text: str) -> tuple[Section, list[Section]]:
    """(session part, one section per m-line). Line ends may be CRLF, LF or CR."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise SdpError(f"the SDP has more than {MAX_BYTES} bytes; offer fewer codecs or candidates")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if len(lines) > MAX_LINES:
        raise SdpError(f"the SDP has more than {MAX_LINES} lines; offer fewer codecs")
    session = current = Section()
    media: list[Section] = []
    for line in lines:
        if len(line) > MAX_LINE:
            raise SdpError(f"a line of the SDP has more than {MAX_LINE} characters; shorten it")
        kind, value = line[:2], line[2:].strip()
        if kind == "a=":
            name, _, body = value.partition(":")
            current.attributes.append((name, body.strip()))
        elif kind == "m=":
            current = Section(_media_line(value))
            media.append(current)
            if len(media) > MAX_MEDIA:
                raise SdpError(f"the SDP has more than {MAX_MEDIA} m-lines; offer one of each kind")
    return session, media


def number(text: str, limit: int) -> int | None:
    """A decimal number from 0 to `limit`, else None."""
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        return None
    value = int(text)
    return value if value <= limit else None


def _media_line(value: str) -> tuple[str, ...]:
    fields = tuple(value.split())
    if len(fields) < 4 or number(fields[1].partition("/")[0], 65535) is None:
        raise SdpError(f"m={value[:60]!r} is not `kind port protocol formats`; send a full m-line")
    if len(fields) - 3 > MAX_FORMATS:
        raise SdpError(f"an m-line has more than {MAX_FORMATS} formats; offer fewer codecs")
    return fields
