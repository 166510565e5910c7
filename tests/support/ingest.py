"""An SRT ingest on a free port with a sink that remembers, for tests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from hotpath.ingest.admission import AdmissionEntry, Refusal
from hotpath.ingest.srt import SrtIngest
from hotpath.ingest.statistics import Publisher
from hotpath.media.unit import Format, Unit
from infra.auth.streamkeys import srt_passphrase, stream_key, whip_token
from infra.publishers import Role

SECRET = b"test project secret"


@dataclass
class RecordingSink:
    publishers: list[Publisher] = field(default_factory=list)
    formats: dict[int, list[tuple[Format, ...]]] = field(default_factory=dict)
    units: dict[int, list[Unit]] = field(default_factory=dict)
    warnings: list[tuple[int, str, str]] = field(default_factory=list)
    ended: dict[int, str] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    order: list[str] = field(default_factory=list)

    def publisher_connected(self, publisher: Publisher) -> None:
        self.publishers.append(publisher)
        self.order.append(f"connected {publisher.id}")

    def publisher_formats(self, publisher_id: int, formats: Sequence[Format]) -> None:
        self.formats.setdefault(publisher_id, []).append(tuple(formats))

    def publisher_units(self, publisher_id: int, units: Sequence[Unit]) -> None:
        known = {f.track for f in self.formats[publisher_id][-1]}
        assert {u.track for u in units} <= known, "units came before their format"
        self.units.setdefault(publisher_id, []).extend(units)

    def publisher_warning(self, publisher_id: int, code: str, message: str) -> None:
        self.warnings.append((publisher_id, code, message))

    def publisher_disconnected(self, publisher_id: int, reason: str) -> None:
        self.ended[publisher_id] = reason
        self.order.append(f"ended {publisher_id}")

    def publisher_refused(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)

    def track(self, publisher_id: int, track: str) -> list[Unit]:
        return [u for u in self.units.get(publisher_id, []) if u.track == track]

    def codes(self) -> set[str]:
        return {code for _, code, _ in self.warnings}


def entry(
    event: str, *, generation: int = 1, is_open: bool = True, takeover: bool = False
) -> AdmissionEntry:
    return AdmissionEntry(
        project="default",
        event=event,
        feed="main",
        key=stream_key(SECRET, event, "k1", generation),
        generation=generation,
        kid="k1",
        passphrase=srt_passphrase(SECRET, event, "k1", generation),
        whip_token=whip_token(SECRET, event, "k1", generation),
        open=is_open,
        takeover=takeover,
    )


def srt_url(
    port: int,
    one: AdmissionEntry,
    *,
    key: str | None = None,
    passphrase: str | None = None,
    host: str = "127.0.0.1",
    role: Role = Role.PRIMARY,
) -> str:
    """What an encoder is given, with more latency: a busy test machine must not look like loss.

    An empty passphrase leaves it out.
    """
    secret = one.passphrase if passphrase is None else passphrase
    url = f"srt://{host}:{port}?streamid={one.event}/{key or one.key}"
    url += "/backup" if role is Role.BACKUP else ""
    url += f"&passphrase={secret}" if secret else ""
    return url + "&latency=400000&mode=caller&pkt_size=1316"


@asynccontextmanager
async def serving(
    *entries: AdmissionEntry, host: str = "127.0.0.1", **options: float
) -> AsyncIterator[tuple[SrtIngest, RecordingSink]]:
    sink = RecordingSink()
    ingest = SrtIngest(host, 0, 120, sink, **options)  # type: ignore[arg-type]
    ingest.set_table(entries)
    task = asyncio.create_task(ingest.run())
    try:
        yield ingest, sink
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Wait for a condition that the sink reports; fails loudly when it never comes."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)
