"""A stream in players from npm, in a real browser, and what each of them recorded.

`players_origin` serves the page of `players/` beside the libraries; `Player` is one such page. The
page's record is read whole, as often as a test likes.
"""

import statistics
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode

from playwright.async_api import Browser, Page, TimeoutError

from infra.web import build, pages

PAGES = Path(__file__).parent / "players"
# Not shipped: pinned by a lock file of their own.
FILES = {"shaka-player/dist/shaka-player.hls-es2021.js": "shaka-player.js"}
START_MS = 40_000

Name = Literal["hls.js", "shaka"]


def install() -> None:
    """hls.js as the watch page has it, and the players that only tests have."""
    build.install()
    build.install(PAGES / "vendor", PAGES, FILES)


class _Files(SimpleHTTPRequestHandler):
    """The test's pages, and the product's own files under `/static/`."""

    protocol_version = "HTTP/1.1"
    extensions_map: ClassVar = {**pages.CONTENT_TYPES, "": "application/octet-stream"}

    def translate_path(self, path: str) -> str:
        if path.startswith("/static/"):
            self.directory, path = str(pages.STATIC), path.removeprefix("/static")
        else:
            self.directory = str(PAGES)
        return super().translate_path(path)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def players_origin() -> Iterator[str]:
    """The URL of the page."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(PAGES))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="players")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True, slots=True)
class Sample:
    at: float
    """Milliseconds since the first picture moved; the same for all times here."""
    time: float
    """The playhead, in seconds."""
    latency: float | None
    """Seconds between the programme taking in the picture that is shown and now."""
    target: float | None
    """The playlist's PART-HOLD-BACK, as the player understood it."""
    low: bool | None
    """Whether it is in low-latency mode."""
    height: int | None
    """Of the rendition that is played."""
    rate: float
    buffer: float
    frames: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Stall:
    at: float
    ms: float


@dataclass(frozen=True, slots=True)
class Record:
    started: float | None
    samples: tuple[Sample, ...]
    stalls: tuple[Stall, ...]
    standing: float
    errors: tuple[dict[str, Any], ...]
    parts: int
    segments: int
    blocking: int
    plain: int

    @property
    def now(self) -> float:
        return self.samples[-1].at if self.samples else 0.0

    def since(self, at: float) -> Sequence[Sample]:
        return [sample for sample in self.samples if sample.at >= at]

    def stalls_since(self, at: float) -> Sequence[Stall]:
        return [stall for stall in self.stalls if stall.at >= at]

    def latency(self, at: float = 0.0) -> float:
        """The median since then."""
        return statistics.median(s.latency for s in self.since(at) if s.latency is not None)

    @property
    def heights(self) -> list[int]:
        """One after the other, without repetition."""
        found: list[int] = []
        for sample in self.samples:
            if sample.height is not None and found[-1:] != [sample.height]:
                found.append(sample.height)
        return found

    @property
    def summary(self) -> str:
        """For people, and for the message of an assertion."""
        last = self.samples[-1] if self.samples else None
        return (
            f"{self.now / 1000:.0f} s, latency {self.latency() if last else 0:.2f} s (target "
            f"{last and last.target}), {len(self.stalls)} stalls {self.stalls}, "
            f"{self.parts} parts, {self.segments} segments, {self.blocking} blocking reloads, "
            f"{self.plain} plain, heights {self.heights}, dropped {last and last.dropped} of "
            f"{last and last.frames}, errors {list(self.errors)[:5]} of {len(self.errors)}"
        )


class Player:
    """One page with one player in a context of its own, so that it shares no connection."""

    def __init__(self, name: Name, page: Page) -> None:
        self.name = name
        self.page = page
        self.said: list[str] = []
        """What the page wrote to its console."""

    @classmethod
    async def open(cls, browser: Browser, origin: str, name: Name, url: str) -> "Player":
        page = await (await browser.new_context()).new_page()
        player = cls(name, page)
        page.on("console", lambda message: player.said.append(message.text))
        page.on("pageerror", lambda error: player.said.append(error.stack or str(error)))
        await page.goto(f"{origin}?{urlencode({'player': name, 'url': url})}")
        return player

    async def until(self, condition: str, timeout_ms: float = START_MS) -> None:
        """A condition on `record` and `last`, its newest sample."""
        try:
            await self.page.wait_for_function(
                f"() => {{ const {{ record }} = window, last = record?.samples.at(-1);"
                f" return last && ({condition}); }}",
                timeout=timeout_ms,
            )
        except TimeoutError:
            raise AssertionError(
                f"{self.name}: not in {timeout_ms / 1000:g} s: {condition}; "
                f"{(await self.read()).summary}; the page said {self.said[-10:]}"
            ) from None

    async def ask_for(self, height: int) -> None:
        """Take this rendition from the next segment on, whatever the link carries; hls.js only."""
        await self.page.evaluate(
            """height => { const { hls } = player;
            hls.loadLevel = hls.levels.findIndex(level => level.height === height); }""",
            height,
        )

    async def read(self) -> Record:
        found = await self.page.evaluate("record")
        return Record(
            **found
            | {
                "samples": tuple(Sample(**one) for one in found["samples"]),
                "stalls": tuple(Stall(**one) for one in found["stalls"]),
                "errors": tuple(found["errors"]),
            }
        )
