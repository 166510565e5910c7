"""Media of a window of hours can be had as the draft wants: draft-pantos-hls-rfc8216bis 6.2.2.

Memory holds what it holds without such a window; the rest comes from spool or store.
"""

from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from hotpath.hls.vault import Vault
from hotpath.media.unit import AUDIO, VIDEO
from infra.auth.tokens import ViewerClaims, issue
from infra.errors import StorageError
from infra.storage.memory import MemoryObjectStore
from tests.support.made_up import KEY, LIVE, START_NS, MadeUp, Response, S

WINDOW_S = 120
FIRST = LIVE + "k1/video/s0.m4s"
SECRET = b"s" * 32


def body(msn: int) -> bytes:
    return b"".join(b"s%d.%d;" % (msn, part) for part in range(10))


class Store(MemoryObjectStore):
    reads = 0
    down = False

    def get(self, key: str) -> bytes:
        self.reads += 1
        if self.down:
            raise StorageError("down")
        return super().get(key)


class Dvr:
    """A programme whose segments are in the store as soon as they are whole."""

    def __init__(self, spool: Path, access: str = "public") -> None:
        self.store = Store()
        self.vault = Vault(spool, lambda: self.store)
        self.programme = MadeUp(dvr_window_s=WINDOW_S, vault=self.vault, access=access)
        for track in (VIDEO, AUDIO):
            self.put(f"{track}/init-0.mp4", b"init")

    def put(self, name: str, data: bytes) -> None:
        self.store.put(f"live/{KEY}/k1/{name}", data, "video/mp4")

    def segments(self, numbers: range) -> None:
        for msn in numbers:
            self.programme.segment(msn)
            for track in (VIDEO, AUDIO):
                self.put(f"{track}/s{msn}.m4s", body(msn))

    async def ask(self, url: str, method: str = "GET", **headers: str) -> Response:
        return await self.programme.ask(url, method, **headers)


@pytest.fixture
async def dvr(tmp_path: Path) -> AsyncIterator[Dvr]:
    one = Dvr(tmp_path)
    yield one
    one.vault.close()


