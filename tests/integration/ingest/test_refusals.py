"""Each way of being turned away, with its own audit line."""

import ctypes
import itertools
import subprocess
import time
from pathlib import Path

import pytest

from hotpath.ingest.admission import Refusal
from infra.publishers import Role
from tests.support.ingest import entry, serving, srt_url, until
from tests.support.media import ffmpeg, publishing

pytestmark = pytest.mark.integration

A = entry("ev_a")
FREE = entry("ev_free", takeover=True)


def refused_by_server(stream: Path, url: str) -> bool:
    """Whether ffmpeg gives up at once (not by its timeout), having been refused."""
    command = [ffmpeg(), "-v", "error", "-re", "-i", str(stream), "-c", "copy", "-f", "mpegts", url]
    return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode != 0


@pytest.mark.parametrize(
    ("key", "passphrase", "event", "reason", "project"),
    [
        ("k1.1.wrongwrongwrongwrongwrong", None, "ev_a", "bad-key", "default"),
        (None, None, "ev_unknown", "unknown-event", ""),
        (entry("ev_a", generation=2).key, None, "ev_a", "rotated-key", "default"),
        (None, "a wrong passphrase".replace(" ", "-"), "ev_a", "bad-passphrase", "default"),
        (None, "", "ev_a", "bad-passphrase", "default"),
        (None, None, "ev_closed", "event-closed", "default"),
    ],
    ids=["wrong-key", "unknown-event", "rotated-key", "wrong-pass", "no-pass", "closed"],
)
async def test_a_refusal_names_its_reason(
    *, stream: Path, key: str | None, passphrase: str | None, event: str, reason: str, project: str
) -> None:
    async with serving(A, entry("ev_closed", is_open=False)) as (ingest, sink):
        url = srt_url(ingest.port, entry(event), key=key, passphrase=passphrase)
        with publishing(stream, url) as encoder:
            await until(lambda: sink.refusals)
            await until(lambda: encoder.poll() is not None)
        (refusal,) = sink.refusals
        assert (refusal.event, refusal.project, refusal.reason) == (event, project, reason)
        assert refusal.peer.startswith("127.0.0.1:")
        assert refusal.at_ns > 0
        assert sink.publishers == []
        assert ingest.refusals == {reason: 1}


@pytest.mark.parametrize(
    "streamid", ["", "nonsense", "UPPER/key", "#!::r=ev_a,m=request,u=x", "ev_a/", "a/b/c", "a/b/"]
)
async def test_a_streamid_of_neither_form_is_refused(stream: Path, streamid: str) -> None:
    async with serving(A) as (ingest, sink):
        url = f"srt://127.0.0.1:{ingest.port}?streamid={streamid}&passphrase={A.passphrase}"
        with publishing(stream, url):
            await until(lambda: sink.refusals)
        assert [r.reason for r in sink.refusals] == ["bad-streamid"]
        assert sink.refusals[0].event == ""


async def test_a_second_publisher_is_refused_and_the_first_goes_on(long_stream: Path) -> None:
    async with serving(A) as (ingest, sink):
        with publishing(long_stream, srt_url(ingest.port, A)):
            await until(lambda: sink.units)
            with publishing(long_stream, srt_url(ingest.port, A)):
                await until(lambda: sink.refusals)
            before = len(sink.units[1])
            await until(lambda: len(sink.units[1]) > before + 10)
        assert [r.reason for r in sink.refusals] == ["busy"]
        assert [p.id for p in sink.publishers] == [1]


async def test_each_role_has_one_publisher(long_stream: Path) -> None:
    async with serving(A) as (ingest, sink):
        backup = srt_url(ingest.port, A, role=Role.BACKUP)
        with publishing(long_stream, srt_url(ingest.port, A)), publishing(long_stream, backup):
            await until(lambda: sink.track(1, "video") and sink.track(2, "video"))
            ingest.set_table([A])  # who is there stays so
            with publishing(long_stream, backup):
                await until(lambda: sink.refusals)
        assert {p.role for p in sink.publishers} == {Role.PRIMARY, Role.BACKUP}
        assert [r.reason for r in sink.refusals] == ["busy"]


async def test_a_backup_takes_over_from_a_backup_alone(long_stream: Path) -> None:
    event = entry("ev_t", takeover=True)
    async with serving(event) as (ingest, sink):
        backup = srt_url(ingest.port, event, role=Role.BACKUP)
        with publishing(long_stream, srt_url(ingest.port, event)):
            await until(lambda: sink.units)
            with publishing(long_stream, backup):
                await until(lambda: sink.track(2, "video"))
                with publishing(long_stream, backup):
                    await until(lambda: sink.track(3, "video"))
                    assert sink.ended == {2: "taken-over"}


