"""Answers to requests for a programme's playlists: at once, or when what is asked for has come.

Invariant: an answer depends on the published state alone. While nothing changes, all who ask the
same get the same answer; who comes before a player can start waits instead of polling.

Upstream: `live`, which says what is published. Downstream: `rendition`, `offers` and `captioning`
have the texts. Spec: draft-pantos-hls-rfc8216bis, 6.2.5.
"""

from collections.abc import Callable, Mapping
from typing import Any

from hotpath.hls.answers import Answer, Answers, Blocked
from hotpath.hls.caps import CAPPED
from hotpath.hls.captioning import Captioning
from hotpath.hls.date_set import DateRangeSet
from hotpath.hls.directives import Block, Reject, Skip, decide
from hotpath.hls.files import NOT_HERE
from hotpath.hls.names import MULTIVARIANT
from hotpath.hls.offers import Offers
from hotpath.hls.playlist import Revision
from hotpath.hls.rendition import Rendition
from hotpath.hls.reply import PLAYLIST_TYPE, Reply, max_age, refusal
from hotpath.hls.tags import SKIP_UNTIL, Delta
from hotpath.hls.text import Text
from hotpath.hls.waiting import Gate, Outcome, WaitingRoom
from infra.captions_group import PLAYLIST, WITH_CAPTIONS

BLOCK_LIMIT = 3  # target durations; 6.2.5.2


class Lists:
    """See the module for the invariant."""

    def __init__(
        self,
        renditions: Mapping[str, Rendition],
        offers: Offers,
        dates: DateRangeSet,
        captioning: Captioning | None,
        *,
        revision: Revision,
        room: WaitingRoom,
        target_duration_s: int,
        clock: Callable[[], int],
    ) -> None:
        """`renditions`: those there are at any time, by name."""
        self._renditions = renditions
        self._offers = offers
        self._dates = dates
        self._captioning = captioning
        self._target_duration_s = target_duration_s
        self._clock = clock
        self._by_playlist: dict[str, Rendition] = {}
        self._start_gate: Gate[str] = Gate(room)
        """Requests for playlists, by name, that list no whole segment yet."""
        self._multivariant: dict[str | None, tuple[str, Text]] = {}
        """By cap."""
        self._answers = Answers(revision)
        self._stopped = False
        self.playable = False
        """What a player should find is there, so that any player can start."""

    @property
    def kept(self) -> int:
        """How many answers are there for who asks the same."""
        return len(self._answers)

    def add(self, rendition: Rendition) -> None:
        self._by_playlist[rendition.playlist_name] = rendition

    def after_segment(self) -> None:
        """Whoever waited to start, and can now, does."""
        self.playable = self.playable or self._offers.complete()
        self._start_gate.release(self._can_start)

    def release_all(self) -> None:
        """Nobody waits any more."""
        self._stopped = True
        self._answers.clear()
        self._start_gate.release(lambda _key: True)

    def answer(self, name: str, query: str, waited: Outcome | None) -> Answer:
        """A crowd asks the same again and again: while nothing changes it gets the same answer."""
        known = self._answers.get(name, query)
        if known is not None and (waited is None or waited is Outcome.READY):
            return known
        base, cap = CAPPED.get(name, (name, None))
        if base == MULTIVARIANT:
            return self._answer_multivariant(cap, waited)
        if (text := self._captions_text(base, cap)) is not None:
            return _reply(text, self._target_duration_s * 500)
        return self._answer_playlist(name, query, waited)

    def wait(self, gate: Gate[Any], key: Any, waited: Outcome | None, reason: str) -> Answer:
        if waited is Outcome.FULL:
            reason = "too many requests are waiting"
        if self._stopped or waited in (Outcome.FULL, Outcome.EXPIRED):
            return refusal(503, reason, retry_after_s=self._target_duration_s)
        return Blocked(gate, key, BLOCK_LIMIT * self._target_duration_s)

    def _can_start(self, name: str) -> bool:
        """Whether a player that asks for this playlist first can begin to play."""
        name, _ = CAPPED.get(name, (name, None))
        captions = self._captioning is not None and name in (WITH_CAPTIONS, PLAYLIST)
        if name == MULTIVARIANT or captions:
            return self.playable
        rendition = self._by_playlist.get(name)
        return rendition is not None and rendition.playlist.has_segments

    def _wait_start(self, name: str, waited: Outcome | None) -> Answer | None:
        """None once a player can start; one that comes early waits instead of polling."""
        if self._can_start(name):
            return None
        reason = "the programme has no whole segment yet"
        return self.wait(self._start_gate, name, waited, reason)

    def _captions_text(self, name: str, cap: str | None) -> Text | None:
        if self._captioning is None or not self.playable:
            return None
        return self._captioning.find(name, cap)

    def _answer_multivariant(self, cap: str | None, waited: Outcome | None) -> Answer:
        if (early := self._wait_start(MULTIVARIANT, waited)) is not None:
            return early
        text = self._offers.multivariant(cap=cap)
        known = self._multivariant.get(cap)
        if known is None or known[0] != text:
            known = self._multivariant[cap] = text, Text(text)
        return _reply(known[1], self._target_duration_s * 1000)

    def _answer_playlist(self, name: str, query: str, waited: Outcome | None) -> Answer:
        if self.playable and name not in self._by_playlist:
            return refusal(404, NOT_HERE)
        if (early := self._wait_start(name, waited)) is not None:
            return early
        rendition = self._by_playlist[name]
        decision = decide(query, rendition.playlist.edge)
        if isinstance(decision, Reject):
            return refusal(decision.status, decision.reason)
        if isinstance(decision, Block):
            key = (decision.msn, decision.part)
            reason = f"segment {decision.msn} has not come"
            answer = self.wait(rendition.edge_gate, key, waited, reason)
            if isinstance(answer, Blocked):
                self._answers.put(name, query, answer)
            return answer
        reply = self._list(rendition, decision.skip, positioned="_HLS_msn=" in query)
        if decision.skip is not Skip.DATES:  # what those leave out depends on the time, too
            self._answers.put(name, query, reply)
        return reply

    def _list(self, rendition: Rendition, skip: Skip, *, positioned: bool) -> Reply:
        begun = (other for other in self._renditions.values() if other.playlist.version)
        siblings = [other for other in begun if other is not rendition]
        text = rendition.text(siblings, self._delta(skip))
        # An answer for a position stays right for it; what is asked for as it is now ages at once.
        target_ms = self._target_duration_s * 1000
        return _reply(text, SKIP_UNTIL * target_ms if positioned else target_ms // 2)

    def _delta(self, skip: Skip) -> Delta | None:
        if skip is Skip.NOTHING:
            return None
        return Delta() if skip is Skip.SEGMENTS else self._dates.delta(self._clock())


def _reply(text: Text, age_ms: int) -> Reply:
    return Reply(200, PLAYLIST_TYPE, max_age(age_ms), text)
