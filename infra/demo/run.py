"""One event from its schedule to its archive, through the public API and URLs only.

Invariant: every step that breaks off leaves a failure in the findings and the rest is still tried
where that makes sense; nothing that was started outlives `run`. Upstream: `command` with a running
stack. Downstream: `report`.
"""

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import AsyncIterator, Coroutine, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from rich.console import Console

from infra.demo.api import Api
from infra.demo.encoder import Encoder
from infra.demo.errors import DemoError
from infra.demo.heard import read_captions
from infra.demo.ladder import LadderFindings
from infra.demo.ladder_watch import LadderWatch
from infra.demo.made import Recording, look_at_poster, look_at_storyboard, make_clip
from infra.demo.player import Player, Viewing
from infra.demo.programme import Programme
from infra.demo.progress import Step, step
from infra.demo.report import Findings
from infra.demo.switching import SwitchingPlayer
from infra.demo.verify import Archive, download, inspect
from infra.demo.whep_moving import moved_down
from infra.demo.whep_viewing import WhepViewer, first_keyframe_ms
from infra.telemetry.stages import stage_quantiles

WIDTH, HEIGHT, FPS = 1280, 720, 30
RENDITIONS = ("360p", "240p")
"""What two cores encode beside the demo's own encoder, players and checks."""
TRIMMED = "renditions-trimmed"
LIVE_TIMEOUT_S = 20.0
PLAYED_OUT_TIMEOUT_S = 20.0
ARCHIVE_TIMEOUT_S = 120.0
JOBS_TIMEOUT_S = 60.0
# A silent publisher gets its open part closed after 2 s, so the player sees it after a little more.
LAST_FRAMES_S = 6.0
JOIN_EVERY_S = 0.77

T = TypeVar("T")


class Demo:
    """`metrics_urls` are the `/metrics` of the roles that measure stages, by role name.
    `captions`: somebody transcribes what is said."""

    def __init__(
        self, api: Api, metrics_urls: Mapping[str, str], console: Console, *, captions: bool
    ) -> None:
        self._api = api
        self._captions = captions
        self._metrics_urls = metrics_urls
        self._console = console
        self.findings = Findings(FPS, LadderFindings(RENDITIONS), transcribes=captions)

    async def run(self, seconds: float) -> Findings:
        """Everything; problems are in the findings."""
        try:
            with step(self._console, "Scheduling an event"):
                event = await self._api.create_event("Livepath demo", renditions=RENDITIONS)
            await self._broadcast(event, seconds)
            await self._collect(event["id"])
        except DemoError as error:
            self.findings.failures.append(str(error))
        return self.findings

    async def _broadcast(self, event: dict[str, Any], seconds: float) -> None:
        """Publish and watch at the same time; returns when the event has ended and played out."""
        title = f"Sending {seconds:g} s over encrypted SRT, watching it over LL-HLS and WebRTC"
        programme = Programme(WIDTH, HEIGHT, FPS)
        player = Player(event["playback"]["hls_url"])
        over = threading.Event()
        with (
            step(self._console, title) as shown,
            Encoder(event["ingest"]["srt"]["url"], programme) as encoder,
        ):
            async with (
                running(publish(encoder, seconds)) as publishing,
                running(self._watch(event["id"], player)) as watching,
                running(self._watch_ladder(event, over)) as comparing,
                running(self._watch_realtime(event, over)) as realtime,
            ):
                await _show_progress(shown, publishing, encoder, player)
                self.findings.frames_sent = encoder.frames_sent
                await publishing
                await _arrived(player, encoder.frames_sent - 1)
                over.set()
                await realtime
                await self._api.end_event(event["id"])
                await asyncio.to_thread(encoder.stop)
                self.findings.viewing = await self._played_out(watching, "the player")
                await self._played_out(comparing, "the watch over the renditions")

    async def _watch(self, event: str, player: Player) -> Viewing:
        await self._api.wait_for_state(event, {"live"}, LIVE_TIMEOUT_S)
        return await player.watch()

    async def _watch_ladder(self, event: dict[str, Any], over: threading.Event) -> None:
        """Every rendition from start to end, and a player that changes between them."""
        url, found = event["playback"]["hls_url"], self.findings.ladder
        await self._api.wait_for_state(event["id"], {"live"}, LIVE_TIMEOUT_S)
        watch = LadderWatch(url)
        found.renditions = watch.renditions
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(watch.run())
                await watch.until_listed(RENDITIONS)
                group.create_task(self._move(event["playback"]["whep_url"], over))
                found.switching = await SwitchingPlayer(url, FPS).play()
        except* DemoError as failed:
            found.failures += [f"watching renditions broke off: {e}" for e in failed.exceptions]

    async def _move(self, url: str, over: threading.Event) -> None:
        self.findings.ladder.moved = await asyncio.to_thread(moved_down, url, over.is_set)

    async def _watch_realtime(self, event: dict[str, Any], over: threading.Event) -> None:
        """One WHEP viewer from start to end, and short joins beside it; until `over` is set."""
        url = event["playback"]["whep_url"]
        await self._api.wait_for_state(event["id"], {"live"}, LIVE_TIMEOUT_S)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._join_now_and_then(url, over))
                self.findings.realtime = await asyncio.to_thread(WhepViewer(url).watch, over)
        except* DemoError as failed:
            for error in failed.exceptions:
                self.findings.failures.append(f"the WHEP viewer broke off: {error}")
        finally:
            over.set()

    async def _join_now_and_then(self, url: str, over: threading.Event) -> None:
        # At another place in the GOP each time, which lasts a second.
        while not await asyncio.to_thread(over.wait, JOIN_EVERY_S):
            took = await asyncio.to_thread(first_keyframe_ms, url, over.is_set)
            if took is not None:
                self.findings.first_keyframes_ms.append(took)

    async def _played_out(self, watching: "asyncio.Task[T]", who: str) -> T | None:
        try:
            async with asyncio.timeout(PLAYED_OUT_TIMEOUT_S):
                return await watching
        except TimeoutError:
            self.findings.failures.append(
                f"{who} had not reached the end {PLAYED_OUT_TIMEOUT_S:g} s after the event's"
            )
        except DemoError as error:
            self.findings.failures.append(f"{who} broke off: {error}")
        return None

    async def _collect(self, event: str) -> None:
        """What is left behind: the archive, the jobs, the metrics."""
        try:
            with step(self._console, "Waiting for the archive"):
                await self._api.wait_for_state(event, {"archived"}, ARCHIVE_TIMEOUT_S)
                # Archived are playlists; the file of the same is made next.
                asset = await self._api.wait_for_asset(event, "mp4", ARCHIVE_TIMEOUT_S)
            self.findings.seconds_after_end = seconds_between(
                (await self._api.event(event))["ended_at"], asset["created_at"]
            )
            with step(self._console, "Decoding the archive"):
                self.findings.archive = await asyncio.to_thread(_fetch_and_inspect, asset["url"])
            with step(self._console, "Cutting a clip, and looking at what else was made"):
                await self._made(event)
        finally:
            self.findings.ladder.trimmed = trimmed(await self._api.event(event))
            self.findings.jobs = await self._api.jobs_at_rest(event, JOBS_TIMEOUT_S)
            self.findings.stages_ms = await self._stages()

    async def _made(self, event: str) -> None:
        try:
            self.findings.clip = await make_clip(self._api, event, self.findings.frames_sent, FPS)
        except TimeoutError:
            self.findings.failures.append("the clip was not there in time")
        await self._api.jobs_at_rest(event, JOBS_TIMEOUT_S)
        assets = await self._api.assets(event)
        for look in (self._look_at_poster, self._look_at_page, self._read_captions):
            try:
                await look(event, assets)
            except DemoError as error:
                self.findings.failures.append(str(error))

    async def _look_at_poster(self, _event: str, assets: list[dict[str, Any]]) -> None:
        self.findings.poster = await look_at_poster(assets)

    async def _look_at_page(self, event: str, _assets: list[dict[str, Any]]) -> None:
        """What the recording's page shows, which a browser would fetch from the same addresses."""
        recording = await self._api.recording(event)
        found = self.findings.recording = Recording.of(recording)
        url = self.findings.page_url = (await self._api.event(event))["playback"]["vod_url"]
        await self._api.page(url)
        if found.storyboard_url is not None:
            self.findings.storyboard = await look_at_storyboard(found.storyboard_url)

    async def _read_captions(self, event: str, assets: list[dict[str, Any]]) -> None:
        if not self._captions:
            return
        archive = self.findings.archive
        made = next((a["created_at"] for a in assets if a["kind"] == "captions"), None)
        ended = (await self._api.event(event))["ended_at"]
        after = seconds_between(ended, made) if made else 0.0
        duration_ms = archive.duration_ms if archive else 0
        self.findings.captions = await read_captions(assets, duration_ms, after)

    async def _stages(self) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = {}
        async with httpx2.AsyncClient(timeout=10.0, trust_env=False) as client:
            for role, url in self._metrics_urls.items():
                try:
                    found |= stage_quantiles((await client.get(f"{url}/metrics")).text)
                except httpx2.TransportError as error:
                    self.findings.failures.append(f"{role} does not answer: {error}")
        return found


