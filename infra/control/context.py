"""What every request may use: made once by the server and handed to the app factory."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from infra.auth.jws import HS256, Algorithm
from infra.control.audit import AuditTrail
from infra.control.held_open import HeldOpen
from infra.control.key_uses import KeyUses
from infra.control.limits import Limits
from infra.control.links import Links
from infra.control.nodes import Nodes
from infra.control.objects import Objects
from infra.control.presign import Presigner
from infra.control.readings import Readings
from infra.control.secret_rings import SecretRings
from infra.control.streaming import Streams
from infra.control.turned_away import TurnedAway
from infra.control.viewing import Viewing
from infra.db.engine import READ_ONLY
from infra.telemetry.ops import Check
from infra.webhooks.guard import Guard


@dataclass(frozen=True, slots=True)
class Databases:
    """Two ways into the database: transactions that write, and statements that only read."""

    writing: async_sessionmaker[AsyncSession]
    reading: async_sessionmaker[AsyncSession]

    @classmethod
    def of(cls, engine: AsyncEngine, writer: AsyncEngine | None = None) -> "Databases":
        """`writer`: a `writing_engine`, where many write at once."""
        # A transaction around statements that each see what is committed by then is two round trips
        # for nothing.
        alone = {} if engine.dialect.name == "sqlite" else {"isolation_level": "AUTOCOMMIT"}
        reader = engine.execution_options(**READ_ONLY, **alone)
        return cls(
            writing=async_sessionmaker(writer or engine, expire_on_commit=False),
            reading=async_sessionmaker(reader, expire_on_commit=False),
        )


async def _at_once() -> None:
    """Where nothing is published."""


@dataclass(frozen=True, slots=True)
class ControlContext:
    databases: Databases
    links: Links
    presigner: Presigner
    objects: Objects
    viewing: Viewing
    ring: Callable[[], None]
    """Tells the publisher and dispatchers that something was written."""
    checks: Mapping[str, Check]
    """For `/readyz`."""
    now_ms: Callable[[], int]
    guard: Guard
    """Says which addresses webhooks may have."""
    streams: Streams
    told: Callable[[], Awaitable[None]] = _at_once
    """Waits, not for long, until the bus has what was committed."""
    token_algorithm: Algorithm = HS256
    """What new viewer tokens are signed with."""
    limits: Limits = field(default_factory=Limits)
    turned_away: TurnedAway = field(default_factory=TurnedAway)
    trail: AuditTrail = field(default_factory=AuditTrail)
    uses: KeyUses = field(default_factory=KeyUses)
    rings: SecretRings = field(default_factory=SecretRings)
    readings: Readings = field(default_factory=Readings)
    nodes: Nodes = field(default_factory=Nodes)
    held_open: HeldOpen = field(default_factory=HeldOpen)
