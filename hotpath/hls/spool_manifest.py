"""Composes a session's `manifest.json` from its journal.

Invariant: the manifest is a function of the journal alone (no clock), so composing it again after
a crash gives the same bytes, and a second upload finds its own object. Memory does not grow with
the length of the session: segments are copied line by line, once per rendition.

Upstream: `spool_ledger` at the seal, `spool_recovery`. Downstream: `infra.manifest` readers.
Journal records, in `kind`: session, init, segment, gap, hole, lost, seal.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hotpath.hls import spool_journal as journal
from hotpath.hls.spool_layout import MANIFEST, SessionFolder
from hotpath.media.unit import Format
from infra.manifest import Hole, RenditionEntry, SessionManifest

_SEGMENT = b'{"kind":"segment"'


@dataclass(slots=True)
class RenditionSummary:
    """Everything of a rendition but its segments."""

    formats: list[dict[str, Any]] = field(default_factory=list)
    """By init number."""
    holes: dict[int, Hole] = field(default_factory=dict)
    """By first msn: a later record of a growing hole replaces the earlier one."""
    lost: set[int] = field(default_factory=set)
    """Journalled segments that recovery found missing."""


@dataclass(slots=True)
class Summary:
    """A session's journal without its segments."""

    header: journal.Record
    renditions: dict[str, RenditionSummary]
    seal: journal.Record | None


def describe(format_: Format) -> dict[str, Any]:
    """What an `init` record keeps of a Format: the manifest's fields."""
    return {
        "kind": format_.codec.kind,
        "codecs": format_.codecs,
        "timescale": format_.timescale,
        "width": format_.width,
        "height": format_.height,
        "sample_rate": format_.sample_rate,
        "channels": format_.channels,
        "language": format_.language,
        "describes_video": format_.describes_video,
    }


def segment_record(rendition: str, entry: dict[str, Any]) -> journal.Record:
    """The journal's record of a finished segment; `_segments` relies on its shape."""
    return {"kind": "segment", "rendition": rendition, "entry": entry}


def summarize(path: Path) -> Summary | None:
    """None if the journal has no session header."""
    summary: Summary | None = None
    for body in journal.read_bodies(path):
        if body.startswith(_SEGMENT):
            continue
        record: journal.Record = json.loads(body + b"}")
        kind = record["kind"]
        if kind == "session":
            summary = Summary(record, {}, None)
        if summary is None:
            return None
        if kind == "seal":
            summary.seal = record
        elif kind in ("init", "hole", "lost"):
            rendition = summary.renditions.setdefault(record["rendition"], RenditionSummary())
            _add(rendition, record)
    return summary


def _add(rendition: RenditionSummary, record: journal.Record) -> None:
    if record["kind"] == "init":
        # A repeated number comes from a retried write of the same section.
        if record["number"] == len(rendition.formats):
            rendition.formats.append(record["format"])
    elif record["kind"] == "hole":
        hole = Hole.model_validate(
            {name: record[name] for name in ("first_msn", "last_msn", "reason")}
        )
        rendition.holes[hole.first_msn] = hole
    else:
        msn = int(record["msn"])
        rendition.lost.add(msn)
        rendition.holes[msn] = Hole(first_msn=msn, last_msn=msn, reason="disk-error")


def merged_holes(holes: Iterable[Hole]) -> list[Hole]:
    """In order, with touching holes of one reason joined."""
    merged: list[Hole] = []
    for hole in sorted(holes, key=lambda h: h.first_msn):
        last = merged[-1] if merged else None
        if last and last.reason == hole.reason and hole.first_msn <= last.last_msn + 1:
            end = max(last.last_msn, hole.last_msn)
            merged[-1] = last.model_copy(update={"last_msn": end})
        else:
            merged.append(hole)
    return merged


def write_manifest(folder: SessionFolder) -> int:
    """Compose and write `manifest.json` of a sealed session; returns its size. Raises OSError."""
    summary = summarize(folder.journal)
    if summary is None or summary.seal is None:
        raise ValueError(f"{folder.path} has no sealed journal")
    partial = folder.path / f"{MANIFEST}.partial"
    with partial.open("w", encoding="utf-8") as file:
        file.writelines(_chunks(folder.journal, summary, summary.seal))
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    os.replace(partial, folder.manifest)
    journal.sync_folder(folder.path)
    return size


def _chunks(path: Path, summary: Summary, seal: journal.Record) -> Iterator[str]:
    header = summary.header
    head = SessionManifest(
        project=header["project"],
        event=header["event"],
        feed=header["feed"],
        incarnation=header["incarnation"],
        previous=tuple(header["previous"]),
        final=seal["final"],
        started_ns=header["started_ns"],
        ended_ns=seal["ended_ns"],
        target_duration_s=header["target_duration_s"],
        renditions=(),
        traceparent=header["traceparent"],
    )
    yield head.model_dump_json(exclude={"renditions"})[:-1] + ',"renditions":['
    separator = ""
    for name, rendition in summary.renditions.items():
        if not rendition.formats:
            continue
        entry = RenditionEntry(
            name=name,
            codecs=tuple(f["codecs"] for f in rendition.formats),
            inits=len(rendition.formats),
            **{k: v for k, v in rendition.formats[-1].items() if k != "codecs"},
        )
        holes = [hole.model_dump() for hole in merged_holes(rendition.holes.values())]
        plain = entry.model_dump_json(exclude={"segments", "holes"})
        yield f'{separator}{plain[:-1]},"holes":{json.dumps(holes)},"segments":['
        yield from _segments(path, name, rendition.lost)
        yield "]}"
        separator = ","
    yield "]}"


def _segments(path: Path, rendition: str, lost: set[int]) -> Iterator[str]:
    """Entries are copied as text: parsing those of a day would hold the GIL for seconds."""
    start = _SEGMENT + f',"rendition":{json.dumps(rendition)},"entry":'.encode()
    last = -1
    for body in journal.read_bodies(path):
        if not body.startswith(start):
            continue
        entry = body[len(start) :].decode()
        msn = int(entry[len('{"msn":') : entry.index(",")])
        # A segment that was journalled again after a failed rename counts once.
        if msn > last and msn not in lost:
            yield f",{entry}" if last >= 0 else entry
            last = msn
