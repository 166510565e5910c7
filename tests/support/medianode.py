"""The media process under test: started for real, with a desired state on disk and nothing else.

No control and no database run; the bus URL points at a port where nothing listens unless a test
brings one.
"""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from infra.auth.streamkeys import srt_passphrase, stream_key
from infra.events.desired import DesiredEvent, DesiredProject
from infra.events.desired_state import DesiredSnapshot
from infra.keys import ProgramKey
from infra.manifest import SessionManifest
from infra.publishers import Role
from tests.support.m3u8 import Playlist, SegmentTag, parse
from tests.support.media import ffmpeg
from tests.support.plain_http import NO_TLS

SECRET = b"a project secret of a test, long enough"
PROJECT = DesiredProject(id="acme", secrets={"k1": base64.b64encode(SECRET).decode()}, revision=1)
PATIENCE_S = 30.0


def event(name: str = "ev_one", **changes: Any) -> DesiredEvent:
    given: dict[str, Any] = {
        "id": name,
        "project": PROJECT.id,
        "revision": 1,
        "open": True,
        "access": "public",
        "kid": "k1",
        "generation": 1,
        "takeover": False,
        "reconnect_window_s": 20,
        "target_duration_s": 2,
    }
    return DesiredEvent(**{**given, **changes})


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MediaProcess:
    """`python -m hotpath` on a data folder; it keeps its ports over restarts."""

    def __init__(self, data: Path, *, bus_url: str = "", **settings: str) -> None:
        self.data = data
        self.bus_url = bus_url or "redis://127.0.0.1:1/0"
        self.settings = settings
        self.http_port = 0
        self.srt_port = free_udp_port()
        self.webrtc_port = 0
        self.log: list[dict[str, Any]] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._changed = threading.Condition()

    def want(self, *events: DesiredEvent, project: DesiredProject = PROJECT) -> None:
        """Put a desired state on disk, as if an earlier life had read it from the bus."""
        snapshot = DesiredSnapshot(
            epoch="test", projects={project.id: project}, events={each.id: each for each in events}
        )
        path = self.data / "media" / "desired.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(snapshot.model_dump_json())

    def start(self) -> Self:
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("LIVEPATH_")},
            "LIVEPATH_DATA_DIR": str(self.data),
            "LIVEPATH_MEDIA_PORT": str(self.http_port),
            "LIVEPATH_SRT_PORT": str(self.srt_port),
            "LIVEPATH_WEBRTC_PORT": str(self.webrtc_port),
            "LIVEPATH_BUS_URL": self.bus_url,
            "LIVEPATH_LOG_FORMAT": "json",
            **{f"LIVEPATH_{name.upper()}": value for name, value in self.settings.items()},
        }
        self.log = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hotpath"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        ready = self.logged("media ready")
        self.http_port = int(ready["http_port"])
        self.webrtc_port = int(ready["webrtc_port"])
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None, "the media process does not run"
        return self._process.pid

    def kill(self) -> None:
        """As the kernel would: no chance to do anything."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """SIGTERM; the exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        status = process.wait(timeout=10)
        if self._reader is not None:
            self._reader.join()
        assert process.stderr is not None
        process.stderr.close()
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        for line in process.stderr:
            try:
                record = json.loads(line)
            except ValueError:
                record = {"event": line.rstrip(), "level": "raw"}
            with self._changed:
                self.log.append(record)
                self._changed.notify_all()

    # -- what happened -----------------------------------------------------------------------

    def logged(self, name: str, *, count: int = 1, **fields: Any) -> dict[str, Any]:
        """The `count`th log record with that event and those fields; waits for it."""

        def found() -> list[dict[str, Any]]:
            return [
                record
                for record in self.log
                if record.get("event") == name
                and all(record.get(key) == value for key, value in fields.items())
            ]

        with self._changed:
            if not self._changed.wait_for(lambda: len(found()) >= count, PATIENCE_S):
                tail = "\n".join(json.dumps(record) for record in self.log[-30:])
                raise AssertionError(f"{name} {fields} was not logged {count} times:\n{tail}")
            return found()[count - 1]

    def troubles(self) -> list[dict[str, Any]]:
        """Errors in the log."""
        return [r for r in self.log if r.get("level") in ("error", "critical", "raw")]

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(f"http://127.0.0.1:{self.http_port}{path}", timeout=10, verify=NO_TLS)

    def playlist(self, key: ProgramKey, rendition: str = "video") -> Playlist | None:
        answer = self.get(f"/live/{key}/{rendition}.m3u8")
        return parse(answer.text) if answer.status_code == 200 else None

    def until(
        self, key: ProgramKey, what: Callable[[Playlist], bool], rendition: str = "video"
    ) -> Playlist:
        """The first playlist that satisfies `what`."""
        deadline = time.monotonic() + PATIENCE_S
        playlist = None
        while time.monotonic() < deadline:
            playlist = self.playlist(key, rendition)
            if playlist is not None and what(playlist):
                return playlist
            time.sleep(0.05)
        raise AssertionError(f"no playlist of {key} became as wanted; the last: {playlist}")

    def media(self, key: ProgramKey, segments: Sequence[SegmentTag]) -> bytes:
        """The segments' bytes behind their init section."""
        assert segments[0].map is not None
        names = [segments[0].map, *(str(segment.uri) for segment in segments)]
        return b"".join(self.file(key, name) for name in names)

    def file(self, key: ProgramKey, name: str) -> bytes:
        answer = self.get(name if name.startswith("/") else f"/live/{key}/{name}")
        assert answer.status_code == 200, (name, answer.status_code)
        return answer.content

    # -- what lies on disk -------------------------------------------------------------------

    def spool(self, key: ProgramKey, incarnation: str) -> Path:
        return self.data / "spool" / "live" / str(key) / incarnation

    def manifest(self, key: ProgramKey, incarnation: str) -> SessionManifest:
        """The session's manifest; waits until it is written."""
        path = self.spool(key, incarnation) / "manifest.json"
        deadline = time.monotonic() + PATIENCE_S
        while not path.exists():
            assert time.monotonic() < deadline, f"{path} was not written"
            time.sleep(0.02)
        return SessionManifest.model_validate_json(path.read_text())

    def until_closed(self, key: ProgramKey) -> None:
        """Return once the programme is durably over."""
        deadline = time.monotonic() + PATIENCE_S
        while self.checkpoint(key)["open"]:
            assert time.monotonic() < deadline, f"{key} was not closed"
            time.sleep(0.02)

    def checkpoint(self, key: ProgramKey) -> dict[str, Any]:
        name = f"{key.project}.{key.event}.{key.feed}.json"
        found = json.loads((self.data / "media" / "programs" / name).read_text())
        assert isinstance(found, dict)
        return found


