"""Facts reach the bus once and in order, however long it was away."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.events.desired import EPOCH, HASH, LOG, event_field, project_field
from infra.events.facts import STREAM, FactType, MediaFact
from tests.support.medianode import PROJECT, MediaProcess, encoding, event, key_of, srt_url
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[ValkeyServer]:
    folder = tmp_path / "bus"
    folder.mkdir()
    with ValkeyServer(folder, persist=True) as server:
        yield server


@pytest.fixture
def media(tmp_path: Path, bus: ValkeyServer) -> Iterator[MediaProcess]:
    with MediaProcess(tmp_path / "data", bus_url=bus.url) as process:
        yield process


def sent(bus: ValkeyServer) -> list[MediaFact]:
    with bus.client() as client:
        entries = client.xrange(STREAM)
    return [MediaFact.model_validate_json(values["fact"]) for _, values in entries]


def until_sent(bus: ValkeyServer, last: FactType, count: int = 1) -> list[MediaFact]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        facts = sent(bus)
        if sum(fact.type is last for fact in facts) >= count:
            return facts
        time.sleep(0.05)
    raise AssertionError(f"{last} was not sent {count} times: {[f.type for f in facts]}")


def publish(bus: ValkeyServer, *records: object) -> None:
    """What control does: the state into the hash, the change into the log."""
    with bus.client() as client:
        for record in (PROJECT, *records):
            name = project_field if record is PROJECT else event_field
            field = name(record.id)  # type: ignore[attr-defined]
            client.hset(HASH, field, record.model_dump_json())  # type: ignore[attr-defined]
            client.xadd(LOG, {"field": field})
        client.set(EPOCH, "test")


def test_facts_of_an_outage_arrive_once_and_in_order(
    media: MediaProcess, bus: ValkeyServer
) -> None:
    wanted = event(reconnect_window_s=1)
    media.want(wanted)
    publish(bus, wanted)
    media.start()
    with encoding(srt_url(media, wanted)):
        before = until_sent(bus, FactType.PROGRAM_LIVE)
        bus.stop()
    media.logged("program.ended")
    media.until_closed(key_of(wanted))
    media.kill()
    media.start()
    bus.start()
    after = until_sent(bus, FactType.PROGRAM_ENDED)
    aside = (FactType.INGEST_WARNING, FactType.PUBLISHERS_PRESENT)
    told = [fact for fact in after if fact.type not in aside]
    assert [fact.type for fact in told] == [
        FactType.PUBLISHER_CONNECTED,
        FactType.PROGRAM_LIVE,
        FactType.PUBLISHER_LOST,
        FactType.PROGRAM_ENDED,
    ]
    presence = [fact.detail for fact in after if fact.type is FactType.PUBLISHERS_PRESENT]
    assert presence == [
        {"primary": True, "backup": False, "active": "primary"},
        {"primary": False, "backup": False, "active": None},
    ]
    assert after[: len(before)] == before
    assert len({fact.id for fact in after}) == len(after)
    assert [fact.at_ns for fact in after] == sorted(fact.at_ns for fact in after)
    assert {fact.event for fact in after} == {wanted.id}
    outbox = media.data / "media" / "facts.jsonl"
    deadline = time.monotonic() + 10
    while outbox.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert outbox.read_bytes() == b""


def test_desired_state_from_the_bus_opens_and_ends_an_event(
    media: MediaProcess, bus: ValkeyServer
) -> None:
    wanted = event()
    key = key_of(wanted)
    media.start()
    publish(bus, wanted)
    media.logged("desired state is in step")
    with encoding(srt_url(media, wanted)):
        media.until(key, lambda playlist: len(playlist.segments) >= 1)
        assert media.get("/readyz").json()["checks"]["bus"] == "ok"
        publish(bus, event(open=False, revision=2))
        media.until(key, lambda playlist: playlist.ended)
    assert media.manifest(key, media.checkpoint(key)["incarnation"]).final
    desired = media.data / "media" / "desired.json"
    assert desired.stat().st_mode & 0o777 == 0o600
    assert '"open":false' in desired.read_text()
    until_sent(bus, FactType.PROGRAM_ENDED)
    assert media.troubles() == []


def test_every_refusal_is_a_fact_with_its_reason(media: MediaProcess, bus: ValkeyServer) -> None:
    wanted, closed = event(), event("ev_closed", open=False)
    media.want(wanted, closed)
    media.start()
    good = srt_url(media, wanted)
    passphrase = good.split("passphrase=")[1].split("&")[0]
    for url in (
        good.replace("k1.1.", "k1.1.x"),
        good.replace("ev_one/", "ev_none/"),
        srt_url(media, event(generation=2)),
        good.replace(passphrase, "a" * 32),
        srt_url(media, closed),
    ):
        with encoding(url):
            count = len(sent(bus))
            deadline = time.monotonic() + 20
            while len(sent(bus)) == count and time.monotonic() < deadline:
                time.sleep(0.05)
    reasons = [fact.detail["reason"] for fact in sent(bus)]
    assert list(dict.fromkeys(reasons)) == [
        "bad-key",
        "unknown-event",
        "rotated-key",
        "bad-passphrase",
        "event-closed",
    ]
    assert {fact.type for fact in sent(bus)} == {FactType.PUBLISHER_REFUSED}
