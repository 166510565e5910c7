"""Finishes what earlier lives of the media process left in the spool.

Invariant: after `recover` every whole part that was ever appended is in a finished segment, every
earlier session is sealed with a manifest, and running it again changes nothing. Sessions are
independent: one whose files cannot be read or written is reported and left for the next start.

Upstream: the node, at start, before it opens sessions. The uploader may run meanwhile: it deletes
finished files that it has acknowledged and whole folders of sealed sessions, nothing else.
"""

import os
from base64 import b64decode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from hotpath.hls import spool_journal as journal
from hotpath.hls.spool_layout import (
    CONFLICTS,
    JOURNAL,
    LIVE,
    MANIFEST,
    SessionFolder,
    incarnation_order,
    index_name,
    init_name,
    open_msn,
    partial_name,
    segment_name,
    session_folders,
)
from hotpath.hls.spool_lock import media_lock
from hotpath.hls.spool_manifest import segment_record, write_manifest
from hotpath.hls.spool_segment import read_parts, segment_entry
from infra.keys import ProgramKey

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RecoveredSession:
    """A session that had not been sealed and now is."""

    key: ProgramKey
    incarnation: str
    segments: int
    """All segments of the session."""
    parts: int
    """Whole parts found in segments that were open."""
    highest_msn: int
    """Over all renditions, holes included; -1 if nothing was ever recorded."""
    highest_discontinuity_seq: int
    ended_ns: int


@dataclass(slots=True)
class _Rendition:
    timescale: int = 1
    inits: dict[int, bytes] = field(default_factory=dict)
    segments: dict[int, int] = field(default_factory=dict)
    """msn → bytes."""
    absent: set[int] = field(default_factory=set)
    """Gaps, holes and segments known to be lost."""


@dataclass(slots=True)
class _Session:
    headed: bool = False
    ended_ns: int = 0
    sealed: bool = False
    discontinuity_seq: int = 0
    renditions: dict[str, _Rendition] = field(default_factory=dict)

    def note(self, record: journal.Record) -> None:
        kind = record["kind"]
        if kind == "session":
            self.headed = True
            self.ended_ns = record["started_ns"]
        elif kind == "seal":
            self.sealed = True
        else:
            self._note_media(record)

    def _note_media(self, record: journal.Record) -> None:
        rendition = self.renditions.setdefault(record["rendition"], _Rendition())
        kind = record["kind"]
        if kind == "init":
            rendition.timescale = record["format"]["timescale"]
            rendition.inits[record["number"]] = b64decode(record["data"])
        elif kind == "segment":
            entry = record["entry"]
            rendition.segments[entry["msn"]] = entry["bytes"]
            length_ns = entry["duration"] * 1_000_000_000 // rendition.timescale
            self.ended_ns = max(self.ended_ns, entry["pdt_ns"] + length_ns)
            self.discontinuity_seq = max(self.discontinuity_seq, entry["discontinuity_seq"])
        elif kind == "hole":
            rendition.absent.update(range(record["first_msn"], record["last_msn"] + 1))
        else:
            rendition.absent.add(record["msn"])


def recover(root: Path) -> list[RecoveredSession]:
    """Seal every session that an earlier life left open, oldest first. Blocks on the disk.

    Raises ConfigurationError if another media process uses the spool. Sessions that the disk
    refuses to finish are tried again by `Spool` while it runs.
    """
    (root / LIVE).mkdir(parents=True, exist_ok=True)
    recovered: list[RecoveredSession] = []
    with media_lock(root):
        for folder in unsealed_sessions(root):
            recover_or_report(folder, recovered)
    return recovered


def unsealed_sessions(root: Path) -> list[SessionFolder]:
    """Session folders without a manifest on disk or in the object store, oldest first."""
    found = [f for f in session_folders(root) if not f.manifest.exists() and not _is_stored(f)]
    return sorted(found, key=lambda f: incarnation_order(f.incarnation))


def _is_stored(folder: SessionFolder) -> bool:
    last = journal.read_last(folder.acks)
    return last is not None and last["key"] == f"{folder.object_prefix}/{MANIFEST}"


