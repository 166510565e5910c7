"""Who may still join: viewers per node, event and address, joins per second of the node and of one
address, and measured load.

Invariant: a viewer that is watching is never touched by these limits, only who wants to join; what
was let in is counted until `leave`. Load is what the sending threads were measured to use, scaled
to the viewers there are now, so a rush of joins is refused before it is felt.

Upstream: `hotpath.fanout.service` asks before it opens a session. Pure: `now` is an argument.
"""

from collections import Counter, deque
from dataclasses import dataclass
from enum import Enum

from hotpath.webrtc.connect_rate import ConnectRate

SECOND = 1_000_000_000
DROPPED = 0.005
"""Share of dropped frames that a busy node takes for its own doing."""
CONNECTING_RETRY_S = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """What one node takes on."""

    viewers: int = 2_000
    viewers_per_event: int = 0
    """0: no limit of its own."""
    viewers_per_address: int = 1_000
    """0: no limit. Many viewers can share one address: a school, a carrier's NAT."""
    joins_per_second: int = 200
    join_burst: int = 400
    address_joins_per_second: int = 20
    """Of one address, so that it alone cannot use up the node's; 0: no limit."""
    address_join_burst: int = 200
    """Whoever waits in an office for one event to begin joins at once."""
    address_connecting: int = 200
    """Viewers from one address that have joined and not connected yet; 0: no limit."""
    busy: float = 0.8
    """Share of a core that the busiest sending thread, and of all cores that the whole process may
    use, before joins are refused; 0: never refused for load."""
    send_delay_ms: int = 75
    """Mean time from the bus to the socket above which joins are refused."""


class Cause(Enum):
    """Why a join was refused; the value is the metric label."""

    NODE_FULL = "node-full"
    EVENT_FULL = "event-full"
    ADDRESS_FULL = "address-full"
    JOIN_RATE = "join-rate"
    ADDRESS_RATE = "address-rate"
    ADDRESS_CONNECTING = "address-connecting"
    OVERLOADED = "overloaded"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Refused:
    cause: Cause
    detail: str
    retry_after_s: int


@dataclass(frozen=True, slots=True)
class Place:
    """What one who is in takes."""

    event: str
    address: str


class Rate:
    """At most `per_second` on average and `burst` at once (GCRA)."""

    __slots__ = ("_due", "_interval", "_slack")

    def __init__(self, per_second: int, burst: int) -> None:
        self._interval = SECOND // per_second if per_second else 0
        self._slack = self._interval * max(burst - 1, 0)
        self._due = 0

    def wait_ns(self, now: int) -> int:
        """How long until one more may come; 0: now."""
        return max(0, self._due - self._slack - now)

    def take(self, now: int) -> None:
        self._due = max(self._due, now) + self._interval


@dataclass(frozen=True, slots=True)
class Measured:
    """One look at the node; everything but `viewers` and `delay_ns` is a total since the start."""

    now: int
    cpu_ns: tuple[int, ...]
    """CPU time of each sending thread."""
    process_ns: int
    """CPU time of the whole process: what shares the cores with the sending threads."""
    viewers: int
    delay_ns: int = 0
    """Mean time from the bus to the socket since the last look."""
    frames: int = 0
    dropped: int = 0
    """Frames that a viewer's path did not take in time."""


class Load:
    """How busy this process is, over the last `window_ns`."""

    def __init__(
        self, busy: float, send_delay_ms: int, cores: float = 1, window_ns: int = 4 * SECOND
    ) -> None:
        self._busy = busy
        self._delay_ns = send_delay_ms * 1_000_000
        self._cores = cores
        self._window_ns = window_ns
        self._measured: deque[Measured] = deque()

    def receive(self, measured: Measured) -> None:
        self._measured.append(measured)
        while self._measured[0].now < measured.now - self._window_ns:
            self._measured.popleft()

    @property
    def share(self) -> float:
        """The busiest thread's share of a core, or the process's share of all, whichever is more.

        0 until two measurements are there.
        """
        return self._share(1.0)

    def _share(self, growth: float) -> float:
        """The same, if the sending threads had so many times as much to send."""
        if len(self._measured) < 2:
            return 0.0
        first, last = self._measured[0], self._measured[-1]
        sending = [b - a for a, b in zip(first.cpu_ns, last.cpu_ns, strict=True)]
        # The rest is streams and joins, which are as many whatever came of the joins.
        rest = max(last.process_ns - first.process_ns - sum(sending), 0)
        process = (sum(sending) * growth + rest) / self._cores
        busiest = max(sending, default=0) * growth
        return max(busiest, process) / max(last.now - first.now, 1)

    @property
    def delay_ns(self) -> int:
        """Mean time to the socket, over the window."""
        return sum(m.delay_ns for m in self._measured) // max(len(self._measured), 1)

    @property
    def dropped(self) -> float:
        """Share of the window's frames that paths did not take in time."""
        if len(self._measured) < 2:
            return 0.0
        first, last = self._measured[0], self._measured[-1]
        lost = last.dropped - first.dropped
        return lost / max(last.frames - first.frames + lost, 1)

    def expected(self, viewers: int) -> float:
        """The share with `viewers`, if to send to each costs what it has cost."""
        # Below a few dozen viewers the threads' fixed cost says nothing about the next viewer.
        mean = sum(m.viewers for m in self._measured) / max(len(self._measured), 1)
        return self._share(max(viewers / mean, 1.0)) if mean >= 20 else self.share

    def problem(self, viewers: int) -> str | None:
        """Why one more viewer is too many, if it is."""
        expected = self.expected(viewers + 1)
        if self._busy and expected >= self._busy:
            return f"the node would use {expected:.0%} of the processor time it has"
        if self._delay_ns and self.delay_ns >= self._delay_ns:
            return f"frames reach the socket {self.delay_ns // 1_000_000} ms late"
        # A slow path or two among few viewers is theirs alone; at work, it is the node's.
        if self._busy and expected >= self._busy / 2 and self.dropped >= DROPPED:
            return f"{self.dropped:.1%} of all frames reach their viewers too late"
        return None


