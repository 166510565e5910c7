"""A whole stack that loses parts of itself while an event is on the air.

The tests share a stack, which each gives back whole. Publishers are real encoders whose frames are
numbered in the picture, so that the archive can be asked for every one of them.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from infra.demo import verify
from infra.demo.encoder import Encoder
from infra.demo.errors import EncoderFailed
from infra.demo.programme import Programme
from tests.e2e.conftest import FPS, SIZE, Studio, studio_of, until
from tests.support.m3u8 import Playlist, parse
from tests.support.postgres import PostgresServer
from tests.support.stack import RunningStack, stack_on_thread

pytestmark = pytest.mark.slow

ATTEMPTS = 20
PARTS_A_SECOND = 5
OUTAGE_PARTS = 10 * PARTS_A_SECOND
LIFE_PARTS = 5 * PARTS_A_SECOND
"""Two segments and more."""


class Publishing:
    """One encoder on a thread of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._encoder = self._new_encoder()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._feed, name="encoder")
        self.failure: BaseException | None = None

    def _new_encoder(self) -> Encoder:
        return Encoder(self._url, Programme(*SIZE, FPS), preset="ultrafast")

    @property
    def frames_sent(self) -> int:
        return self._encoder.frames_sent

    def _feed(self) -> None:
        try:
            for _ in range(ATTEMPTS):
                with self._encoder:
                    try:
                        self._encoder.publish(3600, self._stop.is_set)
                    except EncoderFailed:
                        # Encoders try again when the connection before is not yet gone.
                        if self.frames_sent > FPS:
                            raise
                        self._encoder = self._new_encoder()
                        continue
                return
        except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
            self.failure = error

    def delivered(self) -> int:
        """Frames sent up to now, once a second more was sent: an encoder that is stopped may keep
        the last ones to itself."""
        sent = self.frames_sent
        until("another second is sent", lambda: self.frames_sent >= sent + FPS)
        return sent

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure


@contextmanager
def publishing(event: dict[str, Any], *, cut_off: bool = False) -> Iterator[Publishing]:
    """`cut_off`: the block has the connection ended, and the encoder fails, as encoders do."""
    publisher = Publishing(event["ingest"]["srt"]["url"])
    publisher.start()
    try:
        yield publisher
        if cut_off:
            until("the encoder notices", lambda: publisher.failure is not None)
    finally:
        with suppress(EncoderFailed) if cut_off else nullcontext():
            publisher.stop()


class Viewer:
    """Reads one event's video playlist, as any player does."""

    def __init__(self, event: dict[str, Any]) -> None:
        self._url = event["playback"]["hls_url"].replace("index.m3u8", "video.m3u8")
        self._client = httpx2.Client(trust_env=False, timeout=20.0)

    def __enter__(self) -> "Viewer":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def playlist(self) -> Playlist:
        response = self._client.get(self._url)
        response.raise_for_status()
        return parse(response.text)

    def can_play(self) -> bool:
        try:
            return self._client.get(self._url).status_code == 200
        except httpx2.ConnectError:
            return False  # the media process is being replaced

    def watch(self, parts: int) -> None:
        """Follow the live edge for `parts` parts by blocking reload, and fetch each one.

        A stalled origin fails here: it answers a blocked request with 503 after three target
        durations.
        """
        seen = 0
        edge = self.playlist().open
        msn, part = edge.msn, len(edge.parts)
        while seen < parts:
            response = self._client.get(self._url, params={"_HLS_msn": msn, "_HLS_part": part})
            assert response.status_code == 200, response.text
            playlist = parse(response.text)
            listed = {segment.msn: segment for segment in [*playlist.segments, playlist.open]}
            for tag in listed[msn].parts[part:]:
                media = self._client.get(self._url.replace("video.m3u8", tag.uri))
                assert media.status_code == 200
                seen += 1
            closed = listed[msn].uri is not None
            msn, part = (msn + 1, 0) if closed else (msn, len(listed[msn].parts))


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="module")
def shared(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningStack]:
    data = tmp_path_factory.mktemp("outages") / "data"
    with stack_on_thread(data, database_url=postgres.create_database()) as running:
        yield running


@pytest.fixture
def stack(shared: RunningStack) -> Iterator[RunningStack]:
    """This file's own, as whole before a test as after it."""
    yield shared
    asyncio.run(shared.until_ready())


@pytest.fixture
def studio(stack: RunningStack) -> Iterator[Studio]:
    with studio_of(stack) as studio:
        yield studio


