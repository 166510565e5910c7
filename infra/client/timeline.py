"""What belongs to an event: `client.markers`, `client.assets`, `client.clips`, `client.replays`."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from infra.client.calls import Call, Wait, said
from infra.client.events import EVENT
from infra.client.groups import Group, W, listing, operation, waiting
from infra.client.jobs import has_succeeded
from infra.client.models import Asset, Clip, Marker, Page, Replay

MARKERS, CLIPS = EVENT + "/markers", EVENT + "/clips"
MARKER, CLIP = MARKERS + "/{marker}", CLIPS + "/{clip}"


class Markers(Group[W]):
    """Timed metadata for the viewers of an event."""

    @operation
    def create(
        self,
        event: str,
        kind: str,
        *,
        title: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        duration_s: float | None = None,
        data: Mapping[str, str | int | float] | None = None,
        idempotency_key: str | None = None,
    ) -> Call[Marker]:
        """Put a marker on the timeline, by default now and with an open end."""
        times = {"start": start, "end": end, "duration_s": duration_s}
        body = said({"kind": kind, "title": title, **times, "data": data})
        return Call("POST", MARKERS, Marker, {"event": event}, body=body, key=idempotency_key)

    @listing
    def list(self, event: str, *, page_size: int | None = None) -> Call[Page[Marker]]:
        return Call("GET", MARKERS, Page[Marker], {"event": event}, {"limit": page_size})

    @operation
    def get(self, event: str, marker: str) -> Call[Marker]:
        return Call("GET", MARKER, Marker, {"event": event, "marker": marker})

    @operation
    def end(self, event: str, marker: str, end: datetime | None = None) -> Call[Marker]:
        """End a marker whose end is open, by default now."""
        ids = {"event": event, "marker": marker}
        # A second now would be another end, and an end is set once.
        body = {"end": "now" if end is None else end}
        return Call("PATCH", MARKER, Marker, ids, body=body, once=end is None)


class Assets(Group[W]):
    """Recordings and what was made of them."""

    @listing
    def list(
        self, event: str, *, kind: str | None = None, page_size: int | None = None
    ) -> Call[Page[Asset]]:
        """Each with a download URL that anyone may use until `url_expires_at`."""
        query = {"kind": kind, "limit": page_size}
        return Call("GET", EVENT + "/assets", Page[Asset], {"event": event}, query)


class Clips(Group[W]):
    """Stretches of an event, to keep or to share."""

    @operation
    def create(
        self,
        event: str,
        start: datetime | float,
        end: datetime | float,
        *,
        title: str | None = None,
        mode: str | None = None,
        idempotency_key: str | None = None,
    ) -> Call[Clip]:
        """Have a clip made; of an event that is over also by seconds of its recording."""
        body = said({"start": start, "end": end, "title": title, "mode": mode})
        return Call("POST", CLIPS, Clip, {"event": event}, body=body, key=idempotency_key)

    @listing
    def list(self, event: str, *, page_size: int | None = None) -> Call[Page[Clip]]:
        return Call("GET", CLIPS, Page[Clip], {"event": event}, {"limit": page_size})

    @operation
    def get(self, event: str, clip: str) -> Call[Clip]:
        return _clip(event, clip)

    @waiting
    def wait(
        self,
        event: str,
        clip: str,
        *,
        timeout_s: float = 600,
        every_s: float = 0.5,
        seen: Callable[[Clip], None] | None = None,
    ) -> Wait[Clip]:
        """The clip once it is there; `seen` is told of it each time that it is looked at."""
        return Wait(_clip(event, clip), has_succeeded, f"clip {clip}", every_s, timeout_s, seen)


class Replays(Group[W]):
    """What people did during an event, beside its recording."""

    @operation
    def put(self, event: str, entries: Iterable[Mapping[str, Any]]) -> Call[Replay]:
        """Store it; it takes the place of the one before."""
        body = {"entries": list(entries)}
        return Call("PUT", EVENT + "/replay", Replay, {"event": event}, body=body)

    @operation
    def get(self, event: str) -> Call[Replay]:
        return Call("GET", EVENT + "/replay", Replay, {"event": event})


def _clip(event: str, clip: str) -> Call[Clip]:
    return Call("GET", CLIP, Clip, {"event": event, "clip": clip})