async def test_a_second_publisher_takes_over_where_the_event_says_so(long_stream: Path) -> None:
    event = entry("ev_t", takeover=True)
    async with serving(event) as (ingest, sink):
        with publishing(long_stream, srt_url(ingest.port, event)):
            await until(lambda: sink.units)
            with publishing(long_stream, srt_url(ingest.port, event)):
                await until(lambda: sink.track(2, "video"))
        assert sink.order[:3] == ["connected 1", "ended 1", "connected 2"]
        assert sink.ended[1] == "taken-over"
        assert sink.refusals == []


async def test_a_failed_passphrase_neither_ends_nor_replaces_a_publisher(long_stream: Path) -> None:
    event = entry("ev_t", takeover=True)
    async with serving(event) as (ingest, sink):
        with publishing(long_stream, srt_url(ingest.port, event)):
            await until(lambda: sink.units)
            with publishing(long_stream, srt_url(ingest.port, event, passphrase="wrong-wrong")):
                await until(lambda: sink.refusals)
            # The policy changes: the publisher that is there must still count as there.
            ingest.set_table([entry("ev_t")])
            with publishing(long_stream, srt_url(ingest.port, event)):
                await until(lambda: len(sink.refusals) == 2)
        assert [r.reason for r in sink.refusals] == ["bad-passphrase", "busy"]
        assert [p.id for p in sink.publishers] == [1]


async def test_many_publishers_at_once_leave_exactly_one(long_stream: Path) -> None:
    async with serving(A) as (ingest, sink):
        url = srt_url(ingest.port, A)
        with (
            publishing(long_stream, url),
            publishing(long_stream, url),
            publishing(long_stream, url),
        ):
            await until(lambda: len(sink.refusals) == 2)
            await until(lambda: sink.units)
        assert {r.reason for r in sink.refusals} == {"busy"}
        assert len(sink.publishers) == 1


async def test_an_address_that_connects_too_often_is_refused(stream: Path) -> None:
    async with serving(A, connect_burst=2, connects_per_s=0.01) as (ingest, sink):
        url = srt_url(ingest.port, A, key="k1.1.guess")
        for _ in range(4):
            assert refused_by_server(stream, url)
        await until(lambda: len(sink.refusals) == 4)
        assert [r.reason for r in sink.refusals] == [
            "bad-key",
            "bad-key",
            "over-limit",
            "over-limit",
        ]


async def test_the_verdict_falls_while_python_is_stuck(stream: Path) -> None:
    """The listen callback must never take the GIL: it runs in the thread of all publishers."""
    async with serving(A) as (ingest, sink):
        with publishing(stream, srt_url(ingest.port, A, key="k1.1.guess")) as encoder:
            hold_gil = ctypes.PyDLL(None).usleep  # PyDLL keeps the GIL during the call
            held: list[tuple[int, int]] = []
            while encoder.poll() is None and len(held) < 20:
                begun_ns = time.time_ns()
                hold_gil(900_000)
                held.append((begun_ns, time.time_ns()))
            await until(lambda: sink.refusals)
        at_ns = sink.refusals[0].at_ns
        assert any(begun < at_ns < released for begun, released in held)


async def test_a_blocked_event_loop_costs_a_publisher_nothing(long_stream: Path) -> None:
    async with serving(A) as (ingest, sink):
        with publishing(long_stream, srt_url(ingest.port, A)):
            await until(lambda: len(sink.track(1, "video")) > 10)
            time.sleep(1.5)
            await until(lambda: len(sink.track(1, "video")) > 60)
        frames = sink.track(1, "video")
        assert {b.dts - a.dts for a, b in itertools.pairwise(frames)} == {3000}
        assert not any(f.damaged for f in frames)


def test_a_refusal_has_no_secret() -> None:
    assert A.key not in repr(A)
    assert A.passphrase not in repr(A)
    assert set(Refusal.__dataclass_fields__) == {"event", "project", "peer", "reason", "at_ns"}


async def test_an_event_published_by_another_protocol_is_busy(long_stream: Path) -> None:
    async with serving(A, FREE) as (ingest, sink):
        ingest.set_occupied("ev_a", Role.PRIMARY, True)
        ingest.set_occupied("ev_free", Role.PRIMARY, True)
        ingest.set_table([A, FREE])  # what is occupied stays so
        with (
            publishing(long_stream, srt_url(ingest.port, A)),
            publishing(long_stream, srt_url(ingest.port, FREE)),
        ):
            await until(lambda: sink.refusals and sink.publishers)
        ingest.set_occupied("ev_a", Role.PRIMARY, False)
        with publishing(long_stream, srt_url(ingest.port, A)):
            await until(lambda: len(sink.publishers) == 2)
        assert [(r.event, r.reason) for r in sink.refusals] == [("ev_a", "busy")]
        assert [p.event for p in sink.publishers] == ["ev_free", "ev_a"]
