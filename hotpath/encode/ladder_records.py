"""What a ladder and its child say to each other, as `hotpath.media.records`.

Pure. Invariant: each end gives back exactly the messages that the other sent, in any chunking;
anything else is a `RecordError`. Counts and failures are those of `hotpath.encode.records`.
"""

import json
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeAlias

from hotpath.encode.job import EncodeError, EncodeSettings, Job
from hotpath.encode.ladder_job import LadderJob
from hotpath.encode.ladder_steps import Cue
from hotpath.encode.records import Counts, Failure
from hotpath.encode.records import pack as pack_common
from hotpath.encode.records import unpack as unpack_common
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
from hotpath.media.unit import Format, Unit
from infra.renditions import LadderRung

_JOB, _FED, _ENCODED, _DESCRIBED, _LEFT_OUT, _ADMITTED = b"L", b"I", b"E", b"D", b"O", b"A"
_CUE = struct.Struct(">bq")
_NO_CUE, _PLAIN, _KEY = -1, 0, 1
_PTS = struct.Struct(">q")
_WORDS = 500
CPU_US = "cpu-us"
"""Among the counts: processor time that the child has taken, in microseconds."""
ENCODED = "encoded"
"""Among the counts: pictures of the source that were encoded."""


@dataclass(frozen=True, slots=True)
class Fed:
    """A unit of the source, and what it says to the encoders."""

    unit: Unit
    cue: Cue | None = None

    @property
    def keyframe(self) -> bool:
        return self.unit.keyframe

    @property
    def data(self) -> bytes:
        return self.unit.data


@dataclass(frozen=True, slots=True)
class Encoded:
    """A picture of the rung of that name."""

    rung: str
    unit: Unit


@dataclass(frozen=True, slots=True)
class Described:
    """Of the pictures of that rung from here on."""

    rung: str
    format: Format


@dataclass(frozen=True, slots=True)
class LeftOut:
    """No rung has a picture up to this timestamp that has not been sent."""

    pts: int


@dataclass(frozen=True, slots=True)
class Admitted:
    """What the machine is taken to be able to do, from here on."""

    rungs: tuple[str, ...]
    cores: float
    """How much of the machine that takes, as predicted."""
    words: str
    """Why others are left out; empty if none are."""


LadderMessage: TypeAlias = (
    LadderJob | Fed | Encoded | Described | LeftOut | Admitted | Counts | Failure
)


def pack(message: LadderMessage) -> bytes:
    match message:
        case Fed(unit, cue):
            kind = _NO_CUE if cue is None else _KEY if cue.key else _PLAIN
            head = _CUE.pack(kind, 0 if cue is None else cue.pts)
            return record(_FED, head + pack_unit(unit))
        case Encoded(rung, unit):
            name = rung.encode()
            return record(_ENCODED, bytes([len(name)]) + name + pack_unit(unit))
        case Described(rung, format):
            return record(_DESCRIBED, json.dumps([rung, pack_format(format)]).encode())
        case LeftOut(pts):
            return record(_LEFT_OUT, _PTS.pack(pts))
        case Admitted() | LadderJob():
            job = isinstance(message, LadderJob)
            fields = _job_fields(message) if isinstance(message, LadderJob) else asdict(message)
            return record(_JOB if job else _ADMITTED, json.dumps(fields).encode())
        case Counts() | Failure():
            return pack_common(message)


class LadderReader:
    """Bytes in, messages out."""

    def __init__(self) -> None:
        self._splitter = Splitter()

    def receive(self, data: bytes, now_ns: int) -> list[LadderMessage]:
        """`now_ns` becomes the `demuxed_ns` of units."""
        return [_unpack(*each, now_ns) for each in self._splitter.receive(data)]


def _unpack(kind: bytes, body: bytes, now_ns: int) -> LadderMessage:
    try:
        own = _OWN.get(kind)
        message = own(body, now_ns) if own else unpack_common(kind, body, now_ns)
    except (struct.error, KeyError, IndexError, ValueError, TypeError, EncodeError) as error:
        raise RecordError(f"a record of a ladder that does not unpack: {error}") from error
    if isinstance(message, Job | Unit | Format):
        raise RecordError(f"a record of another kind of child: {kind!r}")
    return message


def _fed(body: bytes, now_ns: int) -> Fed:
    told, pts = _CUE.unpack_from(body)
    cue = None if told == _NO_CUE else Cue(pts, key=told == _KEY)
    return Fed(unpack_unit(body[_CUE.size :], now_ns), cue)


def _encoded(body: bytes, now_ns: int) -> Encoded:
    end = 1 + body[0]
    return Encoded(body[1:end].decode(), unpack_unit(body[end:], now_ns))


def _described(body: bytes, _now_ns: int) -> Described:
    rung, format = _list(unpack_json(body))
    return Described(str(rung), unpack_format(format))


def _left_out(body: bytes, _now_ns: int) -> LeftOut:
    return LeftOut(*_PTS.unpack(body))


def _admitted(body: bytes, _now_ns: int) -> Admitted:
    fields = _dict(unpack_json(body))
    rungs = tuple(str(name) for name in _list(fields["rungs"]))
    return Admitted(rungs, float(str(fields["cores"])), str(fields["words"])[:_WORDS])


def _job(body: bytes, _now_ns: int) -> LadderJob:
    fields = _dict(unpack_json(body))
    rungs = tuple(LadderRung(**_dict(each)) for each in _list(fields["rungs"]))  # type: ignore[arg-type]
    settings = EncodeSettings(**_dict(fields["settings"]))  # type: ignore[arg-type]
    return LadderJob(unpack_format(fields["source"]), rungs, float(str(fields["cores"])), settings)


_OWN: dict[bytes, Callable[[bytes, int], LadderMessage]] = {
    _FED: _fed,
    _ENCODED: _encoded,
    _DESCRIBED: _described,
    _LEFT_OUT: _left_out,
    _ADMITTED: _admitted,
    _JOB: _job,
}


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise RecordError("a list that is none")
    return value


def _dict(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise RecordError("fields that are none")
    return value


def _job_fields(job: LadderJob) -> dict[str, object]:
    return {
        "source": pack_format(job.source),
        "rungs": [asdict(rung) for rung in job.rungs],
        "cores": job.cores,
        "settings": asdict(job.settings),
    }
