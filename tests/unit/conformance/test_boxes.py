"""Times are read out of fMP4 as an independent reader finds them; damage is a `BoxError`."""

import io
from contextlib import suppress
from functools import cache

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.boxes import BoxError, read_fragments, read_init


@cache
def fragmented() -> tuple[bytes, list[bytes]]:
    """The init section and two fragments of a second each, made by libavformat."""
    target = io.BytesIO()
    options = {"movflags": "empty_moov+default_base_moof+frag_keyframe+delay_moov"}
    with av.open(target, "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = {"g": "25", "keyint_min": "25", "sc_threshold": "0", "tune": "zerolatency"}
        for number in range(50):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = number
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    data = target.getvalue()
    starts = [at - 4 for at in range(4, len(data)) if data[at : at + 4] == b"moof"]
    end = data.rfind(b"mfra") - 4
    ends = [*starts[1:], end]
    return data[: starts[0]], [data[a:b] for a, b in zip(starts, ends, strict=True)]


def test_an_init_section_names_its_tracks() -> None:
    (track,) = read_init(fragmented()[0]).tracks
    assert (track.handler, track.entry) == ("vide", "avc1")
    assert track.timescale > 0


def test_a_fragment_says_when_its_samples_are() -> None:
    head, fragments = fragmented()
    init = read_init(head)
    assert len(fragments) == 2
    for number, fragment in enumerate(fragments):
        (run,) = read_fragments(fragment, init)
        assert run.samples == 25
        assert run.start_s == pytest.approx(number)
        assert run.duration_s == pytest.approx(1)
        assert (run.first_sync, run.syncs) == (True, 1)


def test_fragments_together_are_one_run() -> None:
    head, fragments = fragmented()
    (run,) = read_fragments(b"".join(fragments), read_init(head))
    assert (run.samples, run.syncs) == (50, 2)
    assert run.duration_s == pytest.approx(2)


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\0\x08free", b"\0\0\0\x04moov", b"\xff\xff\xff\xffmoof"]
)
def test_what_is_no_mp4_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(BoxError):
        read_init(data)
    with pytest.raises(BoxError):
        read_fragments(data, read_init(fragmented()[0]))


@settings(deadline=None)  # a busy machine is no failure
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(BoxError):
        read_init(data)
    with suppress(BoxError):
        read_fragments(data, read_init(fragmented()[0]))


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(0, 700), st.binary(min_size=1, max_size=4))
def test_damaged_boxes_are_read_or_refused(at: int, put: bytes) -> None:
    head, fragments = fragmented()
    with suppress(BoxError):
        read_init(head[:at] + put + head[at + len(put) :])
    first = fragments[0]
    with suppress(BoxError):
        read_fragments(first[:at] + put + first[at + len(put) :], read_init(head))
