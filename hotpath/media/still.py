"""A keyframe as pictures that may follow one another for as long as one likes.

Pure. Invariant: what is returned decodes to the keyframe's picture, starts decoding anew, and may
be repeated in its order without end. What belongs to a moment (captions, timing) and filler go.

H.264: two IDR pictures that differ in `idr_pic_id` (`h264_idr`), or the picture as it is where its
slices cannot be rewritten. HEVC: an IDR picture needs no more; a CRA picture becomes two BLA
pictures that differ in their place in the order of output (`hevc_bla`).

Downstream: `hotpath.program.slate`.
"""

from hotpath.media.annexb import START
from hotpath.media.h264 import IDR, PPS, SLICE, SPS
from hotpath.media.h264_idr import Idr, nals
from hotpath.media.hevc_bla import CRA, Bla
from hotpath.media.unit import Codec, Format

_IDR_PIC_IDS = (2, 3)
"""Encoders begin with 0 or 1."""
_HEVC_SETS = frozenset({32, 33, 34})
_HEVC_IDR = frozenset({19, 20})


def stills(format: Format, data: bytes) -> tuple[bytes, ...]:
    """Annex B access units, to be repeated in turn; none where the picture cannot be repeated."""
    if format.codec is Codec.H264:
        return _h264(format, data)
    if format.codec is Codec.HEVC:
        return _hevc(format, data)
    return ()


def _h264(format: Format, data: bytes) -> tuple[bytes, ...]:
    kept = [nal for nal in nals(data) if nal[0] & 31 in (SLICE, IDR, SPS, PPS)]
    if not any(nal[0] & 31 in (SLICE, IDR) for nal in kept):
        return ()
    try:
        idr = Idr(format.config)
        return tuple(
            _joined(
                [nal if nal[0] & 31 in (SPS, PPS) else idr.rewrite(nal, number) for nal in kept]
            )
            for number in _IDR_PIC_IDS
        )
    except ValueError:
        # Decoders that go by timestamps show it all the same.
        return (_joined(kept),) if any(nal[0] & 31 == IDR for nal in kept) else ()


def _hevc(format: Format, data: bytes) -> tuple[bytes, ...]:
    kept = [nal for nal in nals(data) if _kind(nal) in _HEVC_SETS | _HEVC_IDR | {CRA}]
    if any(_kind(nal) in _HEVC_IDR for nal in kept):
        return (_joined(kept),)
    if not any(_kind(nal) == CRA for nal in kept):
        return ()
    try:
        bla = Bla([*nals(format.config)])
        return tuple(
            _joined([bla.rewrite(nal, far=far) if _kind(nal) == CRA else nal for nal in kept])
            for far in (False, True)
        )
    except ValueError:
        return ()


def _kind(nal: bytes) -> int:
    return nal[0] >> 1 & 63


def _joined(kept: list[bytes]) -> bytes:
    return b"".join(START + nal for nal in kept)
