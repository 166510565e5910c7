"""This server, for a benchmark: a real media process on free ports, published to over SRT.

No control plane runs: the desired state lies on disk, as after an outage of everything else.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.signalling import request
from benchmarks.stamped import Publisher, Recipe, programme
from tests.support.medianode import MediaProcess, event, key_of, srt_url

ON_AIR_S = 30.0
# The benchmark asks for more viewers at once, and all from one address, than a node lets in.
UNLIMITED = {"max_viewers": "20000", "max_viewers_per_ip": "0", "joins_per_s": "10000"}


@dataclass(frozen=True)
class Livepath:
    media: MediaProcess
    whep_url: str
    publisher: Publisher

    @property
    def pid(self) -> int:
        return self.media.pid


@contextmanager
def on_cores(cores: Sequence[int]) -> Iterator[None]:
    """What is started in the block inherits these cores."""
    before = os.sched_getaffinity(0)
    if cores:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def livepath_server(
    *, recipe: Recipe | None = None, cores: Sequence[int] = (), **settings: str
) -> Iterator[Livepath]:
    path, desired = programme(recipe or Recipe()), event()
    with tempfile.TemporaryDirectory(prefix="livepath-") as folder:
        media = MediaProcess(Path(folder), webrtc_port="0", **(UNLIMITED | settings))
        media.want(desired)
        with on_cores(cores):
            media.start()
        with media, Publisher(srt_url(media, desired), path) as publisher:
            url = f"http://127.0.0.1:{media.http_port}/live/{key_of(desired)}"
            _until_on_air(f"{url}/video.m3u8", media)
            yield Livepath(media, f"{url}/whep", publisher)


def _until_on_air(playlist: str, media: MediaProcess) -> None:
    deadline = time.monotonic() + ON_AIR_S
    while request("GET", playlist)[0] != 200:
        if time.monotonic() > deadline:
            raise RuntimeError(f"nothing is on the air at {playlist}: {media.log[-5:]}")
        time.sleep(0.1)
