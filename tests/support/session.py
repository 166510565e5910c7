"""Recorded sessions for cold-path tests: real H.264 and AAC in the layout of `infra.manifest`.

ffmpeg encodes once per session of tests; its fragments are cut into segments here and their decode
times moved, so that a test can say "20 s later, a restart" without encoding again. The box reading
is this module's own, so that it does not share mistakes with the code under test.
"""

import functools
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import imageio_ffmpeg

from infra.keys import InitKey, ManifestKey, ProgramKey, SegmentKey
from infra.manifest import Hole, RenditionEntry, SegmentEntry, SessionManifest
from infra.storage.objects import ObjectStore

VIDEO_TIMESCALE = 90_000
AUDIO_RATE = 48_000
EPOCH_NS = 1_700_000_000_000_000_000


@dataclass(frozen=True)
class Fragment:
    """One `moof`+`mdat`."""

    data: bytes
    base: int
    duration: int
    samples: int
    keyframe: bool

    def shifted(self, ticks: int) -> "Fragment":
        at = self.data.index(b"tfdt") + 8
        moved = struct.pack(">Q", self.base + ticks)
        return replace(
            self, data=self.data[:at] + moved + self.data[at + 8 :], base=self.base + ticks
        )


@dataclass(frozen=True)
class Track:
    """An encoded elementary stream."""

    kind: str
    init: bytes
    timescale: int
    fragments: tuple[Fragment, ...]

    @property
    def samples(self) -> int:
        return sum(f.samples for f in self.fragments)


@dataclass
class Session:
    """One incarnation: its objects and its manifest."""

    manifest: SessionManifest
    objects: dict[str, bytes] = field(default_factory=dict)

    @property
    def manifest_key(self) -> str:
        m = self.manifest
        return str(ManifestKey(ProgramKey(m.project, m.event, m.feed), m.incarnation))

    def upload(self, store: ObjectStore) -> None:
        """Segments first, the manifest last, as the uploader does."""
        for key, data in self.objects.items():
            store.put(key, data, "video/mp4")
        self.upload_manifest(store)

    def upload_manifest(self, store: ObjectStore) -> None:
        body = self.manifest.model_dump_json().encode()
        store.put(self.manifest_key, body, "application/json")

    def samples(self, kind: str) -> int:
        return sum(
            s.samples for r in self.manifest.renditions if r.kind == kind for s in r.segments
        )


@functools.cache
def encode(
    seconds: float = 4.0,
    *,
    fps: int = 25,
    size: str = "320x180",
    bframes: int = 2,
    gop: int = 50,
    tone: int = 440,
    codec: str = "libx264",
    open_gop: bool = False,
    picture: str = "",
    sound: str = "",
) -> tuple[Track, Track]:
    """A test card and a tone, as one video and one audio track; `picture` and `sound`: filter
    graphs in place of them."""
    hum = f"sine=frequency={tone}:sample_rate={AUDIO_RATE}:duration={seconds}"
    card = f"testsrc2=size={size}:rate={fps}:duration={seconds}"
    video = _fragments(
        ["-f", "lavfi", "-i", picture or card],
        [
            *("-c:v", codec, "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", str(gop)),
            *("-bf", str(bframes), "-sc_threshold", "0", "-video_track_timescale", "90000"),
            *(["-x265-params", f"log-level=none:open-gop={open_gop:d}"] if "265" in codec else []),
            *(["-x264-params", "open-gop=1:bframes=3"] if open_gop and "264" in codec else []),
        ],
    )
    audio = _fragments(
        ["-f", "lavfi", "-i", sound or hum],
        ["-c:a", "aac", "-b:a", "64k", "-ac", "2"],
    )
    return (
        Track("video", video[0], VIDEO_TIMESCALE, tuple(video[1])),
        Track("audio", audio[0], AUDIO_RATE, tuple(audio[1])),
    )


def session(
    key: ProgramKey,
    incarnation: str,
    *tracks: Track,
    start_s: float = 0.0,
    first_msn: int = 0,
    discontinuity_seq: int = 0,
    previous: Sequence[str] = (),
    final: bool = True,
    segment_s: float = 2.0,
    drop: dict[str, set[int]] | None = None,
) -> Session:
    """One incarnation with these tracks, starting `start_s` after the programme's epoch.

    `drop` names segments per rendition that were not recorded (a hole in the manifest).
    """
    objects: dict[str, bytes] = {}
    renditions = []
    for track in tracks:
        objects[str(InitKey(key, incarnation, track.kind, 0))] = track.init
        segments, holes = [], []
        for msn, fragments in enumerate(segments_of(track, segment_s), first_msn):
            if drop and msn in drop.get(track.kind, set()):
                holes.append(Hole(first_msn=msn, last_msn=msn, reason="spool-full"))
                continue
            moved = [f.shifted(round(start_s * track.timescale)) for f in fragments]
            data = b"".join(f.data for f in moved)
            objects[str(SegmentKey(key, incarnation, track.kind, msn))] = data
            segments.append(_entry(moved, track, msn, data, discontinuity_seq))
        renditions.append(_rendition(track, tuple(segments), tuple(holes)))
    manifest = SessionManifest(
        project=key.project,
        event=key.event,
        feed=key.feed,
        incarnation=incarnation,
        previous=tuple(previous),
        final=final,
        started_ns=EPOCH_NS + round(start_s * 1e9),
        ended_ns=EPOCH_NS + round((start_s + 60) * 1e9),
        target_duration_s=2,
        renditions=tuple(renditions),
    )
    return Session(manifest, objects)


