"""hls.js and Shaka from npm in real Chromium, on a real media node with a ladder.

The programme was encoded before, so that the machine is left to the node, the ladder's encoder and
the browser.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from benchmarks.publisher import Publisher
from benchmarks.stamped import Recipe, programme
from tests.e2e import playing
from tests.e2e.playing import Name, Player, Record
from tests.support.medianode import MediaProcess, event, key_of, srt_url
from tests.support.slow_link import slow_link

# The browser lives longer than a test, on a loop that does. A busy machine is late with everything.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.alone]

SOURCE = Recipe(size="640x360", kbps=2200, seconds=8)
HEIGHTS = (240, 360)
PLAYERS: tuple[Name, ...] = ("hls.js", "shaka")
SETTLING_MS = 5_000
NEAR_S = 1.0
"""How far from PART-HOLD-BACK the latency may be."""
PARTS_A_SECOND = 5
AWAY_S = 5.0
"""How long the publisher is gone."""
BACK_MS = 15_000
"""Time for a player to be as near to live as before, whatever came between."""
STOOD_MS = 3_000
"""How long a player may stand still from the loss to well after the return, all in all: until the
slate is there, 1.2 s, less what it has buffered, and once more when the publisher is back."""
BETWEEN = 1_100_000
"""Bits a second: more than the lower rung with sound takes, less than the source."""
SWITCH_MS = 45_000
"""hls.js measures whole segments, and the first ones on a slow link take long."""
CALM_MS = 10_000
"""After a switch that was asked for, a player plays on for as long."""
CALM = """
record.samples[0].at <= last.at - 5000 && record.samples.every(
    ({ at, height, low }) => at < last.at - 5000 || (height === %d && low)
) && record.stalls.every(({ at, ms }) => at + ms < last.at - 5000) && record.standing < 250
"""
"""Five seconds of one height in low-latency mode, without a stall."""
CALM_BY_MS = 90_000
"""Shaka goes up once more by what it measured before the link was slow, and learns by stalling."""
SLOW_S = 8.0
"""Behind live at most, once a link that became too slow is given what it can carry."""


class Air:
    """A media node, its event, and the encoder that a test may take away."""

    def __init__(self, folder: Path) -> None:
        self.desired = event(renditions=("240p",))
        self.media = MediaProcess(folder, webrtc_port="0")
        self.media.want(self.desired)
        self._publisher: Publisher | None = None

    def publish(self) -> None:
        self._publisher = Publisher(srt_url(self.media, self.desired), path=programme(SOURCE))
        self._publisher.__enter__()

    @property
    def trimmed(self) -> list[dict[str, object]]:
        return [record for record in self.media.log if record["event"] == "a ladder is trimmed"]

    def fall_silent(self) -> None:
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            publisher.__exit__(None, None, None)

    def url(self, port: int) -> str:
        return f"http://127.0.0.1:{port}/live/{key_of(self.desired)}/index.m3u8"


@pytest.fixture(scope="module")
def air(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Air]:
    """On the air for all tests, which leave it as they found it."""
    air = Air(tmp_path_factory.mktemp("players") / "data")
    with air.media:
        air.media.start()
        air.publish()
        try:
            # The ladder has caught up with the source.
            key = key_of(air.desired)
            air.media.until(key, lambda playlist: len(playlist.segments) >= 2, "240p")
            yield air
        finally:
            air.fall_silent()


@pytest.fixture(scope="session")
def origin() -> Iterator[str]:
    playing.install()
    with playing.players_origin() as url:
        yield url


Open = Callable[[Name, int], Awaitable[Player]]


@pytest_asyncio.fixture(loop_scope="session")
async def opened(browser: Browser, origin: str, air: Air) -> AsyncIterator[Open]:
    async def open_one(name: Name, port: int) -> Player:
        return await Player.open(browser, origin, name, air.url(port))

    yield open_one


async def both(opened: Open, air: Air) -> list[Player]:
    """Both players, at the same time, each as far as `SETTLING_MS` of playing."""
    players = [await opened(name, air.media.http_port) for name in PLAYERS]
    for player in players:
        await player.until(f"last.at >= {SETTLING_MS}")
    return players


def keeps_up(record: Record, since: float) -> None:
    """In low-latency mode, with the latency that the playlist asks for, without a stall."""
    samples = record.since(since)
    seconds = (record.now - since) / 1000
    assert all(sample.low for sample in samples), record.summary
    target = samples[-1].target
    assert target is not None
    assert abs(record.latency(since) - target) < NEAR_S, record.summary
    assert abs(record.latency(record.now - 10_000) - target) < NEAR_S, record.summary
    assert record.stalls_since(since) == [], record.summary
    assert record.standing < 500, record.summary
    progress = samples[-1].time - samples[0].time
    assert abs(progress - seconds) < 1.5 + 0.1 * seconds, record.summary
    # Picture and sound: ten parts and ten blocking reloads in a second, each for a part.
    assert record.parts > 1.5 * PARTS_A_SECOND * seconds, record.summary
    assert record.blocking > 1.2 * PARTS_A_SECOND * seconds, record.summary
    assert not [error for error in record.errors if error["fatal"]], record.summary


def plays_on(record: Record, since: float) -> None:
    """Most of the time; how far behind live does not matter."""
    samples = record.since(since)
    progress = samples[-1].time - samples[0].time
    assert progress > 0.6 * (record.now - since) / 1000, record.summary


@pytest.mark.timeout(0)
async def test_low_latency_mode_stays_on(
    opened: Open, air: Air, request: pytest.FixtureRequest
) -> None:
    seconds = request.config.getoption("--players-seconds")
    players = await both(opened, air)
    await asyncio.sleep(seconds)
    for player in players:
        record = await player.read()
        print(player.name, record.summary)  # noqa: T201 - for who asks with -rP
        keeps_up(record, SETTLING_MS)
    assert not air.trimmed


async def test_a_level_that_is_asked_for_is_taken_without_a_stall(opened: Open, air: Air) -> None:
    assert not air.trimmed  # a busy machine has but one level
    player = await opened("hls.js", air.media.http_port)
    await player.until(f"last.at >= {SETTLING_MS}")
    for _ in range(2):
        record = await player.read()
        height = next(each for each in HEIGHTS if each != record.samples[-1].height)
        await player.ask_for(height)
        await player.until(f"last.height === {height}", SWITCH_MS)
    switched = (await player.read()).now
    await player.until(f"last.at >= {switched + CALM_MS}", playing.START_MS + CALM_MS)
    record = await player.read()
    print(player.name, record.summary)  # noqa: T201 - for who asks with -rP
    assert record.heights[-3:] in ([240, 360, 240], [360, 240, 360]), record.summary
    keeps_up(record, SETTLING_MS)


async def test_a_publisher_that_comes_back_is_seen_without_a_reload(opened: Open, air: Air) -> None:
    players = await both(opened, air)
    left = [(await player.read()).now for player in players]
    air.fall_silent()
    # Long enough for a slate, which is what the players see meanwhile.
    await asyncio.sleep(AWAY_S)
    air.publish()
    for player, gone in zip(players, left, strict=True):
        await player.until(
            f"last.at >= {gone + 1000 * AWAY_S + BACK_MS}", timeout_ms=playing.START_MS + BACK_MS
        )
    for player, gone in zip(players, left, strict=True):
        record = await player.read()
        print(player.name, record.summary)  # noqa: T201 - for who asks with -rP
        assert not [error for error in record.errors if error["fatal"]], record.summary
        stood = sum(stall.ms for stall in record.stalls_since(gone)) + record.standing
        assert stood < STOOD_MS, record.summary
        if player.name == "hls.js":
            keeps_up(record, record.now - BACK_MS / 2)
        else:
            # Shaka reckons what is live from where the programme began, and is wrong by then.
            plays_on(record, record.now - BACK_MS / 2)
        # The same playlist and timeline: nobody was sent back to the beginning of something.
        times = [sample.time for sample in record.since(gone)]
        assert all(before <= after + 0.1 for before, after in pairwise(times)), record.summary


async def test_a_slow_link_is_given_the_lower_rendition(opened: Open, air: Air) -> None:
    low, high = HEIGHTS
    async with AsyncExitStack() as stack:
        links = [await stack.enter_async_context(slow_link(air.media.http_port)) for _ in PLAYERS]
        hls, shaka = [
            await opened(name, link.port) for name, link in zip(PLAYERS, links, strict=True)
        ]
        await hls.until(f"last.at >= {SETTLING_MS} && last.height === {high}", SWITCH_MS)
        # Shaka takes the wait for a part that is being made for a slow link, and stays below.
        await shaka.until(f"last.at >= {SETTLING_MS}")
        for link in links:
            link.rate = BETWEEN
        for player in (hls, shaka):
            await player.until(CALM % low, CALM_BY_MS)
            record = await player.read()
            print(player.name, record.summary)  # noqa: T201 - for who asks with -rP
            assert not [error for error in record.errors if error["fatal"]], record.summary
            # Each stall on the way has moved hls.js's target further from live.
            assert record.latency(record.now - 5_000) < SLOW_S, record.summary
    assert not air.trimmed
