"""What the fallback child says to its parent, as `hotpath.media.records` on a pipe.

Pure. Invariant: `Decoder` gives back exactly the events that `encode` was given, in any chunking;
anything else raises `FallbackError`.
"""

import json

from hotpath.ingest.errors import FallbackError
from hotpath.ingest.session import FormatsChanged, IngestEvent, IngestWarning, UnitsReady
from hotpath.media.records import (
    RecordError,
    Splitter,
    pack_format,
    pack_unit,
    record,
    unpack_format,
    unpack_json,
    unpack_unit,
)

_FORMATS, _UNIT, _WARNING = b"F", b"U", b"W"


def encode(event: IngestEvent) -> bytes:
    match event:
        case FormatsChanged(formats):
            return record(_FORMATS, json.dumps([pack_format(f) for f in formats]).encode())
        case UnitsReady(units):
            return b"".join(record(_UNIT, pack_unit(unit)) for unit in units)
        case IngestWarning(code, message):
            return record(_WARNING, json.dumps([code, message]).encode())
        case _:
            raise FallbackError(f"{type(event).__name__} does not travel between processes")


class Decoder:
    def __init__(self) -> None:
        self._splitter = Splitter()

    def receive(self, data: bytes, demuxed_ns: int) -> list[IngestEvent]:
        try:
            return [_decode(*each, demuxed_ns) for each in self._splitter.receive(data)]
        except RecordError as error:
            raise FallbackError(f"the fallback sent {error}") from error


def _decode(kind: bytes, body: bytes, demuxed_ns: int) -> IngestEvent:
    if kind == _UNIT:
        return UnitsReady((unpack_unit(body, demuxed_ns),))
    fields = unpack_json(body)
    if not isinstance(fields, list):
        raise RecordError("no list")
    if kind == _FORMATS:
        return FormatsChanged(tuple(unpack_format(each) for each in fields))
    if kind == _WARNING and len(fields) == 2:
        return IngestWarning(str(fields[0]), str(fields[1]))
    raise RecordError(f"a record of unknown kind {kind!r}")
