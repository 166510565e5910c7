"""Clips: a stretch of a programme, at once or exact to the picture, during it or after it.

`clip-instant` writes playlists over the whole segments that show the stretch, which lie in the
bucket already; a player is told where to begin. `clip-exact` makes an MP4 of the very pictures.
While the programme is live there is no manifest: what is needed of one is read from the segments,
and a clip whose end is still on its way into the bucket is tried again soon.

Outputs are named by the segments, the stretch and the mode, so a rerun finds them.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction

from pydantic import ValidationError

from coldpath.binding import Requested
from coldpath.context import JobContext
from coldpath.errors import PermanentFailure, RetryLater
from coldpath.functions.recorded import parse_manifest
from coldpath.functions.registry import registry
from coldpath.media import instant, live, vod
from coldpath.media.pieces import archived, init_keys, pieces
from coldpath.media.recording import Recording, recording
from coldpath.media.window import NS, Window, on_the_wall, reached_ns, within
from coldpath.records import JobResult, NewAsset
from coldpath.storable import mistakes
from infra.jobs.clip_request import EXACT, INSTANT, ClipClock, ClipRequest
from infra.keys import ManifestKey, ProgramKey, VodKey
from infra.manifest import SessionManifest

log = logging.getLogger(__name__)

MP4 = "clip.mp4"
PATIENCE = 12
"""Attempts after which a segment that is not there counts as not recorded."""
_MS = 1_000_000


@registry.function(
    INSTANT,
    on=Requested,
    queue="fast",
    max_attempts=20,
    timeout_s=120,
    backoff_base_ms=500,
    backoff_limit_ms=4_000,
)
def clip_instant(context: JobContext) -> JobResult:
    """Makes playlists over the segments that show a stretch of a programme."""
    return _Clip(context, "instant").playlists()


@registry.function(
    EXACT,
    on=Requested,
    queue="bulk",
    max_attempts=20,
    timeout_s=7_200,
    backoff_base_ms=500,
    backoff_limit_ms=4_000,
    memory_mb=512,
    per_project=4,
)
def clip_exact(context: JobContext) -> JobResult:
    """Makes an MP4 of the very pictures of a stretch of a programme."""
    return _Clip(context, "exact").mp4()


class _Clip:
    """One clip that was asked for."""

    def __init__(self, context: JobContext, mode: str) -> None:
        self._context = context
        self._mode = mode
        self._program = _program(context)
        self._request = _request(context)
        self._whole, self._window = _Footage(context, self._program, self._request).find()
        self._part = within(self._whole, self._window)
        if not self._part.runs:
            raise PermanentFailure(
                f"nothing was recorded between {_date_time(self._window.start_ns)} and "
                f"{_date_time(self._window.end_ns)}"
            )
        self._content = _content(self._part, self._window, mode)
        self._read = 0
        lead = self._part.first("video")
        segments = [s for run in self._part.runs for s in run.of(lead.name)] if lead else []
        self._pictures = sum(segment.entry.samples for segment in segments)

    def playlists(self) -> JobResult:
        """The multivariant playlist comes last: whoever sees it finds the others."""
        texts = instant.playlists(self._part, self._content, self._window)
        for name, text in texts.items():
            stored = self._context.put(self._key(name), text.encode(), vod.CONTENT_TYPE)
        length = Fraction(self._window.end_ns - self._window.start_ns, NS)
        begins = instant.offset(self._part, self._window)
        detail = {"offset_s": round(float(begins), 3), "playlists": sorted(texts)}
        asset = self._asset(
            vod.MULTIVARIANT, vod.CONTENT_TYPE, stored.bytes, round(length * 1000), detail
        )
        return self._made(asset)

    def mp4(self) -> JobResult:
        # PyAV takes a moment to import; the dispatcher only needs to know what is bound to what.
        from coldpath.media.cut import cut
        from coldpath.media.cut_check import check

        # The pictures before a keyframe that refer to the group before it lie one segment later.
        wide = within(self._whole, self._window, beyond=1)
        inits = {key: self._context.store.get(key) for key in init_keys(wide)}
        found = pieces(wide, inits)
        if len(found) != 1:
            raise PermanentFailure(
                "the source changed its format within the clip; ask for one clip before and one "
                "after that"
            )
        made = cut(
            self._context.store,
            found[0],
            self._window,
            renditions=archived(wide),
            inits=inits,
            path=self._context.scratch / MP4,
            report=self._count,
        )
        check(made.path, made.units, made.ends)
        stored = self._context.put(self._key(MP4), made.path, "video/mp4")
        detail = {
            "frames": made.copied + made.encoded,
            "copied": made.copied,
            "encoded": made.encoded,
            "audio_frames": made.audio,
            "reencoded_because": made.reason or None,
        }
        log.info("%s: %s", self._key(MP4), detail)
        asset = self._asset(MP4, "video/mp4", stored.bytes, round(made.duration * 1000), detail)
        return self._made(asset)

    def _asset(
        self,
        name: str,
        content_type: str,
        size: int,
        duration_ms: int,
        detail: Mapping[str, object],
    ) -> NewAsset:
        return NewAsset(
            kind="clip",
            key=self._key(name),
            content_type=content_type,
            bytes=size,
            duration_ms=duration_ms,
            detail={
                "title": self._request.title,
                "mode": self._mode,
                "start": _date_time(self._window.start_ns),
                "end": _date_time(self._window.end_ns),
                **detail,
            },
        )

    def _made(self, asset: NewAsset) -> JobResult:
        return JobResult({"content": self._content, "keys": [asset.key]}, [asset])

    def _key(self, name: str) -> str:
        return str(VodKey(self._program, self._content, name))

    def _count(self, pictures: int) -> None:
        self._read += pictures
        self._context.progress(min(self._read, self._pictures), self._pictures)


class _Footage:
    """What there is of the programme for the clip."""

    def __init__(self, context: JobContext, program: ProgramKey, request: ClipRequest) -> None:
        self._context = context
        self._store = context.store
        self._program = program
        self._request = request
        self._patient = context.lease.attempt < PATIENCE

    def find(self) -> tuple[Recording, Window]:
        """The recording, at least where the clip is, and the clip by the wall clock."""
        names = live.incarnations(self._store, self._program)
        if not names:
            raise RetryLater(f"nothing of {self._program} is in the bucket yet")
        sealed = {name: found for name in names if (found := self._manifest(name)) is not None}
        if self._request.clock is ClipClock.RECORDING:
            return self._by_the_recording(names, list(sealed.values()))
        window = Window(self._request.start_ms * _MS, self._request.end_ms * _MS)
        epoch_ns = live.epoch_of(list(sealed.values()), self._request.epoch_ns, names[0])
        sessions = list(self._sessions(names, sealed, window, epoch_ns))
        if not sessions:
            raise PermanentFailure("nothing was recorded yet when the clip would end")
        whole = recording(sessions)
        self._require_end(whole, window, sealed.get(names[-1]))
        return whole, window

    def _by_the_recording(
        self, names: Sequence[str], sealed: Sequence[SessionManifest]
    ) -> tuple[Recording, Window]:
        if len(sealed) < len(names) or not sealed[-1].final:
            raise RetryLater("the programme's last manifest is not in the bucket yet")
        whole = recording(sealed)
        start = on_the_wall(whole, Fraction(self._request.start_ms, 1000))
        end = on_the_wall(whole, Fraction(self._request.end_ms, 1000)) or reached_ns(whole)
        if start is None or end is None or end <= start:
            raise PermanentFailure("the clip would begin behind the end of the recording")
        return whole, Window(start, end)

    def _sessions(
        self,
        names: Sequence[str],
        sealed: dict[str, SessionManifest],
        window: Window,
        epoch_ns: int,
    ) -> Iterator[SessionManifest]:
        for name in names:
            if name in sealed:
                yield sealed[name]
                continue
            session = live.LiveSession(
                self._store, self._program, name, epoch_ns=epoch_ns, patient=self._patient
            ).read(window)
            if session is not None:
                yield session

    def _require_end(self, whole: Recording, window: Window, last: SessionManifest | None) -> None:
        """The publisher may come back: what it sends then is in a later session."""
        over = last is not None and last.final
        if self._patient and not over and (reached_ns(whole) or 0) < window.end_ns - _MS:
            raise live.NotYet("the end of the clip is not in the bucket yet; it is tried again")

    def _manifest(self, name: str) -> SessionManifest | None:
        body = live.manifest(self._store, self._program, name)
        key = str(ManifestKey(self._program, name))
        return None if body is None else parse_manifest(key, body)


def _program(context: JobContext) -> ProgramKey:
    return ProgramKey(context.lease.project, context.lease.event, context.lease.feed)


def _request(context: JobContext) -> ClipRequest:
    try:
        return ClipRequest.model_validate(dict(context.params))
    except ValidationError as error:
        raise PermanentFailure(
            f"no clip can be made of these parameters: {mistakes(error)}"
        ) from error


def _content(part: Recording, window: Window, mode: str) -> str:
    """Identity of a clip: what it is made from and what is taken."""
    keys = [
        segment.key
        for run in part.runs
        for found in run.segments.values()
        for segment in found.values()
    ]
    said = "\n".join([mode, str(window.start_ns), str(window.end_ns), *sorted(keys)])
    return hashlib.sha256(said.encode()).hexdigest()[:24]


def _date_time(ns: int) -> str:
    at = datetime.fromtimestamp(ns // _MS / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
