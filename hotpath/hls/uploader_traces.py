"""Which uploads are worth a span, and what trace a session belongs to.

A day of a ladder is two hundred thousand objects. Told of are what begins and what ends a session,
and a segment of each rendition every ten minutes or so, which shows how long the store takes.

Upstream: the session's header in the journal. Downstream: `uploader_transfer`.
"""

from contextlib import suppress

from hotpath.hls import spool_journal as journal
from hotpath.hls.spool_layout import SessionFolder
from infra.keys import InitKey, ManifestKey, SegmentKey, parse
from infra.telemetry import tracing

SEGMENTS_APART = 300


def is_told(key: str) -> bool:
    """Whether the upload of this object has a span."""
    if not tracing.is_on():
        return False
    parsed = parse(key)
    if isinstance(parsed, SegmentKey):
        return parsed.msn % SEGMENTS_APART == 0
    return isinstance(parsed, InitKey | ManifestKey)


def of(folder: SessionFolder) -> str | None:
    """What the media node wrote down when it began the session."""
    with suppress(OSError):
        header = next(journal.read(folder.journal), None)
        if header is not None and header.get("kind") == "session":
            return header.get("traceparent")
    return None