def expires_ms(response: Response) -> int:
    moment = parsedate_to_datetime(response.headers["expires"])
    return int(moment.timestamp() - START_NS // S) * 1000


async def test_every_segment_that_is_listed_can_be_had(dvr: Dvr) -> None:
    for msn in range(90):
        dvr.segments(range(msn, msn + 1))
        if msn % 15:
            continue
        for track in (VIDEO, AUDIO):
            found = await dvr.programme.found(track)
            for segment in found.segments:
                response = await dvr.ask(LIVE + (segment.uri or ""))
                assert (response.status, response.body) == (200, body(segment.msn))
                assert response.headers["content-type"].startswith(track)
    assert found.segments[0].msn > 0


async def test_memory_holds_no_more_than_without_a_window(dvr: Dvr) -> None:
    without = MadeUp()
    for msn in range(80):
        dvr.segments(range(msn, msn + 1))
        without.segment(msn)
    held, would_be = 0, 0
    for msn in range(80):
        url = f"{LIVE}k1/video/s{msn}.m4s"
        reads = dvr.store.reads
        assert (await dvr.ask(url)).status == 200
        held += dvr.store.reads == reads
        would_be += (await without.ask(url)).status == 200
    assert 10 <= held <= would_be


async def test_a_segment_can_be_had_for_its_availability_duration_and_as_was_promised(
    dvr: Dvr,
) -> None:
    longest_ms, left_ms, gone_ms, promised_ms = 0, None, None, 0
    for msn in range(220):
        dvr.segments(range(msn, msn + 1))
        now_ms = dvr.programme.now_ms
        response = await dvr.ask(FIRST)
        segments = (await dvr.programme.found(VIDEO)).segments
        if segments[0].msn == 0:
            longest_ms = max(longest_ms, sum(int((s.duration or 0) * 1000) for s in segments))
        else:
            left_ms = left_ms or now_ms
        if response.status == 200:
            assert gone_ms is None
            promised_ms = max(promised_ms, expires_ms(response))
        else:
            gone_ms = gone_ms or now_ms
    assert left_ms is not None
    assert gone_ms is not None
    assert longest_ms >= WINDOW_S * 1000
    assert gone_ms >= max(promised_ms, left_ms + 2000 + longest_ms)
    assert gone_ms <= left_ms + 2 * (longest_ms + 2000)


async def test_the_promise_is_cacheable_and_final(dvr: Dvr) -> None:
    dvr.segments(range(50))
    response = await dvr.ask(FIRST)
    public, age, immutable = response.headers["cache-control"].split(", ")
    assert (public, immutable) == ("public", "immutable")
    now_ms, age_s = dvr.programme.now_ms, int(age.removeprefix("max-age="))
    assert age_s * 1000 >= WINDOW_S * 1000
    assert abs(now_ms + age_s * 1000 - expires_ms(response)) < 1000


async def test_older_media_are_asked_for_like_others(dvr: Dvr) -> None:
    dvr.segments(range(50))
    whole = await dvr.ask(FIRST)
    head = await dvr.ask(FIRST, "HEAD")
    assert (head.status, head.headers, head.body) == (200, whole.headers, b"")
    part = await dvr.ask(FIRST, range="bytes=5-9")
    assert (part.status, part.body) == (206, body(0)[5:10])
    assert part.headers["content-range"] == f"bytes 5-9/{len(body(0))}"
    assert (await dvr.ask(FIRST, range="bytes=5000-")).status == 416
    assert whole.headers["access-control-allow-origin"] == "*"


async def test_a_gap_and_what_never_was_cost_no_read(dvr: Dvr) -> None:
    dvr.segments(range(5))
    dvr.programme.gap(VIDEO, 5)
    dvr.programme.segment(5, (AUDIO,))
    dvr.segments(range(6, 60))
    gap = next(s for s in (await dvr.programme.found(VIDEO)).segments if s.msn == 5)
    assert gap.gap
    for name in (
        "k1/video/s5.m4s", "k1/video/s60.m4s", "k1/video/s00.m4s", "k1/video/init-1.mp4",
        "k1/720p/s0.m4s", "k0/video/s0.m4s", "k1/video/../video/s0.m4s", "k1/video/s0.0.m4s",
        "k1/manifest.json",
    ):  # fmt: skip
        assert (await dvr.ask(LIVE + name)).status == 404
    assert dvr.store.reads == 0


async def test_older_init_sections_leave_memory_and_stay_available(dvr: Dvr) -> None:
    dvr.segments(range(10))
    dvr.programme.init(VIDEO, 1)
    dvr.put("video/init-1.mp4", b"init")
    dvr.segments(range(10, 60))
    for number, reads in ((0, 1), (1, 1)):
        response = await dvr.ask(f"{LIVE}k1/video/init-{number}.mp4")
        assert (response.status, response.body) == (200, b"init")
        assert response.headers["cache-control"] == f"public, max-age={2 * WINDOW_S}, immutable"
        assert dvr.store.reads == reads


async def test_a_store_that_is_down_costs_the_request_that_needs_it(dvr: Dvr) -> None:
    dvr.segments(range(50))
    dvr.store.down = True
    response = await dvr.ask(FIRST)
    assert response.status == 503
    assert response.headers["retry-after"] == "2"
    assert response.headers["cache-control"] == "no-store"
    assert (await dvr.ask(LIVE + "k1/video/s49.m4s")).status == 200
    assert (await dvr.ask(LIVE + "video.m3u8")).status == 200
    dvr.store.down = False
    assert (await dvr.ask(FIRST)).status == 200


async def test_what_was_never_kept_is_not_here(dvr: Dvr) -> None:
    """The spool was full: nobody has it, though it was listed."""
    dvr.programme.segment(0)
    dvr.segments(range(1, 50))
    assert (await dvr.ask(FIRST)).status == 404


async def test_a_viewer_is_checked_as_for_other_media(tmp_path: Path) -> None:
    dvr = Dvr(tmp_path, access="token")
    dvr.segments(range(50))
    origin, event = dvr.programme.origin, KEY.event
    origin.set_access({KEY.project: {"k1": SECRET}}, {event: "token"})
    now_s = START_NS // S + dvr.programme.now_ms // 1000
    claims = ViewerClaims(
        KEY.project, event, f"/live/{KEY.project}/{event}", "me", now_s, now_s + 60, "t1"
    )
    token = issue(claims, SECRET, "k1")
    assert (await dvr.ask(FIRST)).status == 401
    assert (await dvr.ask(f"/t/wrong{FIRST}")).status == 401
    assert dvr.store.reads == 0
    assert (await dvr.ask(f"/t/{token}{FIRST}")).status == 200
    origin.set_access({KEY.project: {}}, {event: "token"})
    assert (await dvr.ask(f"/t/{token}{FIRST}")).status == 401
    dvr.vault.close()


async def test_media_of_the_incarnation_before_can_still_be_had(dvr: Dvr) -> None:
    dvr.segments(range(50))
    dvr.programme.origin.open(
        KEY, "k2", access="public", part_target_ms=215, target_duration_s=2, dvr_window_s=WINDOW_S
    )
    assert (await dvr.ask(FIRST)).body == body(0)
    assert (await dvr.ask(LIVE + "k1/video/s49.m4s")).body == body(49)
    assert (await dvr.ask(LIVE + "k1/video/s50.m4s")).status == 404


async def test_an_event_that_ended_leaves_memory_and_can_be_had(dvr: Dvr) -> None:
    dvr.segments(range(50))
    dvr.programme.live.end(final=True)
    last, live = LIVE + "k1/video/s49.m4s", dvr.programme.live
    assert (await dvr.ask(last)).body == body(49)
    assert dvr.store.reads == 0
    for _ in range(1000):
        if (due_ms := live.next_deadline()) is None:
            break
        dvr.programme.now_ms = due_ms
        live.expire(due_ms)
    assert dvr.programme.now_ms < 100_000 + 50_000
    found = await dvr.programme.found(VIDEO)
    assert found.segments[-1].msn == 49
    assert not any(segment.parts for segment in found.segments)
    for segment in found.segments:
        reads = dvr.store.reads
        assert (await dvr.ask(LIVE + (segment.uri or ""))).body == body(segment.msn)
        assert dvr.store.reads == reads + 1
    assert (await dvr.ask(LIVE + "k1/video/s49.9.m4s")).status == 404


async def test_without_a_vault_nobody_goes_back() -> None:
    programme = MadeUp(dvr_window_s=WINDOW_S)
    for msn in range(60):
        programme.segment(msn)
    assert (await programme.found(VIDEO)).segments[0].msn == 50
    assert (await programme.ask(FIRST)).status == 404
