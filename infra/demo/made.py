"""What is made of the event beside its archive, fetched and decoded: an exact clip, a poster and
the pictures of the scrub bar.

Invariant: a clip is whole when its pictures are exactly those that were asked for, by the numbers
in their barcodes. Upstream: `run`, after the archive is there. Downstream: `report`.
"""

import asyncio
import io
import re
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urljoin

import httpx2
import numpy as np
from PIL import Image, UnidentifiedImageError

from infra.demo.api import Api
from infra.demo.errors import DemoError
from infra.demo.verify import download, inspect

CLIP_S = 3
POLL_S = 0.1
CLIP_TIMEOUT_S = 60.0
OVER = ("succeeded", "dead", "cancelled")
_CUE = re.compile(r"(\S+) --> (\S+)\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)")
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


@dataclass(frozen=True, slots=True)
class Recording:
    """What the recording's page is told to show."""

    status: str
    hls_url: str | None
    poster_url: str | None
    storyboard_url: str | None
    captions: tuple[str, ...]
    """Their languages."""
    downloads: int

    @classmethod
    def of(cls, told: dict[str, Any]) -> "Recording":
        """Out of the API's answer."""
        return cls(
            told["status"],
            told["hls_url"],
            told["poster_url"],
            told["storyboard_url"],
            tuple(told["captions"]),
            len(told["downloads"]),
        )

    def problems(self, *, captions: bool) -> list[str]:
        shown: dict[str, object] = {
            "film": self.hls_url,
            "poster": self.poster_url,
            "storyboard": self.storyboard_url,
            "download": self.downloads,
        }
        if captions:
            shown["captions"] = self.captions
        found = [f"the recording's page has no {what}" for what, one in shown.items() if not one]
        if self.status != "ready":
            found.append(f"the recording's page says that it is {self.status}")
        return found


@dataclass(frozen=True, slots=True)
class Storyboard:
    """The pictures of the scrub bar, as decoded."""

    pictures: int
    seconds: float
    """How long they stand for, one after the other."""
    dark: int
    """Pictures that show nothing."""

    def problems(self) -> list[str]:
        if not self.pictures:
            return ["the storyboard has no pictures"]
        return [f"{self.dark} pictures of the storyboard are black"] if self.dark else []


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


async def look_at_storyboard(url: str) -> Storyboard:
    """Every picture that the WebVTT at `url` names. Raises `DemoError` for what is none."""
    async with httpx2.AsyncClient(timeout=30.0, trust_env=False) as client:
        text = (await client.get(url)).text
        names = {cue[2] for cue in _CUE.findall(text)}
        sheets = {name: (await client.get(urljoin(url, name))).content for name in names}
    return await asyncio.to_thread(read_storyboard, text, sheets)


def read_storyboard(text: str, sheets: dict[str, bytes]) -> Storyboard:
    """The pictures that the WebVTT names, cut out of their sheets."""
    cues = _CUE.findall(text)
    if not text.startswith("WEBVTT") or not cues:
        raise DemoError(f"this is no storyboard: {text[:80]!r}")
    pictures = {name: _luma(name, data) for name, data in sheets.items()}
    dark = 0
    for _, _, name, *place in cues:
        left, top, width, height = map(int, place)
        luma = pictures[name][top : top + height, left : left + width]
        if luma.shape != (height, width):
            raise DemoError(f"{name} has no picture at {','.join(place)}")
        dark += float(luma.mean()) <= BLACK
    return Storyboard(len(cues), _seconds(cues[-1][1]) - _seconds(cues[0][0]), dark)


def _luma(name: str, data: bytes) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("L"))
    except UnidentifiedImageError:
        raise DemoError(f"{name} is no picture") from None


def _seconds(clock: str) -> float:
    hours, minutes, seconds = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


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
