"""`client.events`: schedule, find, change, end, and tokens for viewers."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict, Unpack

from infra.client.calls import IF_MATCH, Call, Wait, said
from infra.client.errors import BadValue, WaitedInVain
from infra.client.groups import Group, W, listing, operation, waiting
from infra.client.models import Event, Page, Revocation, TierChange, ViewerToken

EVENTS, EVENT = "/v1/events", "/v1/events/{event}"
REVOCATIONS = EVENT + "/revocations"
TIER_CHANGES = EVENT + "/tier-changes"
_LEFT: Mapping[str, frozenset[str]] = {
    "ended": frozenset({"archived"}),
    "archived": frozenset(),
    "cancelled": frozenset(),
}
"""Where an event that is over can still get to."""


class EventFields(TypedDict, total=False):
    """What can be said of an event and changed later. None takes a value away, where one can be."""

    starts_at: datetime | None
    ends_at: datetime | None
    time_zone: str | None
    lobby_opens_s: int
    auto_start: str
    auto_end: bool
    end_grace_s: int
    access: str
    takeover: bool
    reconnect_window_s: int
    renditions: Sequence[str]
    dvr_window_s: int
    latency: str
    recording: bool
    cold_functions: Sequence[str] | None
    tiers: Sequence[str] | None
    labels: Mapping[str, str]
    metadata: Mapping[str, Any]


class NewEvent(EventFields, total=False):
    """What can be said of a new event."""

    draft: bool
    target_duration_s: int


class EventChanges(EventFields, total=False):
    """What can be changed."""

    name: str


class EventFilters(TypedDict, total=False):
    """Which events are listed; all of them must fit."""

    state: str | Sequence[str]
    q: str
    starts_after: datetime
    starts_before: datetime
    sort: str


class Events(Group[W]):
    """Scheduled, running and past events."""

    @operation
    def create(
        self, name: str, *, idempotency_key: str | None = None, **fields: Unpack[NewEvent]
    ) -> Call[Event]:
        """Schedule an event; the answer says where encoders connect."""
        body = {"name": name, **fields}
        return Call("POST", EVENTS, Event, body=body, key=idempotency_key)

    @operation
    def get(self, event: str) -> Call[Event]:
        """One event with what its encoders met lately."""
        return _event(event)

    @listing
    def list(
        self,
        *,
        labels: Mapping[str, str] | None = None,
        page_size: int | None = None,
        **filters: Unpack[EventFilters],
    ) -> Call[Page[Event]]:
        """Events, newest first unless `sort` says otherwise."""
        label = [f"{name}:{value}" for name, value in (labels or {}).items()]
        return Call(
            "GET", EVENTS, Page[Event], query={"limit": page_size, "label": label, **filters}
        )

    @operation
    def update(
        self, event: str, *, if_match: str | None = None, **changes: Unpack[EventChanges]
    ) -> Call[Event]:
        """Change what is named; with `if_match=event.etag` only if nothing has changed since."""
        ids, headers = {"event": event}, {IF_MATCH: if_match}
        return Call("PATCH", EVENT, Event, ids, body=changes, headers=headers)

    @operation
    def cancel(self, event: str, *, if_match: str | None = None) -> Call[Event]:
        """Cancel an event that was never live."""
        return Call("DELETE", EVENT, Event, {"event": event}, headers={IF_MATCH: if_match})

    @operation
    def schedule(self, event: str, *, if_match: str | None = None) -> Call[Event]:
        """Make a draft an event that publishers and viewers find."""
        return _action(event, "schedule", if_match)

    @operation
    def end(self, event: str, *, if_match: str | None = None) -> Call[Event]:
        """End a running event: publishers are disconnected, the archive begins."""
        return _action(event, "end", if_match)

    @operation
    def rotate_key(
        self,
        event: str,
        *,
        disconnect: bool | None = None,
        if_match: str | None = None,
        idempotency_key: str | None = None,
    ) -> Call[Event]:
        """Replace stream key, passphrase and WHIP token; the old ones are refused at once.
        `disconnect=False`: encoders that are connected stay until they leave."""
        ids, headers = {"event": event}, {IF_MATCH: if_match}
        body = said({"disconnect": disconnect})
        return Call(
            "POST", EVENT + "/rotate-key", Event, ids, body=body, headers=headers,
            key=idempotency_key,
        )  # fmt: skip

    @operation
    def create_token(
        self,
        event: str,
        *,
        ttl_s: int | None = None,
        clips: bool | None = None,
        subject: str | None = None,
        role: str | None = None,
        tier: str | None = None,
        max_rendition: str | None = None,
        ip: str | None = None,
        ip_binding: str | None = None,
        idempotency_key: str | None = None,
    ) -> Call[ViewerToken]:
        """A viewer token with ready URLs; without `role` and `tier` one for watching both ways."""
        entitlements = {"role": role, "tier": tier, "max_rendition": max_rendition}
        place = {"ip": ip, "ip_binding": ip_binding}
        body = said({"ttl_s": ttl_s, "clips": clips, "subject": subject, **entitlements, **place})
        ids = {"event": event}
        return Call("POST", EVENT + "/tokens", ViewerToken, ids, body=body, key=idempotency_key)

    @operation
    def revoke_tokens(
        self,
        event: str,
        *,
        token_id: str | None = None,
        subject: str | None = None,
        everybody: bool = False,
    ) -> Call[Revocation]:
        """Call viewer tokens back: one, those of a viewer, or all that there are until now."""
        body = said({"token_id": token_id, "subject": subject, "everybody": everybody or None})
        return Call("POST", REVOCATIONS, Revocation, {"event": event}, body=body)

    @listing
    def revocations(self, event: str, *, page_size: int | None = None) -> Call[Page[Revocation]]:
        """What was called back, newest first."""
        return Call("GET", REVOCATIONS, Page[Revocation], {"event": event}, {"limit": page_size})

    @operation
    def change_tier(
        self, event: str, subject: str, tier: str, *, max_rendition: str | None = None
    ) -> Call[TierChange]:
        """Change how a viewer watches while it does, for the tokens that it has been issued."""
        body = said({"subject": subject, "tier": tier, "max_rendition": max_rendition})
        return Call("POST", TIER_CHANGES, TierChange, {"event": event}, body=body)

    @listing
    def tier_changes(self, event: str, *, page_size: int | None = None) -> Call[Page[TierChange]]:
        """Tiers that were changed, newest first."""
        return Call("GET", TIER_CHANGES, Page[TierChange], {"event": event}, {"limit": page_size})

    @waiting
    def wait_until(
        self,
        event: str,
        *states: str,
        timeout_s: float = 600,
        every_s: float = 1,
        seen: Callable[[Event], None] | None = None,
    ) -> Wait[Event]:
        """The event once it is in one of the states; `seen` is told of it each time that it is
        looked at. An archived event counts as ended."""
        wanted = frozenset(states)
        if not wanted:
            raise BadValue("name a state to wait for")
        what = f"event {event} to be {' or '.join(states)}"
        return Wait(
            _event(event), lambda found: has_come(found, wanted), what, every_s, timeout_s, seen
        )


def has_come(event: Event, wanted: frozenset[str]) -> bool:
    """Whether the event is in a wanted state; raises WaitedInVain when it cannot come to one."""
    if event.state in wanted or (event.state == "archived" and "ended" in wanted):
        return True
    left = _LEFT.get(event.state)
    if left is not None and not left & wanted:
        raise WaitedInVain(f"event {event.id} is {event.state} and will never be {set(wanted)}")
    return False


def _event(event: str) -> Call[Event]:
    return Call("GET", EVENT, Event, {"event": event})


def _action(event: str, verb: str, if_match: str | None, key: str | None = None) -> Call[Event]:
    headers = {IF_MATCH: if_match}
    return Call("POST", f"{EVENT}/{verb}", Event, {"event": event}, headers=headers, key=key)
