"""What the fallback child says to its parent: length-prefixed records on a pipe.

Pure. Invariant: `Decoder` gives back exactly the events that `encode` was given, in any chunking;
anything else raises `FallbackError`. Both ends run the same version: there is no negotiation.
"""

import json
import struct
from dataclasses import asdict

from hotpath.ingest.errors import FallbackError
from hotpath.ingest.session import FormatsChanged, IngestEvent, IngestWarning, UnitsReady
from hotpath.media.unit import AUDIO, VIDEO, Codec, Format, Unit

MAX_RECORD = 16 * 1024 * 1024
_PREFIX = struct.Struct(">cI")
_UNIT = struct.Struct(">?qq?q?")
_FORMATS, _UNIT_RECORD, _WARNING = b"F", b"U", b"W"


def encode(event: IngestEvent) -> bytes:
    match event:
        case FormatsChanged(formats):
            body = [
                {**asdict(f), "codec": f.codec.value, "config": f.config.hex()} for f in formats
            ]
            return _record(_FORMATS, json.dumps(body).encode())
        case UnitsReady(units):
            return b"".join(_record(_UNIT_RECORD, _unit_body(u)) for u in units)
        case IngestWarning(code, message):
            return _record(_WARNING, json.dumps([code, message]).encode())
        case _:
            raise FallbackError(f"{type(event).__name__} does not travel between processes")


def _record(kind: bytes, body: bytes) -> bytes:
    return _PREFIX.pack(kind, len(body)) + body


def _unit_body(unit: Unit) -> bytes:
    video = unit.track == VIDEO
    head = _UNIT.pack(video, unit.pts, unit.dts, unit.keyframe, unit.ingest_ns, unit.damaged)
    return head + unit.data


class Decoder:
    def __init__(self) -> None:
        self._rest = b""

    def receive(self, data: bytes, demuxed_ns: int) -> list[IngestEvent]:
        data = self._rest + data
        at = 0
        events: list[IngestEvent] = []
        while len(data) - at >= _PREFIX.size:
            kind, size = _PREFIX.unpack_from(data, at)
            if size > MAX_RECORD:
                raise FallbackError(f"the fallback sent a record of {size} bytes")
            end = at + _PREFIX.size + size
            if end > len(data):
                break
            events.append(_decode(kind, data[at + _PREFIX.size : end], demuxed_ns))
            at = end
        self._rest = data[at:]
        return events


def _decode(kind: bytes, body: bytes, demuxed_ns: int) -> IngestEvent:
    try:
        if kind == _UNIT_RECORD:
            video, pts, dts, keyframe, ingest_ns, damaged = _UNIT.unpack_from(body)
            track = VIDEO if video else AUDIO
            data = body[_UNIT.size :]
            unit = Unit(track, pts, dts, keyframe, data, ingest_ns, demuxed_ns, damaged=damaged)
            return UnitsReady((unit,))
        if kind == _FORMATS:
            return FormatsChanged(tuple(_format(fields) for fields in json.loads(body)))
        if kind == _WARNING:
            code, message = json.loads(body)
            return IngestWarning(code, message)
    except (ValueError, TypeError, KeyError, struct.error) as error:
        raise FallbackError("the fallback sent a record that does not decode") from error
    raise FallbackError(f"the fallback sent a record of unknown kind {kind!r}")


def _format(fields: dict[str, object]) -> Format:
    known = dict(fields)
    known["codec"] = Codec(known["codec"])
    known["config"] = bytes.fromhex(str(known["config"]))
    return Format(**known)  # type: ignore[arg-type]
