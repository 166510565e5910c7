"""Carries a schedule out on a cold path of real processes, and puts right what it did.

Upstream: `tests.chaos.schedule`. Downstream: the roles of `tests.support.coldpath`, and the servers
and relays around them. Whoever ends is started again, as by whoever supervises processes in
production; what a disturbance took away comes back when its time is over.
"""

import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.link import AilingLink, Ailment
from tests.chaos.news import Fate, News
from tests.chaos.schedule import Disturbance, Kind
from tests.support.coldpath import ColdStack, Role
from tests.support.postgres import PostgresServer
from tests.support.valkey import ValkeyServer

WORKERS = 2
LEAVES_WITHIN_S = 30.0
_AGAIN_S = 1.0
_AILMENTS = {
    Kind.S3_REFUSES: Ailment.REFUSES,
    Kind.S3_HANGS: Ailment.HANGS,
    Kind.S3_CUTS: Ailment.CUTS,
    Kind.S3_GONE: Ailment.GONE,
}
_FATES = {
    Kind.EVENTS_DROPPED: Fate.DROPPED,
    Kind.EVENTS_DOUBLED: Fate.DOUBLED,
    Kind.EVENTS_SHUFFLED: Fate.SHUFFLED,
}

Undo = Callable[[], None]


@dataclass(slots=True)
class Post:
    """A role that is to run, and who has it now."""

    start: Callable[[], Role]
    role: Role | None = None
    frozen: bool = False
    vacant: bool = False
    """Whoever supervises has not noticed yet."""
    again_at: float = 0.0

    @property
    def runs(self) -> bool:
        return self.role is not None and self.role.runs and not self.frozen

    def leave(self) -> Role:
        """Its role is no longer looked after."""
        role, self.role, self.vacant = self.role, None, True
        assert role is not None
        return role

    def fill(self) -> None:
        self.vacant = False


@dataclass(slots=True)
class Driver:
    """`look_after` is to be called again and again while the driver is at work."""

    stack: ColdStack
    broker: ValkeyServer
    broker_folder: Path
    database: PostgresServer
    link: AilingLink
    news: News
    failures: list[str] = field(default_factory=list)
    exits: Counter[str] = field(default_factory=Counter)
    """How roles ended that nobody killed."""
    ended_badly: list[Path] = field(default_factory=list)
    """Logs of those with a status other than 0."""
    _workers: list[Post] = field(default_factory=list)
    _dispatcher: Post = field(init=False)
    _leaving: list[tuple[Role, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._workers = [Post(self.stack.start_worker) for _ in range(WORKERS)]
        self._dispatcher = Post(self.stack.start_dispatcher)

    def begin(self, one: Disturbance) -> Undo:
        """Makes it happen; returns what ends it."""
        match one.kind:
            case Kind.KILL_WORKER | Kind.STOP_WORKER | Kind.FREEZE_WORKER:
                return self._to_a_worker(one)
            case Kind.KILL_DISPATCHER:
                if self._dispatcher.runs:
                    self._dispatcher.leave().kill()
                return self._dispatcher.fill
            case Kind.BROKER_RESTART | Kind.BROKER_FORGETS:
                self.broker.stop()
                if one.kind is Kind.BROKER_FORGETS:
                    shutil.rmtree(self.broker_folder / "appendonlydir")
                return self.broker.start
            case Kind.DATABASE_AWAY:
                self.database.stop()
                return self.database.start
            case Kind.S3_REFUSES | Kind.S3_HANGS | Kind.S3_CUTS | Kind.S3_GONE:
                self.link.ail(_AILMENTS[one.kind])
                return self.link.heal
            case Kind.EVENTS_DROPPED | Kind.EVENTS_DOUBLED | Kind.EVENTS_SHUFFLED:
                self.news.befall(_FATES[one.kind])
                return lambda: self.news.befall(Fate.TOLD)

    def _to_a_worker(self, one: Disturbance) -> Undo:
        there = [post for post in self._workers if post.runs]
        if not there:
            self.failures.append(f"no worker was there to {one.kind}")
            return lambda: None
        post = there[one.which % len(there)]
        if one.kind is Kind.FREEZE_WORKER:
            return _freeze(post)
        role = post.leave()
        if one.kind is Kind.KILL_WORKER:
            role.kill()
        else:
            role.process.send_signal(signal.SIGTERM)
            self._leaving.append((role, time.monotonic()))
        return post.fill

    def look_after(self) -> None:
        """Starts what is not there, and sees off what was told to stop."""
        now = time.monotonic()
        for post in (self._dispatcher, *self._workers):
            if post.role is not None and not post.role.runs:
                self._note(post.role, "by itself")
                post.role, post.again_at = None, now + _AGAIN_S
            if post.role is None and not post.vacant and now >= post.again_at:
                post.role = post.start()
        for role, since in self._leaving.copy():
            if not role.runs:
                self._note(role, "after SIGTERM")
                self._leaving.remove((role, since))
            elif now - since > LEAVES_WITHIN_S:
                self.failures.append(
                    f"{role.log.name} still ran {LEAVES_WITHIN_S:g} s after SIGTERM"
                )
                role.kill()

    def _note(self, role: Role, how: str) -> None:
        status = role.process.returncode
        self.exits[f"{role.log.stem.partition('-')[0]} {how}, status {status}"] += 1
        if status:
            self.ended_badly.append(role.log)

    def ready(self) -> bool:
        """Whether every role runs and says that it can work."""
        posts = ((post, post.role.port if post.role else 0) for post in self._workers)
        return all(
            post.role is not None and self.stack.ready(port, post.role)
            for post, port in ((self._dispatcher, self.stack.dispatcher_port), *posts)
        )

    def end(self) -> None:
        """Every role is told to stop, workers first."""
        for post in (*self._workers, self._dispatcher):
            post.vacant = True
            if post.role is not None:
                role = post.leave()
                role.process.send_signal(signal.SIGTERM)
                self._leaving.append((role, time.monotonic()))
        while self._leaving:
            self.look_after()
            time.sleep(0.05)


def _freeze(post: Post) -> Undo:
    role = post.role
    assert role is not None
    post.frozen = True
    role.freeze()

    def thaw() -> None:
        role.resume()
        post.frozen = False

    return thaw
