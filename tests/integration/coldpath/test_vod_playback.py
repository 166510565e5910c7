"""VOD playlists played by ffmpeg's HLS client from a bucket that is served as a whole."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from coldpath.media import vod
from coldpath.media.recording import content_id, recording
from infra.keys import ProgramKey, VodKey
from tests.support.session import Session, encode, session

pytestmark = pytest.mark.integration

KEY = ProgramKey("p", "e")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A public bucket."""

    def log_message(self, *_: object) -> None:
        """Requests are no news."""


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield tmp_path, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def published(sessions: list[Session], bucket: Path) -> str:
    """The key of the multivariant playlist over these incarnations, all stored in the bucket."""
    content = content_id([s.manifest.model_dump_json().encode() for s in sessions])
    objects = {key: data for s in sessions for key, data in s.objects.items()}
    for name, text in vod.playlists(recording([s.manifest for s in sessions]), content).items():
        objects[str(VodKey(KEY, content, name))] = text.encode()
    for key, data in objects.items():
        (bucket / key).parent.mkdir(parents=True, exist_ok=True)
        (bucket / key).write_bytes(data)
    return str(VodKey(KEY, content, vod.MULTIVARIANT))


def frames(url: str, kind: str) -> int:
    with av.open(url, "r", timeout=30) as container:
        return sum(1 for _ in container.decode(**{kind: 0}))


def test_a_recording_plays_to_its_last_frame(bucket: tuple[Path, str]) -> None:
    folder, url = bucket
    whole = session(KEY, "i1", *encode(), start_s=50)
    key = published([whole], folder)
    assert frames(f"{url}/{key}", "video") == 100
    assert frames(f"{url}/{key}", "audio") == whole.samples("audio")


def test_a_recording_plays_over_a_restart_with_another_resolution(
    bucket: tuple[Path, str],
) -> None:
    folder, url = bucket
    first = session(KEY, "i1", *encode(), final=False)
    second = session(
        KEY, "i2", *encode(size="160x90"), start_s=60, first_msn=64, discontinuity_seq=1
    )
    key = published([first, second], folder)
    assert frames(f"{url}/{key}", "video") == 200
