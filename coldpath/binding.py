"""Functions, what each is bound to and on which terms it runs; pure.

Invariant: a name is registered once, and what a binding decides (whether it wants an object, which
objects make one job) depends on the object's key alone, so it may be asked again at any time.

Upstream: `Registry.function` decorates callables. Downstream: `coldpath.plan`, `coldpath.runner`.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from infra.jobs.states import backoff_ms
from infra.keys import InitKey, ManifestKey, ObjectKey, SegmentKey, VodKey, WorkKey, parse

Job = TypeVar("Job", bound=Callable[..., Any])


class Requested:
    """In place of a kind of object: the function runs when a client asks for it."""


KeyType: TypeAlias = (
    type[SegmentKey]
    | type[InitKey]
    | type[ManifestKey]
    | type[VodKey]
    | type[WorkKey]
    | type[Requested]
)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a function is run."""

    queue: str = "bulk"
    max_attempts: int = 5
    timeout_s: int = 3600
    """An attempt that takes longer is ended, and has failed."""
    backoff_base_ms: int = 2_000
    """The pause after the first failed attempt; it doubles with each further one."""
    backoff_limit_ms: int = 300_000
    memory_mb: int = 256
    """What an attempt needs at most; operators size workers by it."""
    per_project: int | None = None
    """Jobs that one project may have under way at once; the others wait."""

    def __post_init__(self) -> None:
        for name, value in (
            ("max_attempts", self.max_attempts),
            ("timeout_s", self.timeout_s),
            ("backoff_base_ms", self.backoff_base_ms),
            ("backoff_limit_ms", self.backoff_limit_ms),
            ("memory_mb", self.memory_mb),
            ("per_project", self.per_project),
        ):
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}, it must be at least 1")

    def pause_ms(self, attempts: int) -> int:
        """Before the next attempt, after so many."""
        return backoff_ms(attempts, base_ms=self.backoff_base_ms, limit_ms=self.backoff_limit_ms)


@dataclass(frozen=True, slots=True)
class BoundFunction(Generic[Job]):
    """A function and the kind of object it runs for."""

    name: str
    on: KeyType
    terms: Terms
    run: Job
    when: Callable[[Any], bool] | None = None
    """Narrows `on`: told the parsed key, says whether the function wants this object."""
    same: Callable[[Any], str] | None = None
    """Objects of a programme for which this gives the same text make one job."""

    def wants(self, key: ObjectKey) -> bool:
        return (
            self.on is not Requested
            and isinstance(key, self.on)
            and (self.when is None or self.when(key))
        )


class Registry(Generic[Job]):
    """Functions by name. Filled at import time, read-only afterwards."""

    def __init__(self) -> None:
        self._functions: dict[str, BoundFunction[Job]] = {}
        self.broken: dict[str, str] = {}
        """Packages whose functions are missing, by entry point: why."""

    def function(
        self,
        name: str,
        *,
        on: KeyType,
        when: Callable[[Any], bool] | None = None,
        same: Callable[[Any], str] | None = None,
        **terms: Any,
    ) -> Callable[[Job], Job]:
        """Binds the decorated function.

        `on` a kind of object of `infra.keys`: it runs for every new one that passes `when`. A
        final manifest says that a programme is over. `on=Requested`: it runs when a client asks.
        `when` and `same` must be pure: they are asked anew whenever somebody tells of an object.
        `terms` are the fields of `Terms`. Raises `ValueError` when the name is taken or a term
        makes no sense.
        """
        agreed = Terms(**terms)

        def bind(run: Job) -> Job:
            if name in self._functions:
                raise ValueError(f"a function named {name!r} is registered already")
            self._functions[name] = BoundFunction(name, on, agreed, run, when, same)
            return run

        return bind

    def get(self, name: str) -> BoundFunction[Job] | None:
        return self._functions.get(name)

    def without(self, names: Collection[str]) -> "Registry[Job]":
        """The others."""
        kept: Registry[Job] = Registry()
        kept._functions = {n: f for n, f in self._functions.items() if n not in names}
        kept.broken = self.broken
        return kept

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        """What is registered within is forgotten if that ends in an error."""
        before = dict(self._functions)
        try:
            yield
        except BaseException:
            self._functions = before
            raise

    def __iter__(self) -> Iterator[BoundFunction[Job]]:
        return iter(self._functions.values())

    def bound_to(self, key: ObjectKey) -> Iterator[BoundFunction[Job]]:
        return (f for f in self if f.wants(key))

    def of_sessions(self) -> bool:
        """Whether any function runs for the segments, or init sections, of a session."""
        return any(f.on in (SegmentKey, InitKey) for f in self)

    def of_made(self) -> bool:
        """Whether any function runs for what other functions make."""
        return any(f.on in (VodKey, WorkKey) for f in self)

    def queues(self) -> frozenset[str]:
        return frozenset(f.terms.queue for f in self)

    def wants(self, key: str) -> bool:
        """Whether any function runs for this object key."""
        parsed = parse(key)
        return parsed is not None and any(self.bound_to(parsed))
