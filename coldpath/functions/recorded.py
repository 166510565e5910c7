"""The whole recording of a programme, for functions that run when it is over.

Every session manifest starts such a function; only the final one leads to work, over all
incarnations of the programme.

Upstream: the session manifests in the bucket. Downstream: `archive`, `thumbnails`, `storyboard`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from coldpath.context import JobContext
from coldpath.errors import PermanentFailure, RetryLater
from coldpath.media.recording import Recording, content_id, recording
from coldpath.records import JobResult
from infra.errors import ObjectMissing
from infra.keys import ManifestKey, ProgramKey, VodKey
from infra.manifest import SessionManifest


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
    body = context.store.get(context.lease.input_key)
    last = parse_manifest(context.lease.input_key, body)
    if not last.final:
        return JobResult({"skipped": "the programme goes on in a later incarnation"})
    bodies = [*_earlier(context, last), body]
    whole = recording([parse_manifest(context.lease.input_key, b) for b in bodies])
    if not whole.renditions:
        return JobResult({"skipped": "nothing was recorded"})
    return Recorded(whole, content_id(bodies))


def _earlier(context: JobContext, last: SessionManifest) -> Iterator[bytes]:
    """The manifests of earlier incarnations, oldest first."""
    program = ProgramKey(last.project, last.event, last.feed)
    for incarnation in last.previous:
        key = str(ManifestKey(program, incarnation))
        try:
            yield context.store.get(key)
        except ObjectMissing:
            raise RetryLater(
                f"{key}, an earlier incarnation of the programme, is not there yet; "
                "its media node uploads it when it is back"
            ) from None


def parse_manifest(key: str, body: bytes) -> SessionManifest:
    """Raises `PermanentFailure` for what is no session manifest."""
    try:
        return SessionManifest.model_validate_json(body)
    except ValidationError as error:
        raise PermanentFailure(f"{key} is no session manifest: {error}") from error
