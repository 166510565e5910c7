"""A kernel, and one programme's feed into it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

import pytest

from hotpath.fanout.feed import Feed
from hotpath.fanout.kernel import Kernel
from hotpath.fanout.transcode import OnOutput
from hotpath.media.unit import Codec, Format
from tests.support.feeds import KEY, Encoder, Rig


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with Kernel(shards=1) as kernel:
        yield kernel


@pytest.fixture
async def rig(kernel: Kernel) -> AsyncIterator[Rig]:
    tasks: list[asyncio.Task[None]] = []
    encoders: list[Encoder] = []
    asked: list[None] = []

    def spawn(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> "asyncio.Task[None]":
        tasks.append(asyncio.ensure_future(work()))
        return tasks[-1]

    def make_bridge(source: Format, target: Codec, on_output: OnOutput) -> Encoder:
        encoders.append(Encoder(target, on_output))
        return encoders[-1]

    feed = Feed(
        KEY,
        kernel,
        make_bridge,
        spawn,
        request_keyframe=lambda: asked.append(None),
        linger_s=0.01,
    )
    yield Rig(feed, encoders, asked, tasks)
    feed.close()
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
