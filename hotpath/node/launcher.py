"""Puts programmes on the air: an incarnation on disk, then stream, playlists, packager and fan-out.

Invariant: what is not durable is not published; where the disk refuses, the programme waits for it
and says so. Upstream: `hotpath.node.programs`. Downstream: bus, `Ladders`, `Packager`, `HlsOrigin`,
`FanoutService`, spool.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial

import structlog

from hotpath.bus.registry import Registry
from hotpath.bus.stream import ProgramStream
from hotpath.fanout.service import FanoutService
from hotpath.hls.origin import HlsOrigin
from hotpath.hls.packager import Packager
from hotpath.node import markers
from hotpath.node.incarnations import Incarnation, Incarnations
from hotpath.node.ingests import Ingests
from hotpath.node.ladders import Ladders
from hotpath.node.onair import OnAir, observed
from hotpath.program.checkpoint import Checkpoint
from hotpath.program.service import Publish
from hotpath.program.states import IngestWarning, ProgramState
from infra.auth.jws import VerifyingKey
from infra.auth.revocation import Revoked
from infra.auth.tier_changes import TierChanges
from infra.keys import ProgramKey
from infra.renditions import AUDIO_ONLY, rungs_of
from infra.telemetry import tracing
from infra.telemetry.tracing import Span

log = structlog.get_logger(__name__)

OPEN_RETRY_S = 1.0


class Launcher:
    """Everything between a programme that has media and viewers who get it."""

    def __init__(
        self,
        registry: Registry,
        *,
        incarnations: Incarnations,
        origin: HlsOrigin,
        fanout: FanoutService,
        ingests: Ingests,
        ladders: Ladders,
        executor: Executor,
        part_target_ms: int,
    ) -> None:
        self.registry = registry
        self.part_target_ms = part_target_ms
        self.incarnations = incarnations
        self._origin = origin
        self._fanout = fanout
        self._ingests = ingests
        self._ladders = ladders
        self._executor = executor

    def set_access(
        self,
        projects: Mapping[str, Mapping[str, VerifyingKey]],
        events: Mapping[str, str],
        revoked: Mapping[str, Revoked],
        changes: Mapping[str, TierChanges],
    ) -> None:
        """Who may watch from now on, and how; who watches otherwise is sent away or told."""
        self._origin.set_access(projects, events, revoked, changes)
        self._fanout.recheck()

    def set_markers(self, entry: OnAir) -> None:
        """Put the event's markers where its viewers are told of them; known ones change nothing."""
        if entry.playlists is not None:
            markers.put(entry.playlists, entry.event.markers)
            self._fanout.set_markers(entry.key, entry.event.markers)

    async def open(
        self, entry: OnAir, epoch_ns: int, earlier: Checkpoint | None = None
    ) -> Incarnation | None:
        """Try until the disk takes it; None: the programme was over first."""
        asked = entry.event.traceparent
        with tracing.span("programme open", parent=asked) as span:
            told = span.traceparent or asked
            incarnation = await self._until_open(entry, epoch_ns, earlier, told)
            _describe(span, entry, incarnation)
            return incarnation

    async def _until_open(
        self, entry: OnAir, epoch_ns: int, earlier: Checkpoint | None, traceparent: str | None
    ) -> Incarnation | None:
        told = False
        while not entry.program.over:
            try:
                incarnation = await self.incarnations.open(
                    entry.key,
                    epoch_ns=epoch_ns,
                    target_duration_s=entry.program.options.target_duration_s,
                    earlier=earlier,
                    traceparent=traceparent,
                    recorded=entry.event.recording,
                )
            except OSError as error:
                if not told:
                    log.error(
                        "a programme waits for the disk", program=str(entry.key), why=str(error)
                    )
                told = True
                await asyncio.sleep(OPEN_RETRY_S)
                continue
            if not entry.program.over:
                return incarnation
            await self._abandon(entry, incarnation)
        return None

    async def _abandon(self, entry: OnAir, incarnation: Incarnation) -> None:
        """The programme was over before its incarnation could take anything."""
        ended = entry.program.state is ProgramState.ENDED
        incarnation.recorder.seal(final=ended)
        if ended:
            await self.incarnations.finish(incarnation)
            # An earlier incarnation may still have viewers.
            self._off_air(entry.key)

    def go_on_air(
        self,
        entry: OnAir,
        incarnation: Incarnation,
        on_warning: Callable[[IngestWarning], None],
    ) -> tuple[Publish, Packager]:
        """A stream with its packager and fan-out, which read from the moment it is made.

        What the programme publishes goes there, by way of a ladder where one is asked for.
        """
        stream = ProgramStream(entry.key, incarnation.name)
        entry.incarnation = incarnation
        self.registry.open(stream)
        target_duration_s = incarnation.checkpoint.target_duration_s
        playlists = entry.playlists = self._origin.open(
            entry.key,
            incarnation.name,
            access=entry.event.access,
            part_target_ms=self.part_target_ms,
            target_duration_s=target_duration_s,
            audio_only=AUDIO_ONLY in entry.event.renditions,
            dvr_window_s=entry.event.dvr_window_s,
        )
        self._fanout.open(
            stream,
            access=entry.event.access,
            request_keyframe=partial(self._request_keyframe, entry),
        )
        self.set_markers(entry)
        packager = Packager(
            stream,
            playlists,
            incarnation.recorder,
            self._executor,
            part_target_ms=self.part_target_ms,
            target_duration_s=target_duration_s,
        )
        publish = observed(stream)
        rungs = rungs_of(entry.event.renditions)
        if rungs:
            publish = self._ladders.put_before(stream, publish, rungs, on_warning)
        return publish, packager

    async def conclude(self, entry: OnAir, incarnation: Incarnation) -> None:
        """Everything is packaged. Note durably if it is over, or another node's."""
        if entry.program.state is ProgramState.ENDED:
            await self.incarnations.finish(incarnation)
            self._off_air(entry.key)
        elif entry.given_up:
            await self.incarnations.forget(entry.key)
            self._origin.close(entry.key)
            self._fanout.give_up(entry.key)
        entry.incarnation = entry.playlists = None
        self.registry.close(entry.key)

    def _request_keyframe(self, entry: OnAir) -> None:
        if entry.publisher is not None:
            self._ingests.request_keyframe(entry.publisher)

    def abort(self, entry: OnAir, incarnation: Incarnation) -> None:
        """The packager failed: what is recorded stays, a later incarnation goes on."""
        incarnation.recorder.seal(final=False)
        entry.incarnation = entry.playlists = None
        self.registry.close(entry.key)

    def _off_air(self, key: ProgramKey) -> None:
        self._origin.close(key)
        self._fanout.close(key)


def _describe(span: Span, entry: OnAir, incarnation: Incarnation | None) -> None:
    span.note(
        {
            "livepath.project": entry.key.project,
            "livepath.event": entry.key.event,
            "livepath.incarnation": None if incarnation is None else incarnation.name,
        }
    )
    if incarnation is None:
        span.failed("over")
