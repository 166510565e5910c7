"""ISO/IEC 14496-3 §1.A.3.2: ADTS."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hotpath.media.aac import AacFrame, AdtsSplitter, parse_header
from tests.support.ts import adts

FRAMES = [bytes([n]) * (50 + n) for n in range(1, 8)]


def bodies(frames: list[AacFrame]) -> list[bytes]:
    return [f.data for f in frames]


def test_the_header_becomes_an_audio_specific_config() -> None:
    header = parse_header(adts([b"x" * 10], rate_index=4, channels=1))
    assert header is not None
    config = header.config
    assert (config.sample_rate, config.channels, config.codecs) == (44100, 1, "mp4a.40.2")
    assert config.audio_specific_config == bytes.fromhex("1208")


def test_several_frames_in_a_pes_share_its_pts_with_their_offset() -> None:
    found = AdtsSplitter().receive(adts(FRAMES), 9000)
    assert bodies(found) == FRAMES
    assert [(f.pts, f.offset) for f in found] == [(9000, n) for n in range(7)]


def test_a_frame_that_spans_two_pes_has_the_time_of_the_first() -> None:
    data = adts(FRAMES)
    cut = len(adts(FRAMES[:3])) + 20
    splitter = AdtsSplitter()
    first = splitter.receive(data[:cut], 9000)
    second = splitter.receive(data[cut:], 50_000)
    assert bodies(first + second) == FRAMES
    assert [(f.pts, f.offset) for f in second] == [(9000, 3), *((50_000, n) for n in range(3))]


def test_the_pts_of_a_pes_in_which_no_frame_is_whole_is_not_lost() -> None:
    splitter = AdtsSplitter()
    data = adts([b"a" * 300])
    assert splitter.receive(data[:20], 1000) == []
    assert splitter.receive(data[20:100], None) == []
    (frame,) = splitter.receive(data[100:], 8000)
    assert (frame.pts, frame.offset) == (1000, 0)


def test_a_frame_of_several_blocks_is_counted_and_left_out() -> None:
    data = bytearray(adts(FRAMES[:2]))
    data[6] |= 1
    splitter = AdtsSplitter()
    assert [(f.data, f.offset) for f in splitter.receive(bytes(data), 0)] == [(FRAMES[1], 2)]
    assert splitter.unsupported_frames == 1


def test_after_damage_the_next_header_is_found() -> None:
    splitter = AdtsSplitter()
    splitter.receive(adts(FRAMES)[:30], 0)
    splitter.reset()
    found = splitter.receive(b"\xff\x00rest of a frame" + adts(FRAMES), 0)
    assert bodies(found) == FRAMES
    assert splitter.skipped_bytes == 17


@settings(deadline=None)
@given(st.binary(max_size=3000), st.integers(1, 200))
def test_any_bytes_in_any_chunking_give_the_same_frames(noise: bytes, chunk: int) -> None:
    data = adts(FRAMES) + noise + adts(FRAMES)
    whole, pieces = AdtsSplitter(), AdtsSplitter()
    expected = bodies(whole.receive(data, 0))
    found: list[AacFrame] = []
    for at in range(0, len(data), chunk):
        found += pieces.receive(data[at : at + chunk], 0)
        assert len(pieces._rest) < 8192
    assert bodies(found) == expected
