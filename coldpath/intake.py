"""From "this object was written" to a filed and sent job.

Invariant: a job is filed before it is sent and noted as sent only afterwards, so a crash at any
point leaves a row that is owed a delivery. The version of an object is what the store says now, not
what the event said: an event is a hint, and all who tell of an object agree on its version.

Upstream: webhooks, the SQS poller and the reconciler, from several threads. Downstream: store,
ledger, broker.
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from prometheus_client import Counter

from coldpath.binding import Registry
from coldpath.choices import chosen
from coldpath.deliveries import Deliveries, Delivery
from coldpath.errors import BrokerError
from coldpath.ledger import Ledger
from coldpath.plan import ObjectVersion, plan
from coldpath.s3events import ObjectCreated
from coldpath.traces import Traces
from infra.jobs.filing import JobRequest
from infra.keys import ManifestKey, parse
from infra.storage.objects import ObjectInfo, ObjectStore

_REMEMBERED = 20_000
"""Manifests; one that is forgotten costs one listing more."""

log = logging.getLogger(__name__)

_FILED = Counter("livepath_jobs_filed_total", "New jobs in the ledger.", ["function"])
_SENT = Counter("livepath_deliveries_sent_total", "Deliveries that the broker took.")


class Sender(Protocol):
    """Whatever takes deliveries: `coldpath.broker.Broker`."""

    def send(self, delivery: Delivery) -> None:
        """Raises `BrokerError` when the delivery was not taken."""


class Intake:
    """Files what objects ask for and sends it."""

    def __init__(
        self,
        store: ObjectStore,
        registry: Registry[Any],
        ledger: Ledger,
        deliveries: Deliveries,
        broker: Sender,
    ) -> None:
        self._store = store
        self._registry = registry
        self._ledger = ledger
        self._deliveries = deliveries
        self._broker = broker
        self._traces = Traces(store, ledger)
        self._listing = threading.Lock()
        self._listed: dict[ObjectVersion, None] = {}
        """Manifests that asked for no job, oldest first."""

    def receive(self, events: Iterable[ObjectCreated], bucket: str) -> list[JobRequest]:
        """Takes object events; those of other buckets and of keys nobody wants cost nothing."""
        return self.file([event.key for event in events if event.bucket == bucket])

    def file(self, keys: Sequence[str]) -> list[JobRequest]:
        """Files the jobs of these objects and sends the new ones; returns the new ones."""
        found = [
            ObjectVersion(key, info.etag)
            for key in dict.fromkeys(keys)
            if self._registry.wants(key) and (info := self._store.head(key)) is not None
        ]
        return self._file(self._planned([*found, *self._of_new_sessions(found)]))

    def file_listed(self, found: Iterable[ObjectInfo]) -> list[JobRequest]:
        """The same for objects that a listing has just named, which costs the store nothing."""
        wanted = [ObjectVersion(i.key, i.etag) for i in found if self._registry.wants(i.key)]
        requests = self._planned(wanted)
        unknown = self._ledger.unknown([request.id for request in requests])
        return self._file([request for request in requests if request.id in unknown])

    def wants_made(self) -> bool:
        """Whether any function runs for what other functions make."""
        return self._registry.of_made()

    def _file(self, requests: Sequence[JobRequest]) -> list[JobRequest]:
        new = self._ledger.file(self._traces.of(requests)) if requests else []
        for request in new:
            log.info("%s: %s of %s filed", request.id, request.function, request.input_key)
            _FILED.labels(request.function).inc()
        # Those of which a project may have only so many under way are the sweep's to send.
        self.send(
            [
                Delivery(request.id, request.queue, request.timeout_s, request.traceparent)
                for request in new
                if request.function not in self._deliveries.per_project
            ]
        )
        return new

    def _planned(self, objects: Sequence[ObjectVersion]) -> list[JobRequest]:
        """What these objects ask for, and their events want."""
        choices = chosen(self._ledger.engine, [item.key for item in objects])
        return plan(objects, self._registry, choices)

    def _of_new_sessions(self, found: Sequence[ObjectVersion]) -> Iterator[ObjectVersion]:
        """What else lies in the sessions whose manifests are new: the event of any segment may have
        been lost, and by now all of them are there. One listing per session, once in its life."""
        if not self._registry.of_sessions():
            return
        for item in found:
            key = parse(item.key)
            if isinstance(key, ManifestKey) and self._is_new(item):
                folder = item.key.removesuffix("manifest.json")
                for info in self._store.list(folder):
                    if info.key != item.key and self._registry.wants(info.key):
                        yield ObjectVersion(info.key, info.etag)

    def _is_new(self, manifest: ObjectVersion) -> bool:
        """Whether its session was not listed yet, as the jobs of the manifest tell. An event may
        want none of them; then this process remembers."""
        if jobs := [request.id for request in self._planned([manifest])]:
            return bool(self._ledger.unknown(jobs))
        with self._listing:
            new = manifest not in self._listed
            self._listed[manifest] = None
            if len(self._listed) > _REMEMBERED:
                del self._listed[next(iter(self._listed))]
            return new

    def send(self, owed: Sequence[Delivery]) -> int:
        """Sends deliveries; what the broker does not take stays owed. Returns how many it took."""
        sent: list[str] = []
        try:
            for delivery in owed:
                self._broker.send(delivery)
                sent.append(delivery.job)
        except BrokerError as error:
            log.warning("%d deliveries wait for the broker: %s", len(owed) - len(sent), error)
        self._deliveries.sent(sent)
        _SENT.inc(len(sent))
        return len(sent)
