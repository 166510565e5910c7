"""SRT streamids: which event a publisher wants, the key it shows, and the place it asks for.

Two forms: the bare `EVENT/KEY` or `EVENT/KEY/ROLE` (survives shells and encoder forms) and SRT
Access Control, `#!::r=EVENT,m=publish,u=KEY,livepath_role=ROLE` (draft-sharabayko-srt appendix B,
which leaves names with a prefix like ours to applications; other pairs are ignored). A role is
`primary`, which is also meant where none is given, or `backup`.

This is the specification in Python of `lp_parse_streamid` in srt_streamid.c, which alone runs on
the connect path; tests hold the two equal. Pure.
"""

import re
from dataclasses import dataclass

from infra.publishers import Role

MAX_LENGTH = 512
_EVENT = re.compile(rb"[a-z0-9][a-z0-9_-]{0,63}")
_KEY = re.compile(rb"[A-Za-z0-9._~-]{1,127}")
_PREFIX = b"#!::"
_ROLE = b"livepath_role"
_ROLES = {role.encode(): role for role in Role}


@dataclass(frozen=True, slots=True)
class StreamId:
    event: str
    key: str
    role: Role = Role.PRIMARY


def parse(text: bytes) -> StreamId | None:
    """The event, key and role, or None if this is neither form."""
    if not text or len(text) > MAX_LENGTH:
        return None
    if text.startswith(_PREFIX):
        return _parse_pairs(text[len(_PREFIX) :])
    event, slash, rest = text.partition(b"/")
    key, second, role = rest.partition(b"/")
    return _checked(event, key, role if second else b"primary") if slash else None


def _parse_pairs(text: bytes) -> StreamId | None:
    found: dict[bytes, bytes] = {}
    for pair in text.split(b","):
        name, equals, value = pair.partition(b"=")
        if not equals or not name:
            return None
        if name == b"m" and value != b"publish":
            return None
        if name in (b"r", b"u", _ROLE):
            if name in found:
                return None
            found[name] = value
    if b"r" not in found or b"u" not in found:
        return None
    return _checked(found[b"r"], found[b"u"], found.get(_ROLE, b"primary"))


def _checked(event: bytes, key: bytes, role: bytes) -> StreamId | None:
    if _EVENT.fullmatch(event) and _KEY.fullmatch(key) and role in _ROLES:
        return StreamId(event.decode(), key.decode(), _ROLES[role])
    return None
