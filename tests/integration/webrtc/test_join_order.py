"""What a viewer who joins in the middle of a long group of pictures is sent first, by the stamps
that the publisher put into its frames: no clock decides.
"""

import time
from collections.abc import Iterator

import pytest

from benchmarks.frames import Frame
from benchmarks.stamped import Recipe
from benchmarks.viewers import Viewer, Viewers
from tests.support.webrtc import Node, join, on_air, watching

pytestmark = [pytest.mark.integration, pytest.mark.alone]

GOP = Recipe(size="640x360", kbps=800, gop=240, seconds=8)
"""A keyframe every 8 s."""
MIDDLE = range(30, 120)
"""Frames since the keyframe: whoever joins now is there four seconds before the next one."""
JOINS = 4
CAUGHT_UP_S = 15.0
"""For a joiner that waits for the next keyframe as well: it is to fail by what it was sent."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with on_air(tmp_path_factory.mktemp("node") / "data", GOP) as running:
        yield running


def seen(viewer: Viewer) -> list[Frame]:
    assert viewer.probe is not None
    assert viewer.failure is None, viewer.failure
    return viewer.probe.frames


def since_keyframe(viewer: Viewer) -> list[Frame]:
    """The newest keyframe and what came after it."""
    frames = seen(viewer)
    newest = max(number for number, frame in enumerate(frames) if frame.keyframe)
    return frames[newest:]


def until_the_middle(viewers: Viewers, steady: Viewer) -> int:
    """Wait for the middle of a group; the stamp of the keyframe that began it."""
    assert viewers.run(CAUGHT_UP_S, lambda: len(since_keyframe(steady)) in MIDDLE)
    stamp = since_keyframe(steady)[0].stamp_us
    assert stamp is not None
    return stamp


def test_a_joiner_is_sent_the_keyframe_before_its_join_and_all_frames_since(node: Node) -> None:
    with watching(node.whep_url, repairs=False) as (viewers, steady):
        for _ in range(JOINS):
            keyframe = until_the_middle(viewers, steady)
            joined = time.time_ns() // 1000
            joiner = join(viewers, node.whep_url, repairs=False)  # it asks for nothing

            def caught_up(joiner: Viewer = joiner, joined: int = joined) -> bool:
                return any((frame.stamp_us or 0) > joined for frame in seen(joiner))

            assert viewers.run(CAUGHT_UP_S, caught_up), "it was sent no frame of after its join"
            first = next(frame for frame in seen(joiner) if frame.keyframe)
            assert first.stamp_us == keyframe < joined
            # From there on it has what the steady viewer had, with nothing before and no gap.
            stamps = [frame.stamp_us for frame in seen(joiner)]
            had = [frame.stamp_us for frame in since_keyframe(steady)]
            both = min(len(stamps), len(had))
            assert stamps[:both] == had[:both]
            viewers.leave(joiner)
