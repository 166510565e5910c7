"""What is made of the event beside its archive, fetched and decoded: an exact clip and a poster.

Invariant: a clip is whole when its pictures are exactly those that were asked for, by the numbers
in their barcodes. Upstream: `run`, after the archive is there. Downstream: `report`.
"""

import asyncio
import io
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import numpy as np
from PIL import Image

from infra.demo.api import Api
from infra.demo.errors import DemoError
from infra.demo.verify import download, inspect

CLIP_S = 3
POLL_S = 0.1
CLIP_TIMEOUT_S = 60.0
OVER = ("succeeded", "dead", "cancelled")
BLACK = 16
"""Mean of a picture's luma, of 255, at and below which it shows nothing."""


@dataclass(frozen=True, slots=True)
class Clip:
    """An exact clip, as decoded."""

    wanted: range
    """Numbers of the frames that were asked for."""
    frames: frozenset[int]
    copied: int
    encoded: int
    seconds_to_ready: float
    """From the request until it was listed."""

    def problems(self) -> list[str]:
        if self.frames == frozenset(self.wanted):
            return []
        missing = len(set(self.wanted) - self.frames)
        return [
            f"the clip holds {len(self.frames)} pictures instead of {len(self.wanted)}: "
            f"{missing} are missing, {len(self.frames - set(self.wanted))} do not belong there"
        ]


@dataclass(frozen=True, slots=True)
class Poster:
    """The event's poster, as decoded."""

    width: int
    height: int
    brightness: float
    """Mean luma, of 255."""

    def problems(self) -> list[str]:
        return [] if self.brightness > BLACK else ["the poster is black"]


def clip_of(frames: int, fps: int) -> range:
    """Which pictures the demo's clip holds: three seconds that begin between two keyframes, or
    what a shorter recording has in its middle."""
    count = min(CLIP_S * fps, frames // 2)
    first = max(0, min(frames // 4 // fps * fps + fps // 3, frames - count))
    return range(first, first + count)


async def make_clip(api: Api, event: str, frames: int, fps: int) -> Clip:
    """Asks for a clip of the recording, waits for it, and decodes it."""
    wanted, began = clip_of(frames, fps), time.monotonic()
    clip = await api.request_clip(event, wanted.start / fps, wanted.stop / fps)
    async with asyncio.timeout(CLIP_TIMEOUT_S):
        while clip["state"] not in OVER:
            await asyncio.sleep(POLL_S)
            clip = await api.clip(event, clip["id"])
    took = time.monotonic() - began
    if clip["asset"] is None:
        raise DemoError(f"the clip is {clip['state']}: {clip['error']}")
    detail: dict[str, Any] = clip["asset"]["detail"]
    found = await asyncio.to_thread(_decoded, clip["asset"]["url"])
    return Clip(wanted, found, detail["copied"], detail["encoded"], round(took, 2))


def _decoded(url: str) -> frozenset[int]:
    with TemporaryDirectory(prefix="livepath-demo-") as folder:
        path = Path(folder) / "clip.mp4"
        download(url, path)
        return inspect(path).frames


async def look_at_poster(assets: list[dict[str, Any]]) -> Poster:
    """The poster among the event's assets."""
    for asset in assets:
        if asset["kind"] == "poster":
            async with httpx2.AsyncClient(timeout=30.0, trust_env=False) as client:
                body = (await client.get(asset["url"])).content
            with Image.open(io.BytesIO(body)) as picture:
                luma = np.asarray(picture.convert("L"))
            return Poster(picture.width, picture.height, round(float(luma.mean()), 1))
    raise DemoError("the event lists no poster among its assets")
