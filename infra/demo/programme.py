"""The demo's picture: something that moves, a clock to read, and the barcode clock.

Invariant: `frame(unix_ms, index)` depends on its arguments alone, and its barcode says them.
Upstream: `encoder` asks for a frame right before it writes it, with the wall clock of that moment.

Frames are planar 4:2:0 (yuv420p), the encoder's own format: nothing is converted on the way, and
everything costly (background, glyphs) is drawn once.
"""

import datetime
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from infra.demo import barcode

Plane = NDArray[np.uint8]
Mask = NDArray[np.bool_]

GLYPHS = "0123456789:."
TITLE = "Livepath demo"
BALLS = ((205, 90, 200), (170, 70, 120), (190, 140, 60), (150, 160, 150), (222, 128, 128))
"""Y, Cb and Cr of each ball."""
INK = 228


class Programme:
    """Draws frame after frame of `width` x `height` at `fps`."""

    def __init__(self, width: int, height: int, fps: int) -> None:
        if width % 16 or height % 4:
            raise ValueError(f"{width}x{height}: width must divide by 16 and height by 4")
        self.width, self.height, self.fps = width, height, fps
        self._luma_size = width * height
        self._texture = _texture(width, height)
        self._chroma = _chroma(width, height)
        self._label = _text("frame ", height // 22)
        self._clock = _glyphs(height // 8)
        self._counter = _glyphs(height // 22)
        self._title = _text(f"{TITLE}  ·  {width}x{height}  ·  {fps} fps", height // 26)
        self._discs = [_disc(height // 16 + 12 * n & ~1) for n in range(len(BALLS))]

    @property
    def frame_bytes(self) -> int:
        return self._luma_size * 3 // 2

    def frame(self, unix_ms: int, index: int) -> bytearray:
        """One frame as yuv420p, stamped with the given clock and number."""
        data = bytearray(self.frame_bytes)
        pixels = np.frombuffer(data, dtype=np.uint8)
        luma = pixels[: self._luma_size].reshape(self.height, self.width)
        # The background drifts by two pixels a frame: a slice of a texture one period wider.
        shift = index * 2 % self.width
        luma[:] = self._texture[:, shift : shift + self.width]
        chroma = pixels[self._luma_size :].reshape(2, self.height // 2, self.width // 2)
        chroma[:] = self._chroma
        self._draw_balls(luma, chroma, index)
        self._draw_text(luma, unix_ms, index)
        barcode.draw(luma, barcode.Stamp(unix_ms, index))
        return data

    def _draw_balls(self, luma: Plane, chroma: Plane, index: int) -> None:
        seconds = index / self.fps
        for number, (disc, colour) in enumerate(zip(self._discs, BALLS, strict=True)):
            size = disc.shape[0]
            phase = seconds * (0.5 + 0.13 * number) + number * 1.3
            reach = (self.width - size) / 2
            # Even positions, where the chroma samples lie.
            left = int(reach + reach * math.sin(phase)) & ~1
            bounce = abs(math.sin(phase * 2.1))
            top = int(self.height * 0.96 - size - bounce * self.height * 0.3) & ~1
            np.copyto(luma[top : top + size, left : left + size], colour[0], where=disc)
            for plane, level in zip(chroma, colour[1:], strict=True):
                area = plane[top // 2 : (top + size) // 2, left // 2 : (left + size) // 2]
                np.copyto(area, level, where=disc[::2, ::2])

    def _draw_text(self, luma: Plane, unix_ms: int, index: int) -> None:
        moment = datetime.datetime.fromtimestamp(unix_ms // 1000, datetime.UTC)
        clock = f"{moment:%H:%M:%S}.{unix_ms % 1000:03d}"
        # Below the corner where players show their badges.
        top = barcode.strip_height(self.height) + self.height // 6
        self._centre(luma, [self._title], top)
        self._centre(luma, [self._clock[c] for c in clock], top + self.height // 14)
        counter = [self._label, *(self._counter[c] for c in str(index))]
        self._centre(luma, counter, top + self.height // 4)

    def _centre(self, luma: Plane, masks: list[Mask], top: int) -> None:
        left = (self.width - sum(mask.shape[1] for mask in masks)) // 2
        for mask in masks:
            height, width = mask.shape
            np.copyto(luma[top : top + height, left : left + width], INK, where=mask)
            left += width


def _texture(width: int, height: int) -> Plane:
    """Soft diagonal waves, periodic in x so that it can scroll for ever."""
    x = np.arange(2 * width)[None, :] * (2 * math.pi / width)
    y = np.arange(height)[:, None] * (2 * math.pi / height)
    waves = np.sin(2 * x + y) + 0.5 * np.sin(5 * x - 2 * y) + 0.4 * np.sin(9 * x + 3 * y)
    return np.clip(70 + 17 * waves, 16, 235).astype(np.uint8)


def _chroma(width: int, height: int) -> Plane:
    """Both chroma planes: deep blue over teal to violet, grey below the barcode."""
    rows, columns = height // 2, width // 2
    x = np.linspace(0, 1, columns)[None, :]
    y = np.linspace(0, 1, rows)[:, None]
    blue = 158 - 22 * x + 10 * y
    red = 104 + 44 * x + 6 * y
    strip = barcode.strip_height(height) // 2
    blue[:strip] = red[:strip] = 128
    return np.stack([blue, red]).astype(np.uint8)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _text(text: str, size: int) -> Mask:
    font = _font(size)
    size_needed = (math.ceil(font.getlength(text)), math.ceil(size * 1.3))
    image = Image.new("L", size_needed)
    ImageDraw.Draw(image).text((0, 0), text, font=font, fill=255)
    return np.asarray(image) > 110


def _glyphs(size: int) -> dict[str, Mask]:
    """Every character of the clock in a cell of one width, so that digits do not dance."""
    font = _font(size)
    wide = math.ceil(max(font.getlength(digit) for digit in "0123456789"))
    glyphs = {}
    for character in GLYPHS:
        width = wide if character.isdigit() else math.ceil(font.getlength(character))
        image = Image.new("L", (width, math.ceil(size * 1.3)))
        offset = (width - font.getlength(character)) / 2
        ImageDraw.Draw(image).text((offset, 0), character, font=font, fill=255)
        glyphs[character] = np.asarray(image) > 110
    return glyphs


def _disc(size: int) -> Mask:
    axis = np.arange(size) - (size - 1) / 2
    return np.asarray(axis[:, None] ** 2 + axis[None, :] ** 2 <= (size / 2) ** 2)
