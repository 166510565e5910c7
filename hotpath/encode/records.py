"""What a bridge and its child say to each other, as `hotpath.media.records`.

Pure. Invariant: each end gives back exactly the messages that the other sent, in any chunking;
anything else is a `RecordError`.
"""

import json
from dataclasses import asdict, dataclass
from typing import TypeAlias

from hotpath.encode.job import EncodeError, EncodeSettings, Job
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
from hotpath.media.unit import Codec, Format, Unit

_JOB, _UNIT, _FORMAT, _COUNTS, _FAILURE = b"J", b"U", b"F", b"C", b"X"
_WORDS = 500
_KINDS = 32


@dataclass(frozen=True, slots=True)
class Counts:
    """Frames that a child left out since its start, by reason."""

    totals: dict[str, int]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the child is about to end."""

    words: str


Message: TypeAlias = Job | Unit | Format | Counts | Failure


def pack(message: Message) -> bytes:
    match message:
        case Unit():
            return record(_UNIT, pack_unit(message))
        case Format():
            return record(_FORMAT, json.dumps(pack_format(message)).encode())
        case Counts(totals):
            return record(_COUNTS, json.dumps(totals).encode())
        case Failure(words):
            return record(_FAILURE, words[:_WORDS].encode())
        case Job():
            return record(_JOB, json.dumps(_job_fields(message)).encode())


class Reader:
    """Bytes in, messages out."""

    def __init__(self) -> None:
        self._splitter = Splitter()

    def receive(self, data: bytes, now_ns: int) -> list[Message]:
        """`now_ns` becomes the `demuxed_ns` of units."""
        return [unpack(*each, now_ns) for each in self._splitter.receive(data)]


def unpack(kind: bytes, body: bytes, now_ns: int) -> Message:
    if kind == _UNIT:
        return unpack_unit(body, now_ns)
    if kind == _FORMAT:
        return unpack_format(unpack_json(body))
    if kind == _COUNTS:
        return _counts(unpack_json(body))
    if kind == _FAILURE:
        return Failure(body.decode(errors="replace")[:_WORDS])
    if kind == _JOB:
        return _job(unpack_json(body))
    raise RecordError(f"a record of unknown kind {kind!r}")


def _counts(totals: object) -> Counts:
    if not isinstance(totals, dict) or len(totals) > _KINDS:
        raise RecordError("counts that are none")
    if any(type(count) is not int or count < 0 for count in totals.values()):
        raise RecordError("a count that is no number")
    return Counts(totals)


def _job_fields(job: Job) -> dict[str, object]:
    return {
        "source": pack_format(job.source),
        "target": job.target.value,
        "clock_in": job.clock_in,
        "clock_out": job.clock_out,
        "settings": asdict(job.settings),
    }


def _job(fields: object) -> Job:
    if not isinstance(fields, dict):
        raise RecordError("a job that is none")
    try:
        return Job(
            unpack_format(fields["source"]),
            Codec(fields["target"]),
            fields["clock_in"],
            fields["clock_out"],
            EncodeSettings(**fields["settings"]),
        )
    except (KeyError, ValueError, TypeError, EncodeError) as error:
        raise RecordError(f"a job that does not unpack: {error}") from error
