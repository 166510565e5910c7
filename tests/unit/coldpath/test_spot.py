"""Interruption notices, and what a watch makes of them."""

import json
import threading
import time
from collections.abc import Iterator

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldpath.spot import MARGIN_S, Metadata, Notice, StopFlag, Watch, parse
from tests.support.imds import Service

NOW = 1_800_000_000.0
TIME = "2027-01-15T08:02:00Z"  # two minutes after NOW
PATIENCE_S = 10


class TestReading:
    def test_there_is_nothing_to_tell(self) -> None:
        assert parse(None, None, NOW) is None

    def test_a_stop_has_a_time(self) -> None:
        said = json.dumps({"action": "terminate", "time": TIME})
        assert parse(None, said, NOW) == Notice("spot terminate", NOW + 120)

    def test_a_recommendation_has_none(self) -> None:
        said = json.dumps({"noticeTime": TIME})
        assert parse(said, None, NOW) == Notice("rebalance recommendation", None)

    def test_a_stop_is_more_urgent(self) -> None:
        found = parse("{}", json.dumps({"action": "stop", "time": TIME}), NOW)
        assert found == Notice("spot stop", NOW + 120)

    @given(st.text() | st.from_regex(r'\{"action": .*, "time": ".*"\}', fullmatch=True))
    def test_an_unreadable_stop_is_one_in_two_minutes(self, said: str) -> None:
        found = parse(None, said, NOW)
        assert found is not None
        assert found.ends_at is not None


@pytest.fixture
def service() -> Iterator[Service]:
    with Service().running() as service:
        yield service


def test_the_service_is_asked_with_one_token(service: Service) -> None:
    metadata = Metadata(service.url)
    assert metadata.read(NOW) is None
    service.documents["rebalance"] = json.dumps({"noticeTime": TIME})
    assert metadata.read(NOW) == Notice("rebalance recommendation", None)
    assert len(service.tokens) == 1
    metadata.close()


def test_a_token_that_is_refused_is_replaced(service: Service) -> None:
    metadata = Metadata(service.url)
    metadata.read(NOW)
    service.tokens.append("another")
    with pytest.raises(httpx2.HTTPError):
        metadata.read(NOW)
    assert metadata.read(NOW) is None
    metadata.close()


class Heard:
    """What a watch called."""

    def __init__(self) -> None:
        self.drained: list[Notice] = []
        self.stopped: list[Notice] = []
        self.changed = threading.Condition()

    def drain(self, notice: Notice) -> None:
        with self.changed:
            self.drained.append(notice)
            self.changed.notify_all()

    def stop(self, notice: Notice) -> None:
        with self.changed:
            self.stopped.append(notice)
            self.changed.notify_all()

    def until(self, drained: int, stopped: int) -> bool:
        def reached() -> bool:
            return (len(self.drained), len(self.stopped)) == (drained, stopped)

        with self.changed:
            return self.changed.wait_for(reached, PATIENCE_S)


def test_a_recommendation_drains_and_a_stop_ends(service: Service) -> None:
    heard = Heard()
    watch = Watch(Metadata(service.url), heard.drain, heard.stop, poll_s=0.02)
    watch.start()
    answered_once(service)
    service.rebalance()
    assert heard.until(1, 0)
    service.stop(in_s=MARGIN_S)
    assert heard.until(1, 1)
    watch.close()


def test_a_recommendation_from_before_the_start_changes_nothing(service: Service) -> None:
    """Else a worker that ended because of it would be started again to end again, for ever."""
    service.rebalance()
    heard = Heard()
    watch = Watch(Metadata(service.url), heard.drain, heard.stop, poll_s=0.02)
    watch.start()
    answered_once(service)
    answered_once(service)
    assert heard.until(0, 0)
    service.stop(in_s=MARGIN_S)
    assert heard.until(1, 1)
    watch.close()


def test_a_stop_leaves_jobs_their_time_to_end(service: Service) -> None:
    heard = Heard()
    watch = Watch(Metadata(service.url), heard.drain, heard.stop, poll_s=0.02, grace_s=600)
    watch.start()
    service.stop(in_s=MARGIN_S + 600)
    assert heard.until(1, 1)
    watch.close()


def answered_once(service: Service) -> None:
    """Returns when one more question was answered whole."""
    before = len(service.asked)
    until = time.monotonic() + PATIENCE_S
    while "instance-action" not in service.asked[before:]:
        assert time.monotonic() < until
        time.sleep(0.005)


class LateMetadata(Metadata):
    """Answers from the third question on; before that nobody listens there."""

    asked = 0

    def read(self, now: float) -> Notice | None:
        self.asked += 1
        if self.asked < 3:
            return super().read(now)
        return None if self.asked == 3 else Notice("rebalance recommendation", None)


def test_a_service_that_is_away_is_asked_again() -> None:
    heard = Heard()
    service = Service()
    with service.running():
        url = service.url
    metadata = LateMetadata(url, timeout_s=0.2)
    watch = Watch(metadata, heard.drain, heard.stop, poll_s=0.02)
    watch.start()
    assert heard.until(1, 0)
    watch.close()
    assert metadata.asked >= 4


def test_a_flag_is_down_until_it_is_set() -> None:
    flag = StopFlag()
    assert not flag.is_set()
    flag.set()
    assert flag.is_set()
