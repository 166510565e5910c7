"""A real client over loopback: join, decode, reports, and the end."""

import pytest

from tests.support.fanout import Plane, until, watching

pytestmark = pytest.mark.integration


async def test_a_viewer_sees_and_hears_the_programme(plane: Plane) -> None:
    plane.play()
    async with watching(plane) as viewer:
        video = await viewer.frames("video", 30)
        audio = await viewer.frames("audio", 20)
    assert (video[0].width, video[0].height) == (320, 180)
    assert len({bytes(frame.planes[0]) for frame in video}) > 20
    assert audio[0].sample_rate == 48_000
    await until(lambda: not plane.service.sessions)
    assert plane.service.joins == {"playing": 1}
