"""What the kernel's border refuses, and says."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from hotpath.fanout.kernel import MAX_PAYLOAD, MAX_RTCP, Frame, Kernel, KernelError, Stream
from hotpath.webrtc.path import Path
from tests.support.kernel import AUDIO, VIDEO, FarEnd, far_end


@pytest.fixture
def far() -> Iterator[FarEnd]:
    with far_end() as made:
        yield made


@pytest.fixture
def stream(kernel: Kernel) -> Stream:
    return kernel.stream(90_000, video=True)


@pytest.mark.parametrize(
    ("payloads", "complaint"),
    [
        ([], "1 to 4096 payloads, not 0"),
        ([b"x"] * 4097, "not 4097"),
        ([b"x" * (MAX_PAYLOAD + 1)], "1 to 1172 bytes, not 1173"),
        ([b"x" * 100_000], "1 to 1172 bytes, not 100000"),
        ([b"x", b""], "1 to 1172 bytes, not 0"),
    ],
)
def test_payloads_have_bounds(stream: Stream, payloads: list[bytes], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        stream.push(Frame(0, True, payloads, 0))
    assert stream.bytes == 0


def test_a_frame_needs_time_and_a_sane_timestamp(stream: Stream) -> None:
    with pytest.raises(ValueError, match="deadline"):
        stream.push(Frame(0, True, [b"x"], 0), deadline_ms=0)
    with pytest.raises(ValueError, match="no tick"):
        stream.push(Frame(1 << 62, True, [b"x"], 0))


def test_a_new_stream_is_empty(stream: Stream) -> None:
    assert (stream.bytes, stream.frames, stream.has_keyframe) == (0, 0, False)
    assert stream.newest_timestamp is None
    assert stream.delay.count == 0
    stream.push(Frame(-5, True, [b"abc", b"d"], 0))
    assert (stream.bytes, stream.frames, stream.has_keyframe) == (4, 1, True)
    assert stream.newest_timestamp == -5


@pytest.mark.parametrize("shards", [0, 65, -1])
def test_shards_have_bounds(shards: int) -> None:
    with pytest.raises(ValueError, match="1 to 64 shards"):
        Kernel(shards=shards)


def test_a_ring_has_bounds(kernel: Kernel) -> None:
    with pytest.raises(ValueError, match="bounds"):
        kernel.stream(90_000, video=True, max_frames=0)
    with pytest.raises(ValueError, match="bounds"):
        kernel.stream(0, video=True)


def test_a_viewer_has_at_most_one_track_of_a_kind(kernel: Kernel, far: FarEnd) -> None:
    for tracks in ([], [VIDEO, VIDEO], [VIDEO, AUDIO, VIDEO]):
        with pytest.raises(KernelError, match="one video track, one audio track"):
            kernel.add_viewer(far.keys, far.path, tracks, cname="livepath")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"ssrc": 1 << 32}, "ssrc 4294967296 does not fit 32 bits"),
        ({"payload_type": 128}, "payload_type"),
        ({"first_sequence": -1}, "first_sequence"),
        ({"timestamp_offset": 1 << 32}, "timestamp_offset"),
    ],
)
def test_fields_fit_their_headers(
    kernel: Kernel, far: FarEnd, change: dict[str, int], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        far.join(kernel, replace(VIDEO, **change))  # type: ignore[arg-type]


def test_keys_fit_their_profile(kernel: Kernel, far: FarEnd) -> None:
    for change in ({"local_key": bytes(15)}, {"local_salt": bytes(14)}):
        keys = replace(far.keys, **change)
        with pytest.raises(ValueError, match="AEAD_AES_128_GCM"):
            kernel.add_viewer(keys, far.path, [VIDEO], cname="livepath")


@pytest.mark.parametrize("cname", ["", "x" * 64])
def test_a_cname_has_bounds(kernel: Kernel, far: FarEnd, cname: str) -> None:
    with pytest.raises(ValueError, match="CNAME"):
        kernel.add_viewer(far.keys, far.path, [VIDEO], cname=cname)


def test_paths_fit_their_socket(kernel: Kernel, far: FarEnd) -> None:
    for path, complaint in (
        (Path(far.out.fileno(), ("::1", 9)), "EAFNOSUPPORT"),
        (Path(9999, ("127.0.0.1", 9)), "EBADF"),
    ):
        with pytest.raises(KernelError, match=complaint):
            kernel.add_viewer(far.keys, path, [VIDEO], cname="livepath")
    with pytest.raises(ValueError, match="localhost"):
        far.join(kernel).set_path(Path(far.out.fileno(), ("localhost", 9)))


@pytest.mark.parametrize(
    "plain", [b"", b"\x80\xc9\0\1", b"\x80" * 9, b"\x40" * 8, b"\x80" * (MAX_RTCP + 4)]
)
def test_rtcp_looks_like_rtcp(kernel: Kernel, far: FarEnd, plain: bytes) -> None:
    with pytest.raises(ValueError, match="no RTCP packet"):
        far.join(kernel).send_rtcp(plain)


def test_sequence_numbers_have_sixteen_bits(kernel: Kernel, far: FarEnd) -> None:
    with pytest.raises(OverflowError):
        far.join(kernel).nack(VIDEO.ssrc, [65_536])


def test_evp_can_be_forced() -> None:
    with Kernel(shards=1, crypto="evp") as kernel:
        assert not kernel.accelerated
