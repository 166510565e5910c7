"""Object events of several stores, parsed into one form; pure.

Invariant: any bytes give either a list of `ObjectCreated` or an `EventFormatError`; nothing else
is raised, and an event of another kind (deleted, a folder, an upload's part) gives an empty list.

Upstream: the dispatcher's webhooks and its SQS poller. Downstream: `coldpath.plan`.
An event is a hint, not the truth: the dispatcher asks the store for the object's version.

- SeaweedFS `notification.webhook`: one JSON object per event, unordered, once; `key` is the path on
  the filer (`/buckets/{bucket}/{key}`), not encoded; folders and parts of uploads come too.
- S3 notifications (SQS, SNS inside SQS, MinIO webhook): `Records`, keys encoded as in a form
  (`unquote_plus`). A queue gets `s3:TestEvent` first; a multipart upload may give two records.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from coldpath.errors import EventFormatError

_FILER_BUCKETS = "/buckets/"
_UPLOADS = ".uploads/"
_MAX_ERROR_VALUE = 80


@dataclass(frozen=True, slots=True)
class ObjectCreated:
    """Somebody says that this object was written."""

    bucket: str
    key: str


def seaweedfs(body: bytes) -> list[ObjectCreated]:
    """One event of SeaweedFS's webhook."""
    event = _object(_json(body, "SeaweedFS"), "the SeaweedFS event")
    kind = _text(event, "event_type", "the SeaweedFS event")
    message = _object(event.get("message", {}), "message of the SeaweedFS event")
    entry = message.get("new_entry")
    if kind not in ("create", "update", "rename") or entry is None:
        return []
    if _object(entry, "new_entry of the SeaweedFS event").get("is_directory", False):
        return []
    path = _text(event, "key", "the SeaweedFS event")
    if not path.startswith(_FILER_BUCKETS):
        return []
    bucket, _, key = path.removeprefix(_FILER_BUCKETS).partition("/")
    if not bucket or not key or key.startswith(_UPLOADS):
        return []
    return [ObjectCreated(bucket, key)]


def s3(body: bytes) -> list[ObjectCreated]:
    """An S3 notification: the body of an SQS message, of MinIO's webhook, or SNS around either."""
    event = _object(_json(body, "S3"), "the S3 notification")
    if event.get("Type") == "Notification" and "Message" in event:
        inner = _text(event, "Message", "the SNS envelope")
        event = _object(_json(inner.encode("utf-8", "surrogatepass"), "S3"), "the S3 notification")
    if event.get("Event") == "s3:TestEvent":
        return []
    records = event.get("Records")
    if not isinstance(records, list):
        raise EventFormatError(
            f"the S3 notification has no list Records but {_shown(records)}; "
            "point only S3 object notifications at this endpoint"
        )
    created = [_s3_record(_object(record, "a record")) for record in records]
    return list(dict.fromkeys(item for item in created if item is not None))


def _s3_record(record: Mapping[str, Any]) -> ObjectCreated | None:
    # AWS names it `ObjectCreated:Put`, MinIO `s3:ObjectCreated:Put`.
    name = _text(record, "eventName", "a record").removeprefix("s3:")
    if not name.startswith("ObjectCreated:"):
        return None
    parts = _object(record.get("s3"), "s3 of a record")
    bucket = _text(_object(parts.get("bucket"), "s3.bucket"), "name", "s3.bucket")
    key = unquote_plus(_text(_object(parts.get("object"), "s3.object"), "key", "s3.object"))
    return ObjectCreated(bucket, key) if key else None


def _json(body: bytes, what: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EventFormatError(f"the {what} event is no JSON: {error}") from None


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise EventFormatError(f"{what} is no JSON object but {_shown(value)}")
    return value


def _text(holder: Mapping[str, Any], name: str, what: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str):
        raise EventFormatError(f"{name} of {what} is no text but {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _MAX_ERROR_VALUE else shown[:_MAX_ERROR_VALUE] + "…"