@contextmanager
def paused(stack: RunningStack, *roles: str) -> Iterator[None]:
    """They keep their sockets and answer nothing."""
    for role in roles:
        stack.pause(role)
    try:
        yield
    finally:
        for role in reversed(roles):
            stack.resume(role)


@contextmanager
def down(postgres: PostgresServer) -> Iterator[None]:
    postgres.stop()
    try:
        yield
    finally:
        postgres.start()


def archive_of(studio: Studio, event: dict[str, Any], folder: Path) -> verify.Archive:
    studio.wait_for_state(event, "archived")

    def made() -> list[dict[str, Any]]:
        items = studio.call("GET", f"/v1/events/{event['id']}/assets")["items"]
        return [item for item in items if item["kind"] == "mp4"]

    until("the archive's MP4 is made", made)
    (mp4,) = made()
    verify.download(mp4["url"], folder / "archive.mp4")
    return verify.inspect(folder / "archive.mp4")


def archives_of(studio: Studio, event: dict[str, Any]) -> list[str]:
    """The states of the jobs that archive the event."""
    items = studio.call("GET", f"/v1/jobs?event={event['id']}")["items"]
    return [item["state"] for item in items if item["function"] == "archive"]


def test_publisher_reconnects_and_viewers_watch_with_control_database_and_bus_down(
    stack: RunningStack, postgres: PostgresServer, studio: Studio, tmp_path: Path
) -> None:
    event = studio.schedule(reconnect_window_s=60)
    with Viewer(event) as viewer, ExitStack() as outage:
        with publishing(event):
            studio.wait_for_state(event, "live")
            until("the event can be watched", viewer.can_play)

            outage.enter_context(paused(stack, "control", "valkey-bus"))
            outage.enter_context(down(postgres))
            viewer.watch(OUTAGE_PARTS)
        before = viewer.playlist().open.discontinuity
        with publishing(event) as second:
            until("the edge moves on", lambda: viewer.playlist().open.discontinuity > before)
            viewer.watch(OUTAGE_PARTS)

            outage.close()
            studio.wait_for_state(event, "live")
            sent = second.delivered()
    studio.call("POST", f"/v1/events/{event['id']}/end")

    archive = archive_of(studio, event, tmp_path)
    # Both publishers number from 0: the second one's frames cover the first one's.
    assert archive.missing(sent) == []
    assert archive.duration_ms > 1000 * (sent + OUTAGE_PARTS * 6) / FPS
    assert archive.has_sound
    assert archives_of(studio, event) == ["succeeded"]


@pytest.mark.timeout(0)
def test_an_outage_of_s3_delays_the_recording_and_nothing_else(
    stack: RunningStack, studio: Studio, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    seconds = float(pytestconfig.getoption("--outage-seconds", default=20.0))
    event = studio.schedule()
    with Viewer(event) as viewer, publishing(event, cut_off=True) as publisher:
        studio.wait_for_state(event, "live")
        until("the event can be watched", viewer.can_play)
        with paused(stack, "s3"):
            viewer.watch(round(seconds * PARTS_A_SECOND))
        sent = publisher.delivered()
        # Not afterwards: the archive would hold the slate of the time without a publisher, too.
        studio.call("POST", f"/v1/events/{event['id']}/end")

    archive = archive_of(studio, event, tmp_path)
    assert archive.missing(sent) == []
    assert archive.problems(len(archive.frames), FPS) == []
    assert studio.call("GET", f"/v1/events/{event['id']}")["recording"]["degraded"] is False
    assert archives_of(studio, event) == ["succeeded"]


def test_media_killed_on_the_air_leaves_an_archive_of_every_finished_part(
    stack: RunningStack, studio: Studio, tmp_path: Path
) -> None:
    event = studio.schedule()
    with Viewer(event) as viewer:
        with publishing(event, cut_off=True) as first:
            studio.wait_for_state(event, "live")
            until("the event can be watched", viewer.can_play)
            viewer.watch(LIFE_PARTS)
            first_msn = viewer.playlist().open.msn
            frames_seen = first.frames_sent
            stack.kill("media")
        with publishing(event) as second:
            until("the event can be watched again", viewer.can_play)
            assert viewer.playlist().open.msn > first_msn
            viewer.watch(LIFE_PARTS)
            sent = second.delivered()
    studio.call("POST", f"/v1/events/{event['id']}/end")

    archive = archive_of(studio, event, tmp_path)
    assert archive.missing(sent) == []
    # What the first life had listed is there too, a second of the newest part aside.
    assert archive.duration_ms > 1000 * (sent + frames_seen - 2 * FPS) / FPS
    # One per incarnation: the first one's manifest says that another follows.
    assert set(archives_of(studio, event)) == {"succeeded"}
