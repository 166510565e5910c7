"""Between WHIP and the programme: Opus gets an AAC for LL-HLS and goes on as the companion.

Invariant: nothing is held back. Video and the companion pass at once; AAC follows as its bridge
makes it, on the same clock. Its format is told as soon as the bridge knows it, before its first
sound, within the second that a programme waits for sound to be described before it begins. A
publisher whose sound is not Opus passes untouched, and so does Opus once its bridge has failed.

Upstream: ingest. Downstream: `hotpath.node.sink`. Both sides speak `PublisherSink`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from hotpath.encode.bridge import OnFailed, OnOutput
from hotpath.ingest.admission import Refusal
from hotpath.ingest.publisher import PublisherSink
from hotpath.ingest.statistics import Publisher
from hotpath.media.unit import AUDIO, COMPANION, Codec, Format, Unit


class RunningBridge(Protocol):
    def send(self, units: Sequence[Unit]) -> None: ...

    def close(self) -> None: ...


MakeBridge = Callable[[Format, Codec, OnOutput, OnFailed], RunningBridge]


@dataclass(slots=True)
class _Bridged:
    """One publisher's sound."""

    opus: Format
    """As the publisher described it."""
    formats: tuple[Format, ...] = ()
    """All that it described."""
    bridge: RunningBridge | None = None
    """None once it has failed."""
    aac: Format | None = None

    def told(self) -> list[Format]:
        """What the programme is told of this publisher."""
        if self.bridge is None:
            return list(self.formats)
        others = [format for format in self.formats if format.track != AUDIO]
        made = [] if self.aac is None else [self.aac]
        return [*others, *made, replace(self.opus, track=COMPANION)]


class BridgingSink:
    """Puts a bridge beside each publisher that needs one; see the module for the invariant."""

    def __init__(self, inner: PublisherSink, make_bridge: MakeBridge) -> None:
        self._inner = inner
        self._make_bridge = make_bridge
        self._bridged: dict[int, _Bridged] = {}

    def publisher_connected(self, publisher: Publisher) -> None:
        self._inner.publisher_connected(publisher)

    def publisher_formats(self, publisher_id: int, formats: Sequence[Format]) -> None:
        audio = next((format for format in formats if format.track == AUDIO), None)
        present = self._bridged.get(publisher_id)
        if audio is None or audio.codec is not Codec.OPUS:
            self._close(publisher_id)
            self._inner.publisher_formats(publisher_id, formats)
            return
        if present is None or present.opus != audio:
            self._close(publisher_id)
            present = self._start(publisher_id, audio)
        present.formats = tuple(formats)
        self._inner.publisher_formats(publisher_id, present.told())

    def publisher_units(self, publisher_id: int, units: Sequence[Unit]) -> None:
        bridged = self._bridged.get(publisher_id)
        if bridged is None or bridged.bridge is None:
            self._inner.publisher_units(publisher_id, units)
            return
        sound = [unit for unit in units if unit.track == AUDIO]
        passed = [replace(u, track=COMPANION) if u.track == AUDIO else u for u in units]
        self._inner.publisher_units(publisher_id, passed)
        if sound:
            bridged.bridge.send(sound)

    def publisher_warning(self, publisher_id: int, code: str, message: str) -> None:
        self._inner.publisher_warning(publisher_id, code, message)

    def publisher_disconnected(self, publisher_id: int, reason: str) -> None:
        self._close(publisher_id)
        self._inner.publisher_disconnected(publisher_id, reason)

    def publisher_refused(self, refusal: Refusal) -> None:
        self._inner.publisher_refused(refusal)

    # -- the bridge's side -------------------------------------------------------------------

    def _start(self, publisher_id: int, opus: Format) -> _Bridged:
        bridged = self._bridged[publisher_id] = _Bridged(opus)
        output = partial(self._output, publisher_id, bridged)
        failed = partial(self._failed, publisher_id, bridged)
        bridged.bridge = self._make_bridge(opus, Codec.AAC, output, failed)
        return bridged

    def _close(self, publisher_id: int) -> None:
        bridged = self._bridged.pop(publisher_id, None)
        if bridged is not None and bridged.bridge is not None:
            bridged.bridge.close()

    def _output(
        self, publisher_id: int, bridged: _Bridged, format: Format, units: Sequence[Unit]
    ) -> None:
        if self._bridged.get(publisher_id) is not bridged:
            return
        said = bridged.opus
        format = replace(format, language=said.language, describes_video=said.describes_video)
        if format != bridged.aac:
            bridged.aac = format
            self._inner.publisher_formats(publisher_id, bridged.told())
        if units:
            self._inner.publisher_units(publisher_id, units)

    def _failed(self, publisher_id: int, bridged: _Bridged, words: str) -> None:
        if self._bridged.get(publisher_id) is not bridged:
            return
        bridged.bridge = None
        self._inner.publisher_warning(
            publisher_id,
            "bridge-failed",
            f"{words} LL-HLS viewers get Opus, which some players do not play. "
            "Reconnect to try again.",
        )
        self._inner.publisher_formats(publisher_id, bridged.told())
