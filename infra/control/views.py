"""Rows as the API shows them. Pure: rows and links in, schemas out."""

from collections.abc import Mapping, Sequence
from typing import cast

from infra.control.delivery import program_of
from infra.control.event_changes import timetable_of
from infra.control.event_fields import Latency, local
from infra.control.event_schemas import EventOut, RecordingOut
from infra.control.ingest_schemas import (
    IngestOut,
    Notice,
    PlaceOut,
    PublishOut,
    SrtOut,
    WhipOut,
)
from infra.control.job_schemas import AssetOut, AttemptOut, FunctionOut, JobDetail, JobOut
from infra.control.links import Links
from infra.control.schemas import Access, at, required_at
from infra.control.viewer_schemas import PlaybackLinks, PlaybackOut
from infra.db.control import OPEN_STATES, Event, Fact
from infra.db.jobs import Asset, Function, Job, JobAttempt
from infra.events.facts import FactType
from infra.keys import parse
from infra.lifecycle import AutoStart, EventState
from infra.publishers import Role

SecretRing = Mapping[str, bytes]
"""A project's secrets by kid."""

_REFUSALS = {
    "bad-key": "the stream key is wrong; copy the ingest URL again",
    "unknown-event": "the streamid names an event that does not exist",
    "rotated-key": "the stream key was rotated; copy the new ingest URL",
    "bad-passphrase": "the SRT passphrase is wrong or missing; copy the ingest URL again",
    "busy": "another encoder has this place; stop it first, use the backup's address, or set "
    "takeover on the event",
    "event-closed": "the event is over",
    "bad-streamid": "the streamid cannot be read; it has the form EVENT/KEY or EVENT/KEY/backup",
    "over-limit": "too many connections",
}

_WORDS = {
    FactType.PUBLISHER_CONNECTED.value: "an encoder connected as {place}",
    FactType.PUBLISHER_LOST.value: "the encoder is gone",
    FactType.PUBLISHER_SWITCHED.value: "the {to} encoder is on the air instead of the {from} one",
    FactType.STANDBY_LOST.value: "the {place} encoder, which stood by, is gone",
    FactType.RECORDING_DEGRADED.value: "a part of the recording is lost",
    FactType.RECORDING_RESTORED.value: "the recording is complete again from here on",
}


_UNSAID = {"place": Role.PRIMARY.value, "from": "other", "to": "other"}
"""In place of what a fact does not say."""


def event_out(
    event: Event, links: Links, secrets: SecretRing, facts: Sequence[Fact] = ()
) -> EventOut:
    """One event; its ingest address is shown while publishers may connect."""
    state = EventState(event.state)
    return EventOut(
        id=event.id,
        name=event.name,
        state=state,
        starts_at=at(event.starts_at_ms),
        ends_at=at(event.ends_at_ms),
        time_zone=event.time_zone,
        starts_at_local=local(event.starts_at_ms, event.time_zone),
        ends_at_local=local(event.ends_at_ms, event.time_zone),
        lobby_opens_at=at(timetable_of(event).lobby_at_ms),
        lobby_opens_s=event.lobby_opens_s,
        auto_start=AutoStart(event.auto_start),
        auto_end=event.auto_end,
        end_grace_s=event.end_grace_s,
        access=access_of(event),
        takeover=event.takeover,
        reconnect_window_s=event.reconnect_window_s,
        target_duration_s=event.target_duration_s,
        renditions=event.renditions,
        dvr_window_s=event.dvr_window_s,
        latency=Latency(event.latency),
        cold_functions=event.cold_functions,
        tiers=event.tiers,
        labels=event.labels,
        metadata=event.custom,
        created_at=required_at(event.created_ms),
        updated_at=required_at(event.updated_ms),
        started_at=at(event.started_ms),
        ended_at=at(event.ended_ms),
        ingest=_ingest(event, links, secrets, facts),
        playback=PlaybackLinks(
            hls_url=links.hls(event.project, event.id),
            whep_url=links.whep(event.project, event.id),
            player_url=links.player(event.id),
            vod_url=links.recording(event.id),
        ),
        recording=RecordingOut(enabled=event.recording, degraded=event.recording_degraded),
    )


def without_keys(shown: EventOut) -> EventOut:
    """The event without what opens its ingest."""
    return shown.model_copy(
        update={"ingest": shown.ingest.model_copy(update={"srt": None, "whip": None})}
    )


def _ingest(event: Event, links: Links, secrets: SecretRing, facts: Sequence[Fact]) -> IngestOut:
    is_open = EventState(event.state) in OPEN_STATES
    active = Role(event.active_role) if is_open and event.active_role else None
    return IngestOut(
        primary=PlaceOut(connected=is_open and event.primary_connected),
        backup=PlaceOut(connected=is_open and event.backup_connected),
        active=active,
        srt=_srt(event, links, secrets) if is_open else None,
        whip=_whip(event, links, secrets) if is_open else None,
        recent=[notice(fact) for fact in facts],
    )


