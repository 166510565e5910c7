"""What happens to the cold path and when, from a seed; pure.

Invariant: the same seed and length give the same schedule; every kind happens, in every round of
kinds once; one begins `LEAST_S` to `MOST_S` after the other; two of one target never overlap, so
each is undone without regard to the others; and all are over by the end.

Downstream: `tests.chaos.driver` carries it out.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

LEAST_S, MOST_S = 2.0, 8.0
REST_S = 1.0
"""Between two disturbances of one target."""
LONGEST_S = MOST_S - REST_S
_DRAWS = 1_000


class Kind(StrEnum):
    KILL_WORKER = "kill -9 a worker"
    STOP_WORKER = "SIGTERM a worker"
    FREEZE_WORKER = "freeze a worker beyond its lease"
    BROKER_RESTART = "restart the broker"
    BROKER_FORGETS = "restart the broker without its memory"
    S3_REFUSES = "S3 answers 503"
    S3_HANGS = "S3 answers nothing"
    S3_CUTS = "S3 does as it is told and the answer is lost"
    S3_GONE = "S3 takes no connection"
    KILL_DISPATCHER = "kill -9 the dispatcher"
    DATABASE_AWAY = "the database is away"
    EVENTS_DROPPED = "object events are lost"
    EVENTS_DOUBLED = "object events come twice"
    EVENTS_SHUFFLED = "object events come late and in another order"


class Target(StrEnum):
    """What a disturbance happens to."""

    WORKERS = "workers"
    BROKER = "broker"
    S3 = "s3"
    DISPATCHER = "dispatcher"
    DATABASE = "database"
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a kind of disturbance happens to, and for how long."""

    target: Target
    least_s: float
    most_s: float


TERMS: dict[Kind, Terms] = {
    # How long until there is another one: whoever supervises may need a moment.
    Kind.KILL_WORKER: Terms(Target.WORKERS, 0.0, 3.0),
    Kind.STOP_WORKER: Terms(Target.WORKERS, 0.0, 3.0),
    # Leases last 3 s here, and deliveries come back after 6 s.
    Kind.FREEZE_WORKER: Terms(Target.WORKERS, 4.0, LONGEST_S),
    Kind.BROKER_RESTART: Terms(Target.BROKER, 0.0, 4.0),
    Kind.BROKER_FORGETS: Terms(Target.BROKER, 0.0, 4.0),
    Kind.S3_REFUSES: Terms(Target.S3, 2.0, LONGEST_S),
    Kind.S3_HANGS: Terms(Target.S3, 2.0, LONGEST_S),
    Kind.S3_CUTS: Terms(Target.S3, 1.0, 5.0),
    Kind.S3_GONE: Terms(Target.S3, 2.0, LONGEST_S),
    Kind.KILL_DISPATCHER: Terms(Target.DISPATCHER, 0.0, 6.0),
    Kind.DATABASE_AWAY: Terms(Target.DATABASE, 0.0, 5.0),
    Kind.EVENTS_DROPPED: Terms(Target.EVENTS, 3.0, LONGEST_S),
    Kind.EVENTS_DOUBLED: Terms(Target.EVENTS, 3.0, LONGEST_S),
    Kind.EVENTS_SHUFFLED: Terms(Target.EVENTS, 3.0, LONGEST_S),
}
LEAST_LENGTH_S = 60.0
"""In less time not every kind would find its place."""
_PER_KIND_S = 6.0


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One thing that happens, from `at_s` on for so many seconds."""

    at_s: float
    kind: Kind
    seconds: float
    which: int
    """Says which of several workers, modulo how many there are."""

    @property
    def target(self) -> Target:
        return TERMS[self.kind].target

    @property
    def until_s(self) -> float:
        return self.at_s + self.seconds


def schedule(seed: int, seconds: float) -> tuple[Disturbance, ...]:
    """Everything that happens within so many seconds; raises `ValueError` for too few."""
    if seconds < LEAST_LENGTH_S:
        raise ValueError(f"in {seconds:g} s not every kind happens; take {LEAST_LENGTH_S:g} s")
    rounds = int(max(1, seconds // (len(TERMS) * _PER_KIND_S)))
    # As close together as the time demands, and no closer.
    most_s = min(MOST_S, 2 * seconds / (rounds * len(TERMS) + 3) - LEAST_S)
    for draw in range(_DRAWS):
        found = _drawn(random.Random(f"{seed}/{draw}"), rounds, most_s)
        if max(one.until_s for one in found) <= seconds:
            return found
    raise ValueError(f"none of {_DRAWS} draws of seed {seed} is over within {seconds:g} s")


def _drawn(chance: random.Random, rounds: int, most_s: float) -> tuple[Disturbance, ...]:
    found: list[Disturbance] = []
    free_s = dict.fromkeys(Target, 0.0)
    at_s = 0.0
    for kind in _kinds(chance, rounds):
        terms = TERMS[kind]
        at_s = max(at_s + chance.uniform(LEAST_S, most_s), free_s[terms.target])
        lasts_s = chance.uniform(terms.least_s, terms.most_s)
        one = Disturbance(at_s, kind, lasts_s, chance.randrange(1_000))
        free_s[terms.target] = one.until_s + REST_S
        found.append(one)
    return tuple(found)


def _kinds(chance: random.Random, rounds: int) -> Iterator[Kind]:
    for _ in range(rounds):
        kinds = list(Kind)
        chance.shuffle(kinds)
        yield from kinds
