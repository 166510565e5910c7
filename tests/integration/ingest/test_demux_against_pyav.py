"""The demuxer against PyAV (FFmpeg) on the same files: same frames, times, keyframes and bytes."""

from pathlib import Path

import av
import pytest

from hotpath.ingest.session import FormatsChanged, TsIngest, UnitsReady
from hotpath.media.aac import AdtsSplitter
from hotpath.media.unit import Format, Unit
from tests.support.media import AVC_AAC, B_FRAMES, HD, HEVC, OPUS, VIDEO_ONLY, Recipe, make_ts

pytestmark = pytest.mark.integration

RECIPES = {
    "avc-aac": AVC_AAC,
    "720p": HD,
    "b-frames": B_FRAMES,
    "hevc": HEVC,
    "opus": OPUS,
    "video-only": VIDEO_ONLY,
    "60fps": Recipe(fps=60, gop=120),
}
DELIMITERS = (b"\0\0\0\x01\x09\xf0", b"\0\0\0\x01\x46\x01\x50")

Frame = tuple[int, int, bool, bytes]


def ours(path: Path, chunk: int) -> tuple[dict[str, list[Frame]], tuple[Format, ...], TsIngest]:
    session = TsIngest()
    data = path.read_bytes()
    frames: dict[str, list[Frame]] = {"video": [], "audio": []}
    formats: tuple[Format, ...] = ()

    def take(units: tuple[Unit, ...]) -> None:
        for u in units:
            assert not u.damaged
            frames[u.track].append((u.pts, u.dts, u.keyframe, u.data))

    for at in range(0, len(data), chunk):
        session.receive(data[at : at + chunk], at)
        if at + chunk >= len(data):
            session.flush()
        for event in session.poll(at):
            if isinstance(event, UnitsReady):
                take(event.units)
            elif isinstance(event, FormatsChanged):
                formats = event.formats
    return frames, formats, session


def pyav(path: Path) -> dict[str, list[Frame]]:
    frames: dict[str, list[Frame]] = {"video": [], "audio": []}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.size and packet.pts is not None and packet.dts is not None:
                data = normalised(bytes(packet), packet.stream.codec_context.name)
                frame = (packet.pts, packet.dts, bool(packet.is_keyframe), data)
                frames[packet.stream.type].append(frame)
    return frames


def normalised(data: bytes, codec: str) -> bytes:
    """FFmpeg leaves delimiters and ADTS headers in; units have neither."""
    if codec == "aac":
        return AdtsSplitter().receive(data, 0)[0].data
    for delimiter in DELIMITERS:
        data = data.removeprefix(delimiter)
    return data


@pytest.mark.parametrize("name", RECIPES)
def test_units_equal_the_packets_of_pyav(media: Path, name: str) -> None:
    path = make_ts(media / f"{name}.ts", RECIPES[name])
    found, formats, _ = ours(path, 1316)
    expected = pyav(path)
    assert len(found["video"]) == round(RECIPES[name].fps * RECIPES[name].seconds)
    assert found["video"] == expected["video"]
    # FFmpeg derives the times between two PES by float; ours are exact.
    assert [f[3] for f in found["audio"]] == [f[3] for f in expected["audio"]]
    for mine, theirs in zip(found["audio"], expected["audio"], strict=True):
        assert abs(mine[0] - theirs[0]) <= 1
    assert [f.track for f in formats] == (["video", "audio"] if found["audio"] else ["video"])


@pytest.mark.parametrize("name", RECIPES)
def test_formats_equal_what_pyav_opens(media: Path, name: str) -> None:
    path = make_ts(media / f"{name}.ts", RECIPES[name])
    _, formats, _ = ours(path, 1316)
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        mine = formats[0]
        assert (mine.width, mine.height) == (video.width, video.height)
        assert mine.codec.value == video.codec_context.name
        assert mine.frame_duration == 90_000 // RECIPES[name].fps
        for audio, fmt in zip(container.streams.audio, formats[1:], strict=True):
            assert (fmt.sample_rate, fmt.channels) == (audio.sample_rate, audio.channels)
            assert fmt.codec.value == audio.codec_context.name


@pytest.mark.parametrize("chunk", [7, 188, 100_000_000])
def test_chunking_changes_nothing(stream: Path, chunk: int) -> None:
    assert ours(stream, chunk)[0] == ours(stream, 1316)[0]


def test_ffmpeg_streams_earn_early_emission(stream: Path) -> None:
    _, _, session = ours(stream, 1316)
    facts = session.facts()
    assert set(facts.early.values()) == {"earned"}
    assert facts.counters.pes.late <= 70


def test_b_frames_and_hevc_are_noticed(media: Path) -> None:
    facts = ours(make_ts(media / "b-frames.ts", B_FRAMES), 1316)[2].facts()
    assert facts.video is not None
    assert facts.video.b_frames
    facts = ours(make_ts(media / "hevc.ts", HEVC), 1316)[2].facts()
    assert facts.formats[0].codecs.startswith("hvc1.1.6.L")
