"""Opus publishers get an AAC for LL-HLS; everything else passes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hotpath.encode.bridge import OnFailed, OnOutput
from hotpath.ingest.admission import Refusal
from hotpath.ingest.statistics import Publisher
from hotpath.media.unit import AUDIO, COMPANION, VIDEO, Codec, Format, Unit
from hotpath.node.bridging import BridgingSink

H264 = Format(VIDEO, Codec.H264, 90_000, b"sps", "avc1.42c01f", 640, 360)
OPUS = Format(AUDIO, Codec.OPUS, 48_000, b"OpusHead", "opus", sample_rate=48_000, channels=2)
AAC = Format(AUDIO, Codec.AAC, 48_000, b"\x11\x90", "mp4a.40.2", sample_rate=48_000, channels=2)
COMPANION_OPUS = replace(OPUS, track=COMPANION)
PUBLISHER = Publisher(7, "acme", "ev_1", "main", "[::1]:9", 1)
PICTURE = Unit(VIDEO, 0, 0, True, b"v", 1, 1)
SOUND = Unit(AUDIO, 0, 0, True, b"\xfc", 1, 1)


@dataclass
class FakeBridge:
    source: Format
    output: OnOutput
    failed: OnFailed
    sent: list[Unit] = field(default_factory=list)
    closed: bool = False

    def send(self, units: Sequence[Unit]) -> None:
        self.sent += units

    def close(self) -> None:
        self.closed = True


class Sinks:
    """A bridging sink between what the test says and what the programme hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []
        self.bridges: list[FakeBridge] = []
        self.sink = BridgingSink(self, self._make)
        self.sink.publisher_connected(PUBLISHER)

    def _make(
        self, source: Format, target: Codec, on_output: OnOutput, on_failed: OnFailed
    ) -> FakeBridge:
        assert target is Codec.AAC
        self.bridges.append(FakeBridge(source, on_output, on_failed))
        return self.bridges[-1]

    def publisher_connected(self, publisher: Publisher) -> None:
        self.heard.append(("connected", publisher.id))

    def publisher_formats(self, publisher_id: int, formats: Sequence[Format]) -> None:
        self.heard.append(("formats", *formats))

    def publisher_units(self, publisher_id: int, units: Sequence[Unit]) -> None:
        self.heard.append(("units", *units))

    def publisher_warning(self, publisher_id: int, code: str, message: str) -> None:
        self.heard.append(("warning", code, message))

    def publisher_disconnected(self, publisher_id: int, reason: str) -> None:
        self.heard.append(("disconnected", reason))

    def publisher_refused(self, refusal: Refusal) -> None:
        self.heard.append(("refused", refusal))


def test_what_is_known_of_the_sound_is_said_of_what_is_made_from_it() -> None:
    sinks = Sinks()
    english = replace(OPUS, language="en", describes_video=True)
    german = replace(AAC, track="audio-2", language="de")
    sinks.sink.publisher_formats(7, [H264, english, german])
    sinks.bridges[0].output(AAC, [])
    made = replace(AAC, language="en", describes_video=True)
    assert sinks.heard[-1] == ("formats", H264, german, made, replace(english, track=COMPANION))
    further = replace(SOUND, track="audio-2")
    sinks.sink.publisher_units(7, [SOUND, further])
    assert sinks.bridges[0].sent == [SOUND]
    assert sinks.heard[-1] == ("units", replace(SOUND, track=COMPANION), further)
    sinks.bridges[0].output(AAC, [replace(SOUND, data=b"aac")])
    assert sinks.heard[-1] == ("units", replace(SOUND, data=b"aac"))


def test_video_and_companion_pass_at_once_and_aac_follows() -> None:
    sinks = Sinks()
    sinks.sink.publisher_formats(7, [H264, OPUS])
    sinks.sink.publisher_units(7, [PICTURE, SOUND])
    (bridge,) = sinks.bridges
    assert bridge.sent == [SOUND]
    bridge.output(AAC, [])
    made = Unit(AUDIO, -1920, -1920, True, b"aac", 1, 1)
    bridge.output(AAC, [made])
    assert sinks.heard == [
        ("connected", 7),
        ("formats", H264, COMPANION_OPUS),
        ("units", PICTURE, replace(SOUND, track=COMPANION)),
        ("formats", H264, AAC, COMPANION_OPUS),
        ("units", made),
    ]


def test_a_publisher_without_opus_passes_untouched() -> None:
    sinks = Sinks()
    sinks.sink.publisher_formats(7, [H264, AAC])
    sinks.sink.publisher_units(7, [PICTURE, SOUND])
    sinks.sink.publisher_warning(7, "hevc", "words")
    refusal = Refusal("ev_1", "acme", "peer", "bad-key", 1)
    sinks.sink.publisher_refused(refusal)
    assert sinks.bridges == []
    assert sinks.heard[1:] == [
        ("formats", H264, AAC),
        ("units", PICTURE, SOUND),
        ("warning", "hevc", "words"),
        ("refused", refusal),
    ]


def test_formats_that_are_told_again_keep_the_bridge() -> None:
    sinks = Sinks()
    sinks.sink.publisher_formats(7, [OPUS])
    sinks.bridges[0].output(AAC, [])
    sinks.sink.publisher_formats(7, [H264, OPUS])
    assert len(sinks.bridges) == 1
    assert sinks.heard[-1] == ("formats", H264, AAC, COMPANION_OPUS)


def test_other_opus_gets_another_bridge() -> None:
    sinks = Sinks()
    sinks.sink.publisher_formats(7, [OPUS])
    mono = replace(OPUS, channels=1)
    sinks.sink.publisher_formats(7, [mono])
    old, new = sinks.bridges
    assert old.closed
    assert new.source == mono
    before = len(sinks.heard)
    old.output(AAC, [SOUND])
    old.failed("words")
    assert len(sinks.heard) == before


def test_sound_that_becomes_aac_needs_no_bridge_any_more() -> None:
    sinks = Sinks()
    sinks.sink.publisher_formats(7, [OPUS])
    sinks.sink.publisher_formats(7, [AAC])
    sinks.sink.publisher_units(7, [SOUND])
    assert sinks.bridges[0].closed
    assert sinks.heard[-2:] == [("formats", AAC), ("units", SOUND)]


def test_when_its_bridge_fails_the_opus_goes_on_as_the_sound() -> None:
    sinks = Sinks()
    sinks.sink.publisher_formats(7, [H264, OPUS])
    sinks.bridges[0].output(AAC, [])
    sinks.bridges[0].failed("The converter stopped.")
    sinks.sink.publisher_units(7, [SOUND])
    warning, formats, units = sinks.heard[-3:]
    assert warning[:2] == ("warning", "bridge-failed")
    assert "The converter stopped." in str(warning[2])
    assert formats == ("formats", H264, OPUS)
    assert units == ("units", SOUND)


def test_the_bridge_ends_with_its_publisher() -> None:
    sinks = Sinks()
    sinks.sink.publisher_formats(7, [OPUS])
    sinks.sink.publisher_disconnected(7, "gone")
    assert sinks.bridges[0].closed
    sinks.bridges[0].output(AAC, [SOUND])
    assert sinks.heard[-1] == ("disconnected", "gone")