class Gate:
    """Counts who is in and decides who may come in; see the module for the invariant."""

    def __init__(self, limits: Limits, cores: float = 1) -> None:
        """`cores`: as many as this process may use."""
        self.limits = limits
        self.load = Load(limits.busy, limits.send_delay_ms, cores)
        self.viewers = 0
        self._rate = Rate(limits.joins_per_second, limits.join_burst)
        self._address_rate: ConnectRate | None = None
        if limits.address_joins_per_second:
            self._address_rate = ConnectRate(
                limits.address_joins_per_second, max(limits.address_join_burst, 1)
            )
        self._events: Counter[str] = Counter()
        self._addresses: Counter[str] = Counter()
        self._connecting: Counter[str] = Counter()
        """Those of an address that have joined and not connected yet."""

    def join(
        self, event: str, address: str, now: int, *, instead_of: Place | None = None
    ) -> Refused | None:
        """None: the viewer is in, until `leave` with the same event and address.

        `instead_of`: who leaves when this one gets in, so that the load stays as it is.
        """
        refused = self._refused(event, address, now, instead_of)
        if refused is None:
            self._rate.take(now)
            if self._address_rate is not None:
                self._address_rate.take(address, now)
            self.viewers += 1
            for counter, name in self._counters(event, address):
                counter[name] += 1
            self._connecting[address] += 1
        return refused

    def connected(self, address: str) -> None:
        """One who joined from the address has connected."""
        _less(self._connecting, address)

    def leave(self, event: str, address: str, *, connected: bool) -> None:
        """`connected`: whether `connected` was called for this viewer."""
        self.viewers -= 1
        for counter, name in self._counters(event, address):
            _less(counter, name)
        if not connected:
            _less(self._connecting, address)

    def viewers_of(self, event: str) -> int:
        return self._events[event]

    def _counters(self, event: str, address: str) -> tuple[tuple[Counter[str], str], ...]:
        return (self._events, event), (self._addresses, address)

    def _refused(
        self, event: str, address: str, now: int, instead_of: Place | None
    ) -> Refused | None:
        limits = self.limits
        gone = instead_of or Place("", "")
        if self.viewers - (instead_of is not None) >= limits.viewers:
            return Refused(Cause.NODE_FULL, f"the node takes {limits.viewers} viewers", 30)
        per_event, per_address = limits.viewers_per_event, limits.viewers_per_address
        if per_event and self._events[event] - (gone.event == event) >= per_event:
            return Refused(Cause.EVENT_FULL, f"the event takes {per_event} viewers here", 30)
        if per_address and self._addresses[address] - (gone.address == address) >= per_address:
            return Refused(Cause.ADDRESS_FULL, f"{per_address} viewers share your address", 30)
        problem = None if instead_of else self.load.problem(self.viewers)
        if problem:
            return Refused(Cause.OVERLOADED, problem, 10)
        return self._too_fast(address, now)

    def _too_fast(self, address: str, now: int) -> Refused | None:
        limits = self.limits
        most = limits.address_connecting
        if most and self._connecting[address] >= most:
            detail = f"{most} viewers at your address have joined and not connected yet"
            return Refused(Cause.ADDRESS_CONNECTING, detail, CONNECTING_RETRY_S)
        wait = self._address_rate.wait_ns(address, now) if self._address_rate else 0
        if wait:
            detail = (
                f"the node takes {limits.address_joins_per_second} viewers a second of one address"
            )
            return Refused(Cause.ADDRESS_RATE, detail, 1 + wait // SECOND)
        wait = self._rate.wait_ns(now)
        if wait:
            detail = f"the node takes {limits.joins_per_second} viewers a second"
            return Refused(Cause.JOIN_RATE, detail, 1 + wait // SECOND)
        return None


def _less(counter: Counter[str], name: str) -> None:
    counter[name] -= 1
    if not counter[name]:
        del counter[name]
