"""From an object to the jobs it asks for; pure.

Invariant: the same object in the same version always gives the same job ids, whoever tells of it
(webhook, queue or reconciler) and however often, so filing them twice files them once.

Upstream: `coldpath.s3events` and `coldpath.reconcile` name objects. Downstream: `coldpath.ledger`
files the requests.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from coldpath.binding import BoundFunction, Registry
from infra.jobs.filing import JobRequest, job_id
from infra.keys import ObjectKey, parse


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One object as the store has it."""

    key: str
    version: str
    """The entity tag without quotes: the same in an event, in a listing and from HEAD."""


_ALL: Mapping[str, Collection[str]] = MappingProxyType({})


def plan(
    objects: Iterable[ObjectVersion],
    registry: Registry[Any],
    chosen: Mapping[str, Collection[str]] = _ALL,
) -> list[JobRequest]:
    """The jobs that these objects ask for, in order and each once. `chosen`: by event, the only
    functions that run for it; all run for events that are not in it."""
    requests: dict[str, JobRequest] = {}
    for item in objects:
        key = parse(item.key)
        if key is None:
            continue
        wanted = chosen.get(key.program.event)
        for bound in registry.bound_to(key):
            if wanted is not None and bound.name not in wanted:
                continue
            request = _request(bound, key, item)
            requests.setdefault(request.id, request)
    return list(requests.values())


def _request(bound: BoundFunction[Any], key: ObjectKey, item: ObjectVersion) -> JobRequest:
    if bound.same is None:
        identity = job_id(bound.name, item.key, item.version)
    else:
        # The first object that is told of is the input; the others find the job filed.
        identity = job_id(bound.name, f"{key.program}", bound.same(key))
    return JobRequest(
        id=identity,
        function=bound.name,
        project=key.program.project,
        event=key.program.event,
        feed=key.program.feed,
        input_key=item.key,
        input_version=item.version,
        queue=bound.terms.queue,
        max_attempts=bound.terms.max_attempts,
        timeout_s=bound.terms.timeout_s,
    )
