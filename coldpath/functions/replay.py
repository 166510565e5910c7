"""Replay: lists what people did during an event among its assets, to be shown beside its recording.

The control API has stored it under the event's `vod/` when it asks for this. The function takes
nobody's word: it reads the object again, of its own programme only.
"""

from pydantic import ValidationError

from coldpath.binding import Requested
from coldpath.context import JobContext
from coldpath.errors import PermanentFailure, RetryLater
from coldpath.functions.registry import registry
from coldpath.records import JobResult, NewAsset
from coldpath.storable import mistakes
from infra.errors import ObjectMissing
from infra.jobs import replay as stored
from infra.keys import ProgramKey, VodKey, parse


@registry.function(
    stored.FUNCTION, on=Requested, queue="fast", timeout_s=60, backoff_base_ms=500, memory_mb=128
)
def replay(context: JobContext) -> JobResult:
    """Lists a stored replay among the event's assets."""
    try:
        wanted = stored.ReplayRequest.model_validate(dict(context.params))
    except ValidationError as error:
        raise PermanentFailure(
            f"no replay can be listed by these parameters: {mistakes(error)}"
        ) from error
    _require_own(context, wanted.key)
    try:
        text = context.store.get(wanted.key)
    except ObjectMissing:
        raise RetryLater(f"{wanted.key} is not there yet") from None
    found = _read(wanted, text)
    asset = NewAsset(
        kind="replay",
        key=wanted.key,
        content_type=stored.CONTENT_TYPE,
        bytes=len(text),
        duration_ms=found[-1].at_ms - found[0].at_ms if found else 0,
        detail={
            "entries": len(found),
            "first_ms": found[0].at_ms if found else None,
            "last_ms": found[-1].at_ms if found else None,
        },
    )
    return JobResult({"keys": [asset.key]}, [asset])


def _require_own(context: JobContext, name: str) -> None:
    lease = context.lease
    key = parse(name)
    own = ProgramKey(lease.project, lease.event, lease.feed)
    if not isinstance(key, VodKey) or key.program != own or key.name != stored.NAME:
        raise PermanentFailure(f"{name[:200]!r} is no replay of {own}")


def _read(wanted: stored.ReplayRequest, text: bytes) -> tuple[stored.ReplayEntry, ...]:
    if stored.digest_of(text) != wanted.digest:
        raise PermanentFailure(f"{wanted.key} holds other bytes than were asked to be listed")
    try:
        return stored.StoredReplay.model_validate_json(text).entries
    except ValidationError as error:
        raise PermanentFailure(f"{wanted.key} is no replay: {mistakes(error)}") from error
