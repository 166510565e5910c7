"""A switcher whose publishers come, fall silent and leave as they like."""

from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from hotpath.program.service import SECOND
from hotpath.program.states import (
    DropPublisher,
    OpenWanted,
    ProgramState,
    WentLive,
)
from hotpath.program.switcher import STALLED
from hotpath.program.switches import Switched
from infra.publishers import Role
from tests.support.switching import (
    AAC,
    EPOCH,
    FRAME,
    H264,
    LARGER,
    Harness,
)


class AnyOrder(RuleBasedStateMachine):
    """Publishers that connect, send, fall silent and leave as they like."""

    def __init__(self) -> None:
        super().__init__()
        self.harness = Harness(reconnect_window_s=5)
        self.number = 0
        self.connected: dict[Role, int] = {}
        self.gone: set[int] = set()
        self.checked = 0
        self.released_at = 0
        self.stalled = 0
        """How many had been sent away for their silence when it was held."""

    @initialize(held=st.booleans())
    def begin(self, held: bool) -> None:
        if held:
            self.hold()

    @property
    def over(self) -> bool:
        return self.harness.switcher.program.over

    @property
    def held(self) -> bool:
        return self.harness.switcher.held

    def sent_away(self) -> int:
        """How many, for their silence."""
        drops = self.harness.heard(DropPublisher)
        return sum(e.reason == STALLED for e in drops)  # type: ignore[union-attr]

    @rule(role=st.sampled_from(list(Role)), larger=st.booleans(), told=st.booleans())
    def connect(self, role: Role, larger: bool, told: bool) -> None:
        older = self.connected.get(role)
        if older is not None and told:
            self.harness.replace(older)
        if older is not None:
            self.gone.add(older)
        self.number += 1
        self.connected[role] = self.number
        self.harness.connect(self.number, role, [LARGER if larger else H264, AAC])

    @rule(
        roles=st.sets(st.sampled_from(list(Role)), min_size=1),
        seconds=st.sampled_from([0.1, 0.5, 1.2, 2.5]),
        gop=st.sampled_from([15, 30, 90, 10_000]),
    )
    def send(self, roles: set[Role], seconds: float, gop: int) -> None:
        senders = [self.connected[role] for role in sorted(roles) if role in self.connected]
        self.harness.send(seconds, *senders, gop=gop)

    @precondition(lambda self: self.connected)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        role = data.draw(st.sampled_from(sorted(self.connected)))
        publisher = self.connected.pop(role)
        self.gone.add(publisher)
        self.harness.lose(publisher)

    @precondition(lambda self: not (self.over or self.held or self.harness.heard(OpenWanted)))
    @rule()
    def hold(self) -> None:
        self.stalled = self.sent_away()
        self.harness.hold()

    @precondition(lambda self: self.held)
    @rule()
    def release(self) -> None:
        self.released_at = self.harness.now
        self.harness.release()
        switcher = self.harness.switcher
        assert (switcher.active is None) is not bool(switcher.roles)

    @rule(seconds=st.sampled_from([0.3, 1.0, 3.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.harness.wait(seconds)

    @rule(publisher=st.integers(1, 3))
    def change_format(self, publisher: int) -> None:
        harness = self.harness
        harness.switcher.publisher_formats(publisher, [LARGER, AAC], harness.now, EPOCH)

    @invariant()
    def everybody_is_accounted_for(self) -> None:
        switcher = self.harness.switcher
        dropped = {e.publisher for e in self.harness.heard(DropPublisher)}  # type: ignore[union-attr]
        expected = {p: role for role, p in self.connected.items() if p not in dropped}
        assert switcher.roles == expected
        assert switcher.active is None or switcher.active in expected
        assert switcher.program.publisher == switcher.active

    @invariant()
    def somebody_who_sends_is_on_the_air(self) -> None:
        """Unless a place is kept free for a successor, or the start is waited for."""
        switcher, now = self.harness.switcher, self.harness.now
        if self.held:
            assert switcher.active is None
        elif switcher._kept_free is None and switcher.active is None:
            assert all(now - p.last_units >= SECOND for p in switcher._present.values())

    @invariant()
    def before_the_start_nothing_happens_to_anybody(self) -> None:
        if self.held:
            assert self.harness.items == []
            assert self.sent_away() == self.stalled
            assert self.harness.switcher.next_deadline() is None
            assert self.harness.switcher.program.state is ProgramState.WAITING

    @invariant()
    def what_came_before_the_start_is_never_published(self) -> None:
        if self.released_at and self.harness.items:
            assert self.harness.pictures()[0].unit.ingest_ns > EPOCH + self.released_at

    @invariant()
    def what_is_published_goes_forward_and_keeps_near_the_wall_clock(self) -> None:
        every = self.harness.pictures()
        pictures, self.checked = every[max(0, self.checked - 1) :], len(every)
        assert all(a.unit.dts < b.unit.dts for a, b in pairwise(pictures))
        assert all(b.mark.msn - a.mark.msn in (0, 1) for a, b in pairwise(pictures))
        for sample in pictures:
            # The last frame's own duration comes on top.
            assert sample.mark.pdt_ns - sample.unit.ingest_ns <= 2 * SECOND + 2 * FRAME

    @invariant()
    def a_publisher_is_on_the_air_from_one_switch_to_the_next(self) -> None:
        turns = [p.unit.data for p in self.harness.pictures()]
        changes = sum(a != b for a, b in pairwise(turns))
        heard = self.harness.events
        reasons = [e for e in heard if isinstance(e, Switched | WentLive)]
        assert changes <= len(reasons)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=30, stateful_step_count=15)