def _entry(
    fragments: list[Fragment], track: Track, msn: int, data: bytes, discontinuity_seq: int
) -> SegmentEntry:
    first = fragments[0]
    return SegmentEntry(
        msn=msn,
        init=0,
        start=first.base,
        duration=sum(f.duration for f in fragments),
        bytes=len(data),
        samples=sum(f.samples for f in fragments),
        discontinuity_seq=discontinuity_seq,
        independent=first.keyframe,
        pdt_ns=EPOCH_NS + first.base * 1_000_000_000 // track.timescale,
    )


def _rendition(
    track: Track, segments: tuple[SegmentEntry, ...], holes: tuple[Hole, ...]
) -> RenditionEntry:
    if track.kind == "video":
        return RenditionEntry(
            name="video",
            kind="video",
            codecs=("avc1.42c00d",),
            timescale=track.timescale,
            inits=1,
            width=320,
            height=180,
            segments=segments,
            holes=holes,
        )
    return RenditionEntry(
        name="audio",
        kind="audio",
        codecs=("mp4a.40.2",),
        timescale=track.timescale,
        inits=1,
        sample_rate=AUDIO_RATE,
        channels=2,
        segments=segments,
        holes=holes,
    )


def segments_of(track: Track, seconds: float) -> Iterator[list[Fragment]]:
    """Video begins a segment at the first keyframe past each boundary, audio at the first frame."""
    current: list[Fragment] = []
    boundary = seconds * track.timescale
    for fragment in track.fragments:
        if current and fragment.base >= boundary and (track.kind == "audio" or fragment.keyframe):
            yield current
            current = []
            boundary += seconds * track.timescale
        current.append(fragment)
    if current:
        yield current


def _fragments(source: list[str], codec: list[str]) -> tuple[bytes, list[Fragment]]:
    return fragments_in(fragmented(source, codec))


def fragmented(source: list[str], codec: list[str]) -> bytes:
    """What ffmpeg encodes, in fragments as the packager cuts them."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-threads", "1"]
    flags = "+empty_moov+default_base_moof+frag_keyframe"
    muxer = ["-f", "mp4", "-movflags", flags, "-frag_duration", "215000", "-use_editlist", "0"]
    result = subprocess.run(
        [*command, *source, *codec, *muxer, "-avoid_negative_ts", "make_zero", "-"],
        capture_output=True,
        check=True,
    )
    return result.stdout


def fragments_in(data: bytes) -> tuple[bytes, list[Fragment]]:
    """The init section and the fragments."""
    init, fragments, moof = b"", [], b""
    for kind, box in _boxes(data):
        if kind in (b"ftyp", b"moov"):
            init += box
        elif kind == b"moof":
            moof = box
        elif kind == b"mdat":
            fragments.append(_fragment(moof, box))
    return init, fragments


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size = struct.unpack_from(">I", data, at)[0]
        yield data[at + 4 : at + 8], data[at : at + size]
        at += size


def _fragment(moof: bytes, mdat: bytes) -> Fragment:
    traf = next(box for kind, box in _boxes(moof[8:]) if kind == b"traf")
    parts = dict(_boxes(traf[8:]))
    base = struct.unpack_from(">Q", parts[b"tfdt"], 12)[0]
    tfhd, trun = parts[b"tfhd"], parts[b"trun"]
    duration, flags = _defaults(tfhd)
    samples = _samples(trun, duration, flags)
    return Fragment(
        moof + mdat,
        base,
        sum(d for d, _ in samples),
        len(samples),
        not samples[0][1] & 0x10000,
    )


def _defaults(tfhd: bytes) -> tuple[int, int]:
    flags, at, found = struct.unpack_from(">I", tfhd, 8)[0] & 0xFFFFFF, 16, {}
    for bit, size in ((0x1, 8), (0x2, 4), (0x8, 4), (0x10, 4), (0x20, 4)):
        if flags & bit:
            found[bit] = int.from_bytes(tfhd[at : at + size], "big")
            at += size
    return found.get(0x8, 0), found.get(0x20, 0)


def _samples(trun: bytes, duration: int, default_flags: int) -> list[tuple[int, int]]:
    """(duration, flags) of every sample."""
    flags, count = struct.unpack_from(">II", trun, 8)
    at = 16 + (4 if flags & 0x1 else 0)
    first_flags = None
    if flags & 0x4:
        first_flags = struct.unpack_from(">I", trun, at)[0]
        at += 4
    samples = []
    for number in range(count):
        sample = {0x100: duration, 0x200: 0, 0x400: default_flags, 0x800: 0}
        for bit in sample:
            if flags & bit:
                sample[bit] = struct.unpack_from(">I", trun, at)[0]
                at += 4
        if number == 0 and first_flags is not None:
            sample[0x400] = first_flags
        samples.append((sample[0x100], sample[0x400]))
    return samples
