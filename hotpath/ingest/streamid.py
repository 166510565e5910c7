"""SRT streamids: which event a publisher wants, and the key it shows.

Two forms: the bare `EVENT/KEY` (survives shells and encoder forms) and SRT Access Control,
`#!::r=EVENT,m=publish,u=KEY` (draft-sharabayko-srt appendix B; other pairs are ignored).

This is the specification in Python of `lp_parse_streamid` in srt_streamid.c, which alone runs on
the connect path; tests hold the two equal. Pure.
"""

import re
from dataclasses import dataclass

MAX_LENGTH = 512
_EVENT = re.compile(rb"[a-z0-9][a-z0-9_-]{0,63}")
_KEY = re.compile(rb"[A-Za-z0-9._~-]{1,127}")
_PREFIX = b"#!::"


@dataclass(frozen=True, slots=True)
class StreamId:
    event: str
    key: str


def parse(text: bytes) -> StreamId | None:
    """The event and key, or None if this is neither form."""
    if not text or len(text) > MAX_LENGTH:
        return None
    if text.startswith(_PREFIX):
        return _parse_pairs(text[len(_PREFIX) :])
    event, slash, key = text.partition(b"/")
    return _checked(event, key) if slash else None


def _parse_pairs(text: bytes) -> StreamId | None:
    found: dict[bytes, bytes] = {}
    for pair in text.split(b","):
        name, equals, value = pair.partition(b"=")
        if not equals or not name:
            return None
        if name == b"m" and value != b"publish":
            return None
        if name in (b"r", b"u"):
            if name in found:
                return None
            found[name] = value
    if len(found) != 2:
        return None
    return _checked(found[b"r"], found[b"u"])


def _checked(event: bytes, key: bytes) -> StreamId | None:
    if _EVENT.fullmatch(event) and _KEY.fullmatch(key):
        return StreamId(event.decode(), key.decode())
    return None