def key_of(desired: DesiredEvent) -> ProgramKey:
    return ProgramKey(desired.project, desired.id, desired.feed)


def srt_url(media: MediaProcess, desired: DesiredEvent, role: Role = Role.PRIMARY) -> str:
    arguments = (SECRET, desired.id, desired.kid, desired.generation)
    return (
        f"srt://127.0.0.1:{media.srt_port}?streamid={desired.id}/{stream_key(*arguments)}/{role}"
        f"&passphrase={srt_passphrase(*arguments)}&latency=120000&mode=caller&pkt_size=1316"
    )


class RawPublisher:
    """Sends transport stream bytes over encrypted SRT just as they are, paced by the test."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [
                *(ffmpeg(), "-v", "error", "-fflags", "nobuffer", "-probesize", "32"),
                *("-f", "data", "-raw_packet_size", "1316", "-i", "pipe:0"),
                *("-map", "0:0", "-c", "copy", "-flush_packets", "1", "-f", "data", url),
            ],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def send(self, stream: bytes, seconds: float) -> None:
        """The stream in real time, of which it holds `seconds`."""
        assert self._process.stdin is not None
        started, step = time.monotonic(), 1316
        for at in range(0, len(stream), step):
            due = started + seconds * at / len(stream)
            if (early := due - time.monotonic()) > 0:
                time.sleep(early)
            self._process.stdin.write(stream[at : at + step])
            self._process.stdin.flush()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        with suppress(BrokenPipeError):
            self.close()


@contextmanager
def encoding(
    url: str, *, size: str = "320x180", gop: int = 30, goodbye: bool = False
) -> Iterator[None]:
    """An encoder at work: moving picture and tone, live. `goodbye`: it says when it leaves."""
    process = subprocess.Popen(
        [
            *(ffmpeg(), "-v", "error", "-re", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=30"),
            *("-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency"),
            *("-pix_fmt", "yuv420p", "-g", str(gop), "-b:v", "600k", "-c:a", "aac", "-ac", "2"),
            *("-f", "mpegts", url),
        ],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        if goodbye:
            process.terminate()
        else:
            process.kill()
        process.wait()
