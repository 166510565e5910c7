"""The object-key grammar, in one place.

Invariant: `parse(format(x)) == x`, and a key names its project first, so a prefix is a tenant.

    live/{project}/{event}/{feed}/{incarnation}/{rendition}/init-{n}.mp4
    live/{project}/{event}/{feed}/{incarnation}/{rendition}/s{msn}.m4s
    live/{project}/{event}/{feed}/{incarnation}/manifest.json
    vod/{project}/{event}/{feed}/{content}/{name}
    work/{project}/{event}/{feed}/{incarnation}/{kind}/{name}

An incarnation is one life of a programme on one media node; it is part of every key, so a restart
can never overwrite an object. Viewers fetch the same `live/...` path from the media node. What
functions make while a programme is live, for themselves or for the end, is `work/...`.
"""

import re
from dataclasses import dataclass

NAME = r"[a-z0-9][a-z0-9_-]{0,63}"
_PROGRAM = re.compile(rf"({NAME})/({NAME})/({NAME})")
_SEGMENT = re.compile(
    rf"live/({NAME})/({NAME})/({NAME})/({NAME})/({NAME})/s(0|[1-9]\d{{0,11}})\.m4s"
)
_INIT = re.compile(
    rf"live/({NAME})/({NAME})/({NAME})/({NAME})/({NAME})/init-(0|[1-9]\d{{0,5}})\.mp4"
)
_MANIFEST = re.compile(rf"live/({NAME})/({NAME})/({NAME})/({NAME})/manifest\.json")
_VOD = re.compile(rf"vod/({NAME})/({NAME})/({NAME})/({NAME})/([A-Za-z0-9][A-Za-z0-9._-]{{0,127}})")

_WORK = re.compile(
    rf"work/({NAME})/({NAME})/({NAME})/({NAME})/({NAME})/([A-Za-z0-9][A-Za-z0-9._-]{{0,127}})"
)


def is_name(text: str) -> bool:
    """Whether `text` may be one part of a key: an id of a project, event, feed, job."""
    return re.fullmatch(NAME, text) is not None


@dataclass(frozen=True, slots=True)
class ProgramKey:
    """One feed of one event of one project."""

    project: str
    event: str
    feed: str = "main"

    def __post_init__(self) -> None:
        if not _PROGRAM.fullmatch(str(self)):
            raise ValueError(f"{self!s} is no program key: each part must match {NAME}")

    def __str__(self) -> str:
        return f"{self.project}/{self.event}/{self.feed}"


@dataclass(frozen=True, slots=True)
class SegmentKey:
    program: ProgramKey
    incarnation: str
    rendition: str
    msn: int

    def __str__(self) -> str:
        return f"live/{self.program}/{self.incarnation}/{self.rendition}/s{self.msn}.m4s"


@dataclass(frozen=True, slots=True)
class InitKey:
    program: ProgramKey
    incarnation: str
    rendition: str
    number: int

    def __str__(self) -> str:
        return f"live/{self.program}/{self.incarnation}/{self.rendition}/init-{self.number}.mp4"


@dataclass(frozen=True, slots=True)
class ManifestKey:
    program: ProgramKey
    incarnation: str

    def __str__(self) -> str:
        return f"live/{self.program}/{self.incarnation}/manifest.json"


@dataclass(frozen=True, slots=True)
class VodKey:
    program: ProgramKey
    content: str
    """Identity of what the object was made from (a hash); a rerun gets the same key."""
    name: str

    def __str__(self) -> str:
        return f"vod/{self.program}/{self.content}/{self.name}"


@dataclass(frozen=True, slots=True)
class WorkKey:
    """A piece of work on an incarnation: live, so its whole is not known yet."""

    program: ProgramKey
    incarnation: str
    kind: str
    """Whose work it is, such as `captions`."""
    name: str

    def __str__(self) -> str:
        return f"work/{self.program}/{self.incarnation}/{self.kind}/{self.name}"


ObjectKey = SegmentKey | InitKey | ManifestKey | VodKey | WorkKey


def parse(key: str) -> ObjectKey | None:
    """The typed form of an object key, or None if it is none of ours."""
    if m := _SEGMENT.fullmatch(key):
        return SegmentKey(ProgramKey(m[1], m[2], m[3]), m[4], m[5], int(m[6]))
    if m := _MANIFEST.fullmatch(key):
        return ManifestKey(ProgramKey(m[1], m[2], m[3]), m[4])
    if m := _INIT.fullmatch(key):
        return InitKey(ProgramKey(m[1], m[2], m[3]), m[4], m[5], int(m[6]))
    if m := _VOD.fullmatch(key):
        return VodKey(ProgramKey(m[1], m[2], m[3]), m[4], m[5])
    if m := _WORK.fullmatch(key):
        return WorkKey(ProgramKey(m[1], m[2], m[3]), m[4], m[5], m[6])
    return None
