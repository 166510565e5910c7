"""From an object to the jobs it asks for; pure.

Invariant: the same object in the same version always gives the same job ids, whoever tells of it
(webhook, queue or reconciler) and however often, so filing them twice files them once.

Upstream: `coldpath.s3events` and `coldpath.reconcile` name objects. Downstream: `coldpath.ledger`
files the requests. Functions bind themselves with `Registry.function`; a third party does the same
with a registry of its own and passes it to the dispatcher and the worker.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from infra.keys import InitKey, ManifestKey, ObjectKey, SegmentKey, VodKey, parse

Job = TypeVar("Job", bound=Callable[..., Any])
KeyType: TypeAlias = type[SegmentKey] | type[InitKey] | type[ManifestKey] | type[VodKey]


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One object as the store has it."""

    key: str
    version: str
    """The entity tag without quotes: the same in an event, in a listing and from HEAD."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """One job to file: `function` over one version of one object."""

    id: str
    function: str
    project: str
    event: str
    feed: str
    input_key: str
    input_version: str
    queue: str
    max_attempts: int


@dataclass(frozen=True, slots=True)
class BoundFunction(Generic[Job]):
    """A function and the kind of object it runs for."""

    name: str
    on: KeyType
    queue: str
    max_attempts: int
    run: Job
    when: Callable[[Any], bool] | None = None
    """Narrows `on`: told the parsed key, says whether the function wants this object."""

    def wants(self, key: ObjectKey) -> bool:
        return isinstance(key, self.on) and (self.when is None or self.when(key))


class Registry(Generic[Job]):
    """Functions by name. Filled at import time, read-only afterwards."""

    def __init__(self) -> None:
        self._functions: dict[str, BoundFunction[Job]] = {}

    def function(
        self,
        name: str,
        *,
        on: KeyType,
        when: Callable[[Any], bool] | None = None,
        queue: str = "bulk",
        max_attempts: int = 5,
    ) -> Callable[[Job], Job]:
        """Binds the decorated function to every new object whose key is an `on` and passes `when`,
        which must be pure: it decides anew whenever somebody tells of the object."""
        if max_attempts < 1:
            raise ValueError(f"{name}: max_attempts is {max_attempts}, it must be at least 1")

        def bind(run: Job) -> Job:
            if name in self._functions:
                raise ValueError(f"a function named {name!r} is registered already")
            self._functions[name] = BoundFunction(name, on, queue, max_attempts, run, when)
            return run

        return bind

    def get(self, name: str) -> BoundFunction[Job] | None:
        return self._functions.get(name)

    def bound_to(self, key: ObjectKey) -> Iterator[BoundFunction[Job]]:
        return (f for f in self._functions.values() if f.wants(key))

    def queues(self) -> frozenset[str]:
        return frozenset(f.queue for f in self._functions.values())

    def wants(self, key: str) -> bool:
        """Whether any function runs for this object key."""
        parsed = parse(key)
        return parsed is not None and any(self.bound_to(parsed))


def job_id(function: str, input_key: str, input_version: str) -> str:
    """`job_` and 20 base32 characters (100 bits) of a hash over all three, length-prefixed so that
    no two different triples run together."""
    digest = hashlib.sha256()
    for field in (function, input_key, input_version):
        raw = field.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return "job_" + base64.b32encode(digest.digest()).decode("ascii").lower()[:20]


def plan(objects: Iterable[ObjectVersion], registry: Registry[Any]) -> list[JobRequest]:
    """The jobs that these objects ask for, in order and each once."""
    requests: dict[str, JobRequest] = {}
    for item in objects:
        key = parse(item.key)
        if key is None:
            continue
        for bound in registry.bound_to(key):
            identity = job_id(bound.name, item.key, item.version)
            requests[identity] = JobRequest(
                id=identity,
                function=bound.name,
                project=key.program.project,
                event=key.program.event,
                feed=key.program.feed,
                input_key=item.key,
                input_version=item.version,
                queue=bound.queue,
                max_attempts=bound.max_attempts,
            )
    return list(requests.values())
