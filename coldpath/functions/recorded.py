"""The whole recording of a programme, for functions that run when it is over.

Every session manifest starts such a function; only the final one leads to work, over all
incarnations of the programme. One that a client asks for looks for the final manifest itself.

Upstream: the session manifests in the bucket. Downstream: `archive`, `mp4`, `thumbnails`,
`storyboard`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from coldpath.context import JobContext
from coldpath.errors import PermanentFailure, RetryLater
from coldpath.media import live
from coldpath.media.recording import Recording, content_id, recording
from coldpath.records import JobResult
from coldpath.storable import mistakes
from infra.errors import ObjectMissing
from infra.keys import ManifestKey, ProgramKey, VodKey
from infra.manifest import SessionManifest

ATTEMPTS = 8
"""Of a function that runs when a programme is over, in four minutes: an earlier session's manifest
may come that late."""

MOST_BYTES = 256 << 20
"""Of a manifest; one that was read takes up to 16 times as much memory."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording that is complete."""

    whole: Recording
    content: str
    """Identity of the manifests it was read from."""

    def key(self, name: str) -> str:
        """Of an output made from the whole."""
        return str(VodKey(self.whole.program, self.content, name))


def recorded(context: JobContext) -> Recorded | JobResult:
    """The programme that the job's manifest ends, or the result that says why there is none."""
    body = _body(context, context.lease.input_key)
    last = parse_manifest(context.lease.input_key, body)
    if not last.final:
        return JobResult({"skipped": "the programme goes on in a later incarnation"})
    found = _recorded(context, last, body)
    return found if found.whole.renditions else JobResult({"skipped": "nothing was recorded"})


def recorded_of(context: JobContext) -> Recorded:
    """The programme that a client asks for. Raises `RetryLater` while it is not over."""
    program = ProgramKey(context.lease.project, context.lease.event, context.lease.feed)
    names = live.incarnations(context.store, program)
    body = live.manifest(context.store, program, names[-1]) if names else None
    last = None if body is None else parse_manifest(str(ManifestKey(program, names[-1])), body)
    if body is None or last is None or not last.final:
        raise RetryLater(f"{program} is not over yet; ask when its event is archived")
    return _recorded(context, last, body)


def _recorded(context: JobContext, last: SessionManifest, body: bytes) -> Recorded:
    bodies = [*_earlier(context, last), body]
    program = f"{last.project}/{last.event}/{last.feed}"
    whole = recording([parse_manifest(f"a manifest of {program}", b) for b in bodies])
    return Recorded(whole, content_id(bodies))


def _earlier(context: JobContext, last: SessionManifest) -> Iterator[bytes]:
    """The manifests of earlier incarnations, oldest first."""
    program = ProgramKey(last.project, last.event, last.feed)
    for incarnation in last.previous:
        key = str(ManifestKey(program, incarnation))
        try:
            yield _body(context, key)
        except ObjectMissing:
            raise RetryLater(
                f"{key}, an earlier incarnation of the programme, is not there yet; "
                "its media node uploads it when it is back"
            ) from None


def _body(context: JobContext, key: str) -> bytes:
    """Raises `ObjectMissing`, or `PermanentFailure` for what no worker has the memory to read."""
    found = context.store.head(key)
    if found is not None and found.bytes > MOST_BYTES:
        raise PermanentFailure(
            f"{key} has {found.bytes >> 20} MiB; manifests of up to {MOST_BYTES >> 20} MiB are "
            "read, a week of five renditions"
        )
    return context.store.get(key)


def parse_manifest(key: str, body: bytes) -> SessionManifest:
    """Raises `PermanentFailure` for what is no session manifest."""
    try:
        return SessionManifest.model_validate_json(body)
    except ValidationError as error:
        raise PermanentFailure(f"{key} is no session manifest: {mistakes(error)}") from error
