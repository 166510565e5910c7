"""Heads of simple requests: what a player sends, read in a few look-ups.

Invariant: what is taken is exactly one HTTP/1.1 request without a body, of the plainest form that
RFC 9112 has, so that no other parser can read it in another way; whatever else there is, good or
bad, is left to a parser for all of HTTP. Pure. Upstream: `plain`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

MAX_HEAD = 64 * 1024
KEPT = 2048
"""Bytes of fields up to which they are remembered."""
# The path has neither an escape nor, like the query, a fragment.
_LINE = re.compile(r'(GET|HEAD|OPTIONS) (/[!"$&->@-~]*)(?:\?([!"$-~]*))? HTTP/1\.1\r\n')
_TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUE = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
_NOT_SIMPLE = (b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"trailer", b"te")
_CONNECTION = {b"keep-alive": False, b"close": True}


@dataclass(frozen=True, slots=True)
class Fields:
    """Header fields; many requests have the same."""

    by_name: Mapping[bytes, bytes]
    """By lower-case name; several of one name are one list (RFC 9110 5.3)."""
    close: bool
    """The client wants the connection to end with the answer."""


Head: TypeAlias = tuple[str, str, str, Fields]
"""Method, path, query and fields."""


def simple(data: bytes) -> Head | None:
    """The request that `data` is, if it is one request of the simple kind and nothing more."""
    text = data.decode("latin-1")
    line = _LINE.match(text)
    if line is None:
        return None
    block = text[line.end() :]
    fields = _known(block) if len(block) <= KEPT else _fields(block)
    if fields is None:
        return None
    method, path, query = line.groups("")
    return method, path, query, fields


def _fields(block: str) -> Fields | None:
    """Those of a block that ends with its empty line, and with nothing after it."""
    if not block.endswith("\r\n\r\n") or len(block) > MAX_HEAD:
        return None
    found: dict[bytes, bytes] = {}
    for line in block[:-4].encode("latin-1").split(b"\r\n"):
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        if not colon or not name or name.translate(None, _TOKEN) or value.translate(None, _VALUE):
            return None
        name = name.lower()
        found[name] = value if name not in found else found[name] + b", " + value
    if b"host" not in found or b"," in found[b"host"] or any(n in found for n in _NOT_SIMPLE):
        return None
    close = _CONNECTION.get(found.get(b"connection", b"keep-alive").lower())
    return None if close is None else Fields(found, close)


# A client sends the same ones again and again.
_known = lru_cache(maxsize=1024)(_fields)