def _srt(event: Event, links: Links, secrets: SecretRing) -> SrtOut:
    access = links.srt(secrets[event.kid], event.id, event.kid, event.generation)
    return SrtOut(
        url=access.url,
        backup_url=access.backup_url,
        stream_id=access.stream_id,
        backup_stream_id=access.backup_stream_id,
        passphrase=access.passphrase,
        latency_ms=access.latency_ms,
    )


def _whip(event: Event, links: Links, secrets: SecretRing) -> WhipOut:
    access = links.whip(secrets[event.kid], event.id, event.kid, event.generation)
    return WhipOut(
        url=access.url,
        backup_url=access.backup_url,
        token=access.token,
        publish_url=access.publish_url,
    )


def notice(fact: Fact) -> Notice:
    """A fact in words for the creator."""
    return Notice(
        at=required_at(fact.at_ms), type=fact.type, message=_message(fact), detail=fact.detail
    )


def _message(fact: Fact) -> str:
    detail = fact.detail
    said, reason = str(detail.get("message", "")), str(detail.get("reason", ""))
    if said:
        return f"Backup: {said}" if detail.get("place") == Role.BACKUP else said
    if fact.type == FactType.PUBLISHER_REFUSED:
        return _REFUSALS.get(reason, reason) or "an encoder was refused"
    words = _WORDS.get(fact.type, fact.type).format_map({**_UNSAID, **detail})
    return f"{words} ({reason})" if reason else words


def playback_out(event: Event, links: Links) -> PlaybackOut:
    return PlaybackOut(
        id=event.id,
        name=event.name,
        state=EventState(event.state),
        access=access_of(event),
        starts_at=at(event.starts_at_ms),
        ends_at=at(event.ends_at_ms),
        time_zone=event.time_zone,
        starts_at_local=local(event.starts_at_ms, event.time_zone),
        started_at=at(event.started_ms),
        latency=Latency(event.latency),
        dvr_window_s=event.dvr_window_s,
        hls_url=links.hls(event.project, event.id),
        hls_captions_url=links.hls_with_captions(event.project, event.id),
        whep_url=links.whep(event.project, event.id),
        vod_url=links.recording(event.id),
        recorded=is_recorded(event),
    )


def is_recorded(event: Event) -> bool:
    """Its media is kept, and is to become a recording."""
    functions = event.cold_functions
    return event.recording and (functions is None or "archive" in functions)


def access_of(event: Event) -> Access:
    return cast("Access", event.access)


def publish_out(event: Event, links: Links, facts: Sequence[Fact]) -> PublishOut:
    return PublishOut(
        id=event.id,
        name=event.name,
        state=EventState(event.state),
        starts_at=at(event.starts_at_ms),
        whip_url=links.whip_url(event.id),
        recent=[notice(fact) for fact in facts],
    )


def asset_out(asset: Asset, links: Links, url: str, url_expires_ms: int) -> AssetOut:
    return AssetOut(
        id=asset.id,
        kind=asset.kind,
        key=asset.key,
        url=url,
        url_expires_at=required_at(url_expires_ms),
        viewer_url=links.viewed(asset.key) if program_of(parse(asset.key)) else None,
        content_type=asset.content_type,
        bytes=asset.bytes,
        duration_ms=asset.duration_ms,
        detail=asset.detail,
        created_at=required_at(asset.created_ms),
    )


def job_out(job: Job) -> JobOut:
    return JobOut(
        id=job.id,
        event=job.event,
        feed=job.feed,
        function=job.function,
        state=job.state,
        queue=job.queue,
        input_key=job.input_key,
        attempt_count=job.attempt_count,
        max_attempts=job.max_attempts,
        params=job.params,
        progress=min(1.0, max(0.0, job.progress / 1000)),
        error=job.error,
        outputs=job.outputs,
        cost=job.cost,
        created_at=required_at(job.created_ms),
        updated_at=required_at(job.updated_ms),
        started_at=at(job.started_ms),
        finished_at=at(job.finished_ms),
        next_attempt_at=at(job.next_attempt_ms),
    )


def job_detail(job: Job, attempts: Sequence[JobAttempt]) -> JobDetail:
    return JobDetail(
        **dict(job_out(job)),
        attempts=[
            AttemptOut(
                number=attempt.number,
                worker=attempt.worker,
                started_at=required_at(attempt.started_ms),
                ended_at=at(attempt.ended_ms),
                outcome=attempt.outcome,
                error=attempt.error,
                log=attempt.log,
            )
            for attempt in attempts
        ],
    )


def function_out(row: Function) -> FunctionOut:
    return FunctionOut(
        name=row.name,
        trigger=row.trigger,
        doc=row.doc,
        queue=row.terms["queue"],
        max_attempts=row.terms["max_attempts"],
        timeout_s=row.terms["timeout_s"],
        memory_mb=row.terms["memory_mb"],
        per_project=row.terms["per_project"],
        seen_at=required_at(row.seen_ms),
    )
