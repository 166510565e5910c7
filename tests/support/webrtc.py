"""A real media process with WHEP and WHIP, and viewers of the stamped programme, for tests.

    with on_air(tmp_path / "data") as node:
        with watching(node.whep_url) as (viewers, viewer):
            ...

Viewers are the benchmarks' light clients: independent of the product's own transport.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.frames import Frame
from benchmarks.peer import GCM
from benchmarks.publisher import Publisher
from benchmarks.signalling import request, whep
from benchmarks.stamped import Recipe, programme
from benchmarks.viewers import Probe, Viewer, Viewers
from infra.auth.streamkeys import whip_token
from infra.events.desired import DesiredEvent
from tests.support.measured import TRIES
from tests.support.medianode import SECRET, MediaProcess, event, key_of, srt_url
from tests.support.network import UdpRelay, through

SMALL = Recipe(size="640x360", kbps=800, seconds=8)
ON_AIR_S = 60.0
"""Patience alone: an encoder may have to share the machine."""
# A frame that left just before the end of a test is still under way, or being repaired.
SETTLE_S = 1.5


@dataclass(frozen=True)
class Node:
    media: MediaProcess
    desired: DesiredEvent

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.media.http_port}"

    @property
    def event_url(self) -> str:
        return f"{self.origin}/live/{key_of(self.desired)}"

    @property
    def whep_url(self) -> str:
        return f"{self.event_url}/whep"

    @property
    def whip_url(self) -> str:
        return f"{self.origin}/whip/{self.desired.id}"

    @property
    def whip_token(self) -> str:
        one = self.desired
        return whip_token(SECRET, one.id, one.kid, one.generation)

    @property
    def webrtc_port(self) -> int:
        return int(self.media.logged("media ready")["webrtc_port"])

    def until_on_air(self, rendition: str = "video") -> None:
        deadline = time.monotonic() + ON_AIR_S
        while request("GET", f"{self.event_url}/{rendition}.m3u8")[0] != 200:
            assert time.monotonic() < deadline, f"not on the air: {self.media.log[-10:]}"
            time.sleep(0.05)


@contextmanager
def media_node(data: Path, **settings: str) -> Iterator[Node]:
    """A media process that waits for a publisher."""
    desired = event()
    media = MediaProcess(data, **({"webrtc_port": "0"} | settings))
    media.want(desired)
    with media:
        media.start()
        yield Node(media, desired)


@contextmanager
def on_air(data: Path, recipe: Recipe = SMALL, **settings: str) -> Iterator[Node]:
    """A media process on which the stamped programme is live, by SRT."""
    path = programme(recipe)
    with (
        media_node(data, **settings) as node,
        Publisher(srt_url(node.media, node.desired), path=path),
    ):
        node.until_on_air()
        yield node


@contextmanager
def watching(
    url: str,
    *,
    capacity: int = 8,
    profiles: bytes = GCM,
    alter: Callable[[str], str] = lambda sdp: sdp,
    repairs: bool = True,
) -> Iterator[tuple[Viewers, Viewer]]:
    """One probe that has its first key frame, and room for more viewers."""
    viewers = Viewers(capacity, profiles=profiles, signalling_threads=2)
    try:
        viewer = join(viewers, url, alter=alter, repairs=repairs)
        until_playing(viewers, viewer)
        yield viewers, viewer
    finally:
        viewers.close()


def join(
    viewers: Viewers,
    url: str,
    *,
    alter: Callable[[str], str] = lambda sdp: sdp,
    repairs: bool = True,
) -> Viewer:
    """A probe that begins now."""
    return viewers.open(
        lambda peer: whep(peer, url, repairs=repairs, alter=alter), probe=Probe(repairs=repairs)
    )


def until_playing(viewers: Viewers, viewer: Viewer, seconds: float = 15.0) -> None:
    probe = viewer.probe
    assert probe is not None
    viewers.run(seconds, lambda: viewer.failure is not None or bool(probe.first_keyframe_ns))
    assert viewer.failure is None, viewer.failure
    assert probe.first_keyframe_ns, f"no key frame within {seconds:g} s: {viewer.peer.times}"


@contextmanager
def behind_relay(node: Node, seed: int) -> Iterator[tuple[UdpRelay, Viewers, Viewer]]:
    """A viewer that plays through a relay which is clean at first."""
    server = ("127.0.0.1", node.webrtc_port)
    with (
        UdpRelay(server, seed=seed) as relay,
        watching(node.whep_url, alter=lambda sdp: through(relay, sdp)) as (viewers, viewer),
    ):
        yield relay, viewers, viewer


def shown_during(viewers: Viewers, viewer: Viewer, seconds: float) -> list[Frame]:
    """The frames that left the publisher in the next `seconds`."""
    begin = time.time_ns()
    viewers.run(seconds + SETTLE_S)
    return frames_between(viewer, begin, begin + round(seconds * 1_000_000_000))


def most_seen(viewers: Viewers, viewer: Viewer, seconds: float, enough: int) -> int:
    """How many frames come in so many seconds; in the best of `TRIES`, if it was not `enough` at
    first: an encoder that this machine holds up sends fewer for a while."""
    assert viewer.probe is not None
    most = 0
    for _ in range(TRIES):
        before = len(viewer.probe.frames)
        viewers.run(seconds)
        most = max(most, len(viewer.probe.frames) - before)
        if most > enough:
            break
    return most


def frames_between(viewer: Viewer, begin_ns: int, end_ns: int) -> list[Frame]:
    """Those that left the publisher in this time, by their stamps."""
    assert viewer.probe is not None
    return [f for f in viewer.probe.frames if begin_ns <= 1000 * (f.stamp_us or 0) < end_ns]


def decodable_share(frames: Sequence[Frame], fps: int = 30) -> float:
    """Of the frames that the publisher sent between the first and the last of these."""
    stamps = sorted(f.stamp_us for f in frames if f.stamp_us)
    expected = round((stamps[-1] - stamps[0]) * fps / 1e6) + 1
    good = {f.stamp_us for f in frames if f.decodable_ns and f.stamp_us}
    return len(good) / expected


def delays_ms(frames: Sequence[Frame]) -> list[float]:
    """From the publisher until each could be shown, if ever."""
    return [
        (f.decodable_ns - 1000 * f.stamp_us) / 1e6 for f in frames if f.decodable_ns and f.stamp_us
    ]


def longest_stall_ms(frames: Sequence[Frame]) -> float:
    """Between two frames that could be shown."""
    shown = sorted(f.decodable_ns for f in frames if f.decodable_ns)
    return max((b - a for a, b in pairwise(shown)), default=0) / 1e6
