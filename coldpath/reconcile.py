"""Finds what events and broker lost, by comparing bucket, ledger and broker.

Invariant: every session manifest in the bucket is filed sooner or later, so is everything else that
functions made and others are bound to, and every queued job has a delivery sooner or later, though
any event or delivery may be lost.

A round's cost is bounded. The bucket is walked by session, not by object: one LIST finds the next
session's first object, one HEAD its manifest, and the walk jumps behind the session. Events of the
last day that have no archive yet are looked at in every round; the whole bucket is walked a limited
number of sessions a round, going on where the last round stopped, with a rest at its end. What
functions made is listed a page a round, where a function is bound to it at all; a listing says the
version, so no object is asked for.

Upstream: the dispatcher's timer. Downstream: store, `coldpath.intake`, `coldpath.deliveries`.
"""

import logging
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Protocol

from coldpath.deliveries import Deliveries
from coldpath.intake import Intake
from infra.jobs.filing import JobRequest
from infra.keys import ManifestKey, parse
from infra.storage.objects import ObjectStore

log = logging.getLogger(__name__)

ROOT = "live/"
MADE = ("vod/", "work/")
"""Where functions put what they make."""
SESSIONS_PER_ROUND = 200
OBJECTS_PER_ROUND = 1_000
"""A page of a listing."""
GRACE_MS = 5_000
REST_ROUNDS = 20
_SESSION_DEPTH = 5  # live / project / event / feed / incarnation
_BATCH = 500


class LiveDeliveries(Protocol):
    """Whatever knows which deliveries are alive: `coldpath.broker.Broker`."""

    def live(self, queues: Iterable[str]) -> set[str] | None:
        """Ids of all jobs with a delivery; None when it cannot be told."""


class Reconciler:
    """One per dispatcher. Not thread-safe: one round at a time."""

    def __init__(
        self,
        store: ObjectStore,
        intake: Intake,
        deliveries: Deliveries,
        broker: LiveDeliveries,
        queues: frozenset[str],
        *,
        sessions_per_round: int = SESSIONS_PER_ROUND,
        objects_per_round: int = OBJECTS_PER_ROUND,
        grace_ms: int = GRACE_MS,
        rest_rounds: int = REST_ROUNDS,
    ) -> None:
        self._store = store
        self._intake = intake
        self._deliveries = deliveries
        self._broker = broker
        self._queues = queues
        self._limit = sessions_per_round
        self._page = objects_per_round
        self._grace_ms = grace_ms
        self._rest_rounds = rest_rounds
        self._resting = 0
        """Rounds until the next walk; the bucket is walked at the start, then rested."""
        self._position = ""
        """The key after which the next round goes on; empty: from the start."""
        self._made: deque[str] = deque()
        """Of `MADE`, those that are not walked to their end yet."""
        self._made_position = ""
        self._made_resting = 0

    def sweep(self) -> int:
        """What needs the ledger only, every second: expired leases, due retries, owed deliveries.
        Returns how many deliveries went out."""
        for job in self._deliveries.release_expired(_BATCH):
            log.warning("%s: the lease ran out", job)
        self._deliveries.requeue_due(_BATCH)
        return self._intake.send(self._deliveries.owed(_BATCH))

    def find_lost_deliveries(self) -> list[str]:
        """Marks queued jobs as owed whose delivery the broker no longer has."""
        live = self._broker.live(self._queues)
        if live is None:
            log.warning("the queues are too long to look for lost deliveries")
            return []
        lost = self._deliveries.forget_lost(live, self._queues, self._grace_ms)
        for job in lost:
            log.warning("%s: the broker lost its delivery", job)
        return lost

    def find_lost_events(self) -> int:
        """Files objects that no event told of; returns how many jobs that made."""
        found = 0
        for event in self._deliveries.awaiting_archive(self._limit):
            sessions, _ = self._walk(f"{ROOT}{event.project}/{event.event}/", "")
            found += self._file(sessions)
        return found + self._of_sessions() + self._of_made()

    def _of_sessions(self) -> int:
        if self._resting:
            self._resting -= 1
            return 0
        sessions, self._position = self._walk(ROOT, self._position)
        if not self._position:
            self._resting = self._rest_rounds
        return self._file(sessions)

    def _of_made(self) -> int:
        if not self._intake.wants_made():
            return 0
        if self._made_resting:
            self._made_resting -= 1
            return 0
        self._made = self._made or deque(MADE)
        listing = self._store.list(self._made[0], after=self._made_position)
        page = list(islice(listing, self._page))
        self._made_position = page[-1].key if len(page) == self._page else ""
        if not self._made_position:
            self._made.popleft()
            self._made_resting = 0 if self._made else self._rest_rounds
        return self._told(self._intake.file_listed(page))

    def _file(self, sessions: list[str]) -> int:
        return self._told(self._intake.file([f"{session}/manifest.json" for session in sessions]))

    def _told(self, found: list[JobRequest]) -> int:
        for request in found:
            log.warning("%s: no event told of %s", request.id, request.input_key)
        return len(found)

    def _walk(self, prefix: str, after: str) -> tuple[list[str], str]:
        """Folders of the next sessions below `prefix` and the key to go on from, "" at the end."""
        sessions: list[str] = []
        for _ in range(self._limit):
            key = self._next(prefix, after)
            if key is None:
                return sessions, ""
            session = "/".join(key.split("/")[:_SESSION_DEPTH])
            if session == key:
                after = key  # all of a page was none of ours
                continue
            # '0' follows '/': behind every object of the session and before the next session.
            after = f"{session}0"
            if isinstance(parse(f"{session}/manifest.json"), ManifestKey):
                sessions.append(session)
        return sessions, after

    def _next(self, prefix: str, after: str) -> str | None:
        """The first key within a session, or the last of a page without one; None at the end.

        What lies less deep is passed over in one listing: a store that keeps folders (SeaweedFS)
        may list nothing of a folder after an object of the same name.
        """
        key = None
        for found in islice(self._store.list(prefix, after=after), self._page):
            key = found.key
            if key.count("/") >= _SESSION_DEPTH:
                break
        return key