def recover_or_report(
    folder: SessionFolder, recovered: list[RecoveredSession] | None = None, *, quiet: bool = False
) -> bool:
    """False if the disk refuses, so that it is worth another try."""
    try:
        session = recover_session(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if not folder.path.exists():
            return True  # The uploader finished with it and removed it meanwhile.
        if not quiet:
            log.exception("a spool session cannot be recovered", session=str(folder.path))
        return not isinstance(error, OSError)
    if session is not None and recovered is not None:
        recovered.append(session)
    return True


def recover_session(folder: SessionFolder) -> RecoveredSession | None:
    """None if it was sealed, or is no session."""
    session = _Session()
    for record in journal.read(folder.journal):
        session.note(record)
    if not session.headed:
        _disown(folder)
        return None
    if session.sealed:
        write_manifest(folder)
        return None
    stored = {record["key"] for record in journal.read(folder.acks)}
    with journal.Journal(folder.journal) as lines:
        parts = 0
        for name in _rendition_folders(folder):
            session.renditions.setdefault(name, _Rendition())
        for name, rendition in session.renditions.items():
            _restore_inits(folder, name, rendition, stored)
            parts += _close_open_segments(folder, name, session, lines)
            lines.append(*_losses(folder, name, rendition, stored))
        lines.append({"kind": "seal", "final": False, "ended_ns": session.ended_ns})
    write_manifest(folder)
    return _report(folder, session, parts)


def _disown(folder: SessionFolder) -> None:
    """A crash came before the session's header was durable: nothing was recorded in it.

    Should there be media all the same, its journal was damaged: the files are uploaded, but no
    manifest can name them, and later sessions do not wait for one.
    """
    if folder.path.exists() and {p.name for p in folder.path.iterdir()} <= {JOURNAL}:
        folder.journal.unlink(missing_ok=True)
        folder.path.rmdir()
    elif folder.journal.exists():
        os.replace(folder.journal, folder.journal.with_suffix(".damaged"))
        log.error("the journal of a spool session is damaged", session=str(folder.path))


def _rendition_folders(folder: SessionFolder) -> list[str]:
    """Also those of which a damaged journal says nothing: their parts are whole all the same."""
    return sorted(path.name for path in folder.path.iterdir() if path.is_dir())


def _restore_inits(
    folder: SessionFolder, name: str, rendition: _Rendition, stored: set[str]
) -> None:
    for number, data in rendition.inits.items():
        path = folder.path / name / init_name(number)
        if f"{folder.object_prefix}/{name}/{path.name}" not in stored and not path.exists():
            path.parent.mkdir(exist_ok=True)
            journal.write_file(path, data)


def _close_open_segments(
    folder: SessionFolder, name: str, session: _Session, lines: journal.Journal
) -> int:
    """Turn every `.partial` into a segment of its whole parts; returns how many parts."""
    recovered = 0
    rendition = session.renditions[name]
    media = folder.path / name
    for msn in sorted(_open_segments(media)):
        partial = media / partial_name(msn)
        if msn not in rendition.segments:
            parts = read_parts(media, msn)
            if not parts:
                partial.unlink(missing_ok=True)
                (media / index_name(msn)).unlink(missing_ok=True)
                continue
            entry = segment_entry(msn, parts, None)
            _settle_file(partial, entry["bytes"], parts[0].info.ingest_ns)
            record = segment_record(name, entry)
            lines.append(record)
            session.note(record)
            recovered += len(parts)
        if partial.exists():
            os.replace(partial, media / segment_name(msn))
            journal.sync_folder(media)
        (media / index_name(msn)).unlink(missing_ok=True)
    return recovered


def _open_segments(media: Path) -> set[int]:
    if not media.is_dir():
        return set()
    return {msn for path in media.iterdir() if (msn := open_msn(path.name)) is not None}


def _settle_file(partial: Path, length: int, stamp_ns: int) -> None:
    """Cut off what is behind the last whole part and make the rest durable."""
    fd = os.open(partial, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.ftruncate(fd, length)
        os.utime(fd, ns=(stamp_ns, stamp_ns))
        os.fsync(fd)
    finally:
        os.close(fd)


def _losses(
    folder: SessionFolder, name: str, rendition: _Rendition, stored: set[str]
) -> Iterator[journal.Record]:
    """Segments that were journalled and are gone, and numbers that nothing accounts for."""
    missing = {}
    for msn, size in rendition.segments.items():
        path = f"{folder.object_prefix}/{name}/{segment_name(msn)}"
        if path not in stored and not _has(folder.root, path, size):
            missing[path] = msn
    if missing:
        # The uploader may have stored and deleted it since; it notes that before it deletes.
        stored = {record["key"] for record in journal.read(folder.acks)}
    for path, msn in missing.items():
        if path not in stored:
            yield {"kind": "lost", "rendition": name, "msn": msn}
    known = set(rendition.segments) | rendition.absent
    for first, last in _missing_runs(known):
        hole = {"first_msn": first, "last_msn": last, "reason": "disk-error"}
        yield {"kind": "hole", "rendition": name, **hole}


def _has(root: Path, path: str, size: int) -> bool:
    for file in (root / path, root / CONFLICTS / path):
        if file.exists():
            return file.stat().st_size == size
    return False


def _missing_runs(known: Iterable[int]) -> Iterator[tuple[int, int]]:
    previous: int | None = None
    for msn in sorted(known):
        if previous is not None and msn > previous + 1:
            yield previous + 1, msn - 1
        previous = msn


def _report(folder: SessionFolder, session: _Session, parts: int) -> RecoveredSession:
    renditions = session.renditions.values()
    return RecoveredSession(
        key=folder.key,
        incarnation=folder.incarnation,
        segments=sum(len(rendition.segments) for rendition in renditions),
        parts=parts,
        highest_msn=max((m for r in renditions for m in (*r.segments, *r.absent)), default=-1),
        highest_discontinuity_seq=session.discontinuity_seq,
        ended_ns=session.ended_ns,
    )
