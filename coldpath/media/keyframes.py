"""Decodes the key picture at the start of segments, and nothing else of them.

Invariant: at most `AHEAD` segments are in memory, however many are asked for; pictures come in the
order of their shots. What does not decode is None and a line in the log: one broken segment takes
no poster or storyboard away.

Upstream: `shots` and the object store. Downstream: `poster`, `sprite` and `preview`.
"""

import io
import logging
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias, cast

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation

from coldpath.errors import DamagedMedia
from coldpath.media.first_unit import first_unit
from coldpath.media.shots import Shot
from infra.storage.objects import ObjectStore

log = logging.getLogger(__name__)

AHEAD = 4
_READERS = 2
_HD_LINES = 720
_UNSPECIFIED = 2
"""ISO/IEC 23091-2: the stream does not say which matrix its colours have."""

Picture: TypeAlias = npt.NDArray[np.uint8]
"""Lines, columns, red-green-blue."""


@dataclass(frozen=True, slots=True)
class Coding:
    """What a decoder has to know beforehand."""

    codec: str
    extradata: bytes
    side: int
    """The longer one, in pixels."""


def coding(init: bytes, name: str) -> Coding:
    """Raises `DamagedMedia`, naming the object, for what is no init section of a picture."""
    try:
        with av.open(io.BytesIO(init), format="mp4") as container:
            context = cast(InputContainer, container).streams.video[0].codec_context
            side = max(context.width, context.height)
            return Coding(context.name, context.extradata or b"", side)
    except (FFmpegError, IndexError) as error:
        raise DamagedMedia(f"{name} is no init section of a picture: {error}") from error


def key_picture(coded: Coding, segment: bytes, name: str, longest: int) -> Picture:
    """The segment's first picture, neither side longer than `longest`.

    Raises `DamagedMedia`, naming the segment, when it does not decode.
    """
    unit = first_unit(segment, name)
    try:
        frame, aspect = _decode(coded, unit, rough=longest * 2 <= coded.side)
    except FFmpegError as error:
        raise DamagedMedia(f"{name}: its first picture does not decode: {error}") from error
    if frame is None or frame.is_corrupt:
        raise DamagedMedia(f"{name} does not begin with a picture that can be decoded alone")
    width, height = fitted(frame.width * aspect, Fraction(frame.height), longest)
    # Players take BT.709 for HD that does not say what it is; swscale would take BT.601.
    unsaid = frame.colorspace == _UNSPECIFIED and frame.height >= _HD_LINES
    matrix = Colorspace.ITU709 if unsaid else None
    scaled = frame.reformat(
        width, height, "rgb24", src_colorspace=matrix, interpolation=Interpolation.AREA
    )
    return np.asarray(scaled.to_ndarray(), dtype=np.uint8)


def fitted(width: Fraction, height: Fraction, longest: int) -> tuple[int, int]:
    """The size in whole pixels, smaller if it has to be, never larger."""
    scale = min(Fraction(1), longest / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def pictures(
    store: ObjectStore, shots: Iterable[Shot], longest: int
) -> Generator[tuple[Shot, Picture | None], None, None]:
    """The shots with their pictures. Errors of the store are raised."""
    wanted = list(shots)
    codings = _codings(store, wanted)
    waiting = iter(wanted)
    ahead: deque[tuple[Shot, Future[Picture | None]]] = deque()
    with ThreadPoolExecutor(_READERS, thread_name_prefix="pictures") as pool:
        try:
            while True:
                while len(ahead) < AHEAD and (shot := next(waiting, None)) is not None:
                    ahead.append((shot, pool.submit(_picture, store, codings, shot, longest)))
                if not ahead:
                    return
                shot, picture = ahead.popleft()
                yield shot, picture.result()
        finally:
            for _, future in ahead:
                future.cancel()


def decoded(
    store: ObjectStore, shots: Iterable[Shot], longest: int
) -> Generator[tuple[Shot, Picture], None, None]:
    """Those of `pictures` that there are."""
    with closing(pictures(store, shots, longest)) as found:
        for shot, picture in found:
            if picture is not None:
                yield shot, picture


def _codings(store: ObjectStore, shots: Sequence[Shot]) -> Mapping[str, Coding]:
    keys = dict.fromkeys(shot.segment.init_key for shot in shots)
    return {key: coding(store.get(key), key) for key in keys}


def _picture(
    store: ObjectStore, codings: Mapping[str, Coding], shot: Shot, longest: int
) -> Picture | None:
    key = shot.segment.key
    try:
        return key_picture(codings[shot.segment.init_key], store.get(key), key, longest)
    except DamagedMedia as error:
        log.warning("left out: %s", error)
        return None


def _decode(coded: Coding, unit: bytes, *, rough: bool) -> tuple[VideoFrame | None, Fraction]:
    """The picture and the shape of its pixels. `rough`: the edges of blocks stay; in a picture that
    is made much smaller nobody sees them, and a tenth of the work is saved."""
    decoder = cast(VideoCodecContext, av.CodecContext.create(coded.codec, "r"))
    decoder.extradata = coded.extradata
    decoder.thread_type = "SLICE"
    decoder.thread_count = 1
    if rough:
        decoder.options = {"skip_loop_filter": "all"}
    frames = [*decoder.decode(Packet(unit)), *decoder.decode(None)]
    return next(iter(frames), None), decoder.sample_aspect_ratio or Fraction(1)
