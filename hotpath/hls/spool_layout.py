"""Names inside the spool folder, shared by the media node and the uploader.

    <spool>/live/{project}/{event}/{feed}/{incarnation}/     mirrors the object keys
        journal.jsonl            what was recorded            written by the media node
        acks.jsonl               what the object store holds  written by the uploader
        manifest.json            written last
        {rendition}/init-{n}.mp4
        {rendition}/s{msn}.m4s       a finished segment; never changes, deleted when acknowledged
        {rendition}/s{msn}.partial   the open segment: whole parts, perhaps a torn one at the end
        {rendition}/s{msn}.index     one line per whole part of it
    <spool>/conflicts/live/...   files whose key was taken by other bytes; kept for an operator
    <spool>/done/                session folders on their way out
    <spool>/doorbell.sock        the uploader listens here for "there is something new"

The modification time of a finished file is the ingest time of its first unit.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.keys import NAME, ProgramKey

LIVE, CONFLICTS, DONE = "live", "conflicts", "done"
DOORBELL, MEDIA_LOCK, UPLOADER_LOCK = "doorbell.sock", "media.lock", "uploader.lock"
JOURNAL, ACKS, MANIFEST = "journal.jsonl", "acks.jsonl", "manifest.json"

_NAME = re.compile(NAME)
_OPEN = re.compile(r"s(0|[1-9]\d{0,11})\.(partial|index)")


def segment_name(msn: int) -> str:
    return f"s{msn}.m4s"


def partial_name(msn: int) -> str:
    return f"s{msn}.partial"


def index_name(msn: int) -> str:
    return f"s{msn}.index"


def init_name(number: int) -> str:
    return f"init-{number}.mp4"


def open_msn(name: str) -> int | None:
    """The segment number of a `.partial` or `.index` file name, None for other names."""
    match = _OPEN.fullmatch(name)
    return int(match[1]) if match else None


def incarnation_order(incarnation: str) -> tuple[int, str]:
    """Sort key: incarnations are base36 numbers that rise with time."""
    return len(incarnation), incarnation


@dataclass(frozen=True, slots=True)
class SessionFolder:
    """The folder of one incarnation of one programme."""

    root: Path
    """The spool folder."""
    key: ProgramKey
    incarnation: str

    @property
    def path(self) -> Path:
        return self.root / self.object_prefix

    @property
    def object_prefix(self) -> str:
        return f"{LIVE}/{self.key}/{self.incarnation}"

    @property
    def journal(self) -> Path:
        return self.path / JOURNAL

    @property
    def acks(self) -> Path:
        return self.path / ACKS

    @property
    def manifest(self) -> Path:
        return self.path / MANIFEST


def session_folders(root: Path) -> Iterator[SessionFolder]:
    """Every folder that stands where a session's folder stands, in no particular order."""
    for project in _folders(root / LIVE):
        for event in _folders(project):
            for feed in _folders(event):
                for incarnation in _folders(feed):
                    key = ProgramKey(project.name, event.name, feed.name)
                    yield SessionFolder(root, key, incarnation.name)


def _folders(path: Path) -> list[Path]:
    try:
        return [p for p in path.iterdir() if _NAME.fullmatch(p.name) and p.is_dir()]
    except FileNotFoundError:
        return []
