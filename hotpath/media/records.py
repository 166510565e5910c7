"""What the media process and its child processes say to each other: length-prefixed records.

Pure. Invariant: a `Splitter` gives back exactly the records that were written, in any chunking, and
never holds more than one record that is not whole; `unpack_unit` and `unpack_format` give back what
was packed. Anything else is a `RecordError`: the children decode bytes from strangers, so what they
say is not trusted either. Both ends run the same version: there is no negotiation.
"""

import json
import struct
from dataclasses import asdict

from hotpath.media.unit import AUDIO, COMPANION, VIDEO, Codec, Format, Unit

MAX_RECORD = 16 * 1024 * 1024
_PREFIX = struct.Struct(">cI")
_UNIT = struct.Struct(">BqqBqq")
_KEYFRAME, _DAMAGED, _CAPTURED = 1, 2, 4
_TRACKS = (VIDEO, AUDIO, COMPANION)
_FORMAT_FIELDS = {
    "track": str,
    "codec": str,
    "timescale": int,
    "config": str,
    "codecs": str,
    "width": int,
    "height": int,
    "sample_rate": int,
    "channels": int,
    "frame_duration": int,
    "language": str,
    "describes_video": bool,
}


class RecordError(ValueError):
    """The other end said something that is no record."""


def record(kind: bytes, body: bytes) -> bytes:
    return _PREFIX.pack(kind, len(body)) + body


class Splitter:
    """Bytes in, (kind, body) out."""

    def __init__(self, limit: int = MAX_RECORD) -> None:
        self._limit = limit
        self._rest = bytearray()

    def receive(self, data: bytes) -> list[tuple[bytes, bytes]]:
        self._rest += data
        records: list[tuple[bytes, bytes]] = []
        at = 0
        while len(self._rest) - at >= _PREFIX.size:
            kind, size = _PREFIX.unpack_from(self._rest, at)
            if size > self._limit:
                raise RecordError(f"a record of {size} bytes, {self._limit} are allowed")
            end = at + _PREFIX.size + size
            if end > len(self._rest):
                break
            records.append((kind, bytes(self._rest[at + _PREFIX.size : end])))
            at = end
        del self._rest[:at]
        return records


def pack_unit(unit: Unit) -> bytes:
    captured = unit.capture_ns is not None
    flags = unit.keyframe * _KEYFRAME + unit.damaged * _DAMAGED + captured * _CAPTURED
    track = _TRACKS.index(unit.track)
    head = (track, unit.pts, unit.dts, flags, unit.ingest_ns, unit.capture_ns or 0)
    return _UNIT.pack(*head) + unit.data


def unpack_unit(body: bytes, demuxed_ns: int) -> Unit:
    try:
        track, pts, dts, flags, ingest_ns, capture_ns = _UNIT.unpack_from(body)
        return Unit(
            _TRACKS[track],
            pts,
            dts,
            bool(flags & _KEYFRAME),
            body[_UNIT.size :],
            ingest_ns,
            demuxed_ns,
            capture_ns if flags & _CAPTURED else None,
            bool(flags & _DAMAGED),
        )
    except (struct.error, IndexError) as error:
        raise RecordError("a unit that does not unpack") from error


def pack_format(format: Format) -> dict[str, object]:
    return {**asdict(format), "codec": format.codec.value, "config": format.config.hex()}


def unpack_format(fields: object) -> Format:
    """`fields` is what JSON gave back for `pack_format`."""
    if not isinstance(fields, dict) or fields.keys() != _FORMAT_FIELDS.keys():
        raise RecordError("a format with other fields")
    for name, kind in _FORMAT_FIELDS.items():
        if type(fields[name]) is not kind:
            raise RecordError(f"a format whose {name} is no {kind.__name__}")
    try:
        codec, config = Codec(fields["codec"]), bytes.fromhex(fields["config"])
    except ValueError as error:
        raise RecordError("a format that does not unpack") from error
    return Format(**{**fields, "codec": codec, "config": config})


def unpack_json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RecordError("a record that is no JSON") from error
