"""What to upload next, decided from a listing of the spool.

Pure: no clock, no disk. Invariants of `plan`: init sections and segments go oldest first; a
session's manifest comes only when nothing else of the session is left, and after the manifests of
all earlier incarnations of the same programme.

Upstream: `uploader_listing`. Downstream: `uploader`.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hotpath.hls.spool_layout import SessionFolder, incarnation_order
from infra.keys import InitKey, ManifestKey, ProgramKey, SegmentKey, parse

CONTENT_TYPES = {".m4s": "video/iso.segment", ".mp4": "video/mp4", ".json": "application/json"}


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """A finished file."""

    key: str
    """Its object key, and its path below the spool folder."""
    bytes: int
    modified_ns: int
    """For segments the ingest time of their first unit, Unix ns."""


@dataclass(frozen=True, slots=True)
class SessionListing:
    """One session folder as found on disk."""

    folder: SessionFolder
    files: tuple[SpoolFile, ...]
    """Finished init sections and segments, listed after `manifest` was looked for."""
    manifest: SpoolFile | None = None
    open: bool = True
    """It has a journal, and the manifest is not acknowledged: later manifests wait for it."""
    done: bool = False
    """The manifest was acknowledged and is gone: the folder waits for its removal."""
    strangers: tuple[str, ...] = ()
    """Files that nobody of ours wrote."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One file to send."""

    folder: SessionFolder
    file: SpoolFile
    content_type: str

    @property
    def path(self) -> Path:
        return self.folder.root / self.file.key

    @property
    def is_segment(self) -> bool:
        return isinstance(parse(self.file.key), SegmentKey)


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits, for the metrics."""

    files: int
    bytes: int
    oldest_ns: int | None


def is_uploadable(key: str) -> bool:
    return isinstance(parse(key), SegmentKey | InitKey | ManifestKey)


def plan(listing: Iterable[SessionListing]) -> list[Upload]:
    """Everything that may be sent now, in order."""
    programs: dict[ProgramKey, list[SessionListing]] = defaultdict(list)
    for session in listing:
        programs[session.folder.key].append(session)
    uploads = [u for sessions in programs.values() for u in _of_program(sessions)]
    return sorted(uploads, key=_order)


def _of_program(sessions: list[SessionListing]) -> Iterable[Upload]:
    earlier_open = False
    for session in sorted(sessions, key=lambda s: incarnation_order(s.folder.incarnation)):
        for file in session.files:
            yield _upload(session, file)
        if session.manifest and not session.files and not earlier_open:
            yield _upload(session, session.manifest)
        # Without a manifest the session is still being written, or waits for recovery.
        earlier_open = earlier_open or session.open


def _upload(session: SessionListing, file: SpoolFile) -> Upload:
    return Upload(session.folder, file, CONTENT_TYPES[Path(file.key).suffix])


def _order(upload: Upload) -> tuple[bool, int, str]:
    # A segment is of no use without its init section, which is small.
    is_init = isinstance(parse(upload.file.key), InitKey)
    return not is_init, upload.file.modified_ns, upload.file.key


def next_uploads(
    planned: Iterable[Upload],
    busy: Collection[str],
    not_before: Mapping[str, float],
    now: float,
    slots: int,
) -> list[Upload]:
    """The first `slots` that are neither in flight nor waiting after a failure of their own."""
    ready: list[Upload] = []
    for upload in planned:
        if len(ready) >= slots:
            break
        key = upload.file.key
        if key not in busy and not_before.get(key, now) <= now:
            ready.append(upload)
    return ready


def backlog(listing: Iterable[SessionListing]) -> Backlog:
    files = [f for s in listing for f in (*s.files, *([s.manifest] if s.manifest else []))]
    return Backlog(
        files=len(files),
        bytes=sum(f.bytes for f in files),
        oldest_ns=min((f.modified_ns for f in files), default=None),
    )


def removable(listing: Iterable[SessionListing]) -> list[SessionFolder]:
    """Sessions of which everything is acknowledged, unless a stranger's file is in there."""
    return [s.folder for s in listing if s.done and not s.files and not s.strangers]
