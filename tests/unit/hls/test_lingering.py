"""What is off the air goes when its time has come, though nothing is published any more."""

from collections.abc import AsyncIterator

import pytest

from hotpath.hls import lingering
from hotpath.hls.live import LivePlaylists
from hotpath.hls.origin import EARLIER, HlsOrigin
from hotpath.media.unit import VIDEO
from tests.support.bridges import until
from tests.support.made_up import KEY, LIVE, MadeUp


@pytest.fixture
async def made(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MadeUp]:
    monkeypatch.setattr(lingering, "_LEAST_S", 0.01)
    programme = MadeUp((VIDEO,))
    for msn in range(12):
        programme.segment(msn, (VIDEO,))
    yield programme
    programme.origin.stop()


def another(origin: HlsOrigin, name: str) -> LivePlaylists:
    return origin.open(KEY, name, access="public", part_target_ms=215, target_duration_s=2)


@pytest.mark.parametrize("final", [True, False])
async def test_memory_is_let_go_after_the_end(made: MadeUp, final: bool) -> None:
    made.live.end(final=final)
    due_ms = made.live.next_deadline()
    assert due_ms is not None
    made.now_ms = due_ms - 10
    if final:
        made.origin.close(KEY)
    else:
        another(made.origin, "k2")
    part = f"{LIVE}k1/video/s11.9.m4s"
    assert (await made.ask(part)).status == 200
    made.now_ms += 100_000
    await until(lambda: made.live.next_deadline() is None)
    assert (await made.ask(part)).status == 404


async def test_all_of_it_goes_when_players_are_done(
    made: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LivePlaylists, "linger_s", 0.05)
    made.live.end(final=True)
    made.origin.close(KEY)
    url = f"{LIVE}video.m3u8"
    assert (await made.ask(url)).status == 200
    await until(lambda: not made.origin._lingering)
    assert (await made.ask(url)).status == 404


async def test_incarnations_before_the_last_keep_what_was_promised(made: MadeUp) -> None:
    media = f"{LIVE}k1/video/s11.m4s"
    for number in range(2, EARLIER + 2):
        another(made.origin, f"k{number}")
        assert (await made.ask(media)).status == 200
    assert (await made.ask(f"{LIVE}k9/video/s11.m4s")).status == 404
    another(made.origin, "k9")
    assert (await made.ask(media)).status == 404
    assert len(made.origin._lingering) == EARLIER