def trimmed(event: dict[str, Any]) -> str | None:
    """What the creator was told of renditions that the machine could not encode, newest first."""
    notices = [n for n in event["ingest"]["recent"] if n["detail"].get("code") == TRIMMED]
    return " ".join(notice["message"] for notice in notices) or None


def seconds_between(earlier: str, later: str) -> float:
    """Between two times of the API."""
    pause = datetime.fromisoformat(later) - datetime.fromisoformat(earlier)
    return round(pause.total_seconds(), 2)


async def publish(encoder: Encoder, seconds: float) -> None:
    """Feed the encoder from a thread of its own, so that its pace depends on nothing else."""
    stop = threading.Event()
    try:
        await asyncio.to_thread(encoder.publish, seconds, stop.is_set)
    finally:
        stop.set()


@contextlib.asynccontextmanager
async def running(work: Coroutine[Any, Any, T]) -> AsyncIterator["asyncio.Task[T]"]:
    """A task that ends with the block at the latest."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        # Whoever needs the result awaits the task inside the block and gets its error there; here
        # it is only taken note of, so that nobody reports it as forgotten.
        if not task.cancelled():
            task.exception()


async def _arrived(player: Player, last: int) -> None:
    """Until the player has the last frame, or everything has had the time it may take.

    A busy encoder may hold its last frames back until more follow, and none do.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_FRAMES_S):
            await player.until_frame(last)


async def _show_progress(
    shown: Step, publishing: "asyncio.Task[None]", encoder: Encoder, player: Player
) -> None:
    while not publishing.done():
        await asyncio.wait([publishing], timeout=0.25)
        shown.update(f"{encoder.frames_sent} frames sent, {player.shown_frames} shown")


def _fetch_and_inspect(url: str) -> Archive:
    with tempfile.TemporaryDirectory(prefix="livepath-demo-") as folder:
        path = Path(folder) / "archive.mp4"
        download(url, path)
        return inspect(path)
