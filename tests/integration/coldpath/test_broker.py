"""What the dispatcher sends and counts, on a real Valkey; and the visibility heartbeat."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.worker import state

from coldpath import broker as broker_module
from coldpath.app import create_app
from coldpath.broker import Broker
from coldpath.deliveries import Delivery
from coldpath.errors import BrokerError
from coldpath.heartbeat import refresh
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration

QUEUES = ("fast", "bulk")


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path) as server:
        yield server


@pytest.fixture
def app(valkey: ValkeyServer) -> Iterator[Celery]:
    app = create_app(valkey.url, visibility_timeout_s=5)
    yield app
    app.close()


@pytest.fixture
def broker(app: Celery, valkey: ValkeyServer) -> Iterator[Broker]:
    broker = Broker(app, valkey.url, timeout_s=1.0)
    yield broker
    broker.close()


class Taken:
    """A delivery that a worker holds, not acknowledged."""

    def __init__(self, app: Celery, queue: str) -> None:
        self._connection = app.connection_for_read()
        self._simple = self._connection.SimpleQueue(queue)
        self.message: Any = self._simple.get(timeout=10)

    def close(self) -> None:
        self._simple.close()
        self._connection.close()


def test_a_delivery_is_alive_in_its_queue_and_in_a_worker(app: Celery, broker: Broker) -> None:
    broker.send(Delivery("job_a", "bulk"))
    broker.send(Delivery("job_b", "fast"))
    assert broker.live(QUEUES) == {"job_a", "job_b"}
    taken = Taken(app, "bulk")
    assert broker.live(QUEUES) == {"job_a", "job_b"}
    taken.message.ack()
    assert broker.live(QUEUES) == {"job_b"}
    taken.close()


def test_a_delivery_carries_the_id_and_nothing_else(app: Celery, broker: Broker) -> None:
    broker.send(Delivery("job_a", "bulk"))
    taken = Taken(app, "bulk")
    assert taken.message.payload[:2] == [["job_a"], {}]
    assert taken.message.headers["task"] == "livepath.job"
    assert taken.message.headers["id"] == "job_a"
    taken.message.ack()
    taken.close()


def test_what_else_lies_in_the_queue_does_no_harm(valkey: ValkeyServer, broker: Broker) -> None:
    with valkey.client() as client:
        client.rpush("bulk", "not json", "3", json.dumps({"headers": {}}))
        client.hset("unacked", mapping={"x": "not json", "y": "[]", "z": "{}"})
    broker.send(Delivery("job_a", "bulk"))
    assert broker.live(QUEUES) == {"job_a"}


def test_of_very_long_queues_nothing_is_said(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "MAX_LISTED", 1)
    for job in ("job_a", "job_b"):
        broker.send(Delivery(job, "bulk"))
    assert broker.live(QUEUES) is None


def test_a_broker_that_is_away(valkey: ValkeyServer, broker: Broker) -> None:
    broker.check()
    valkey.stop()
    with pytest.raises(BrokerError, match="did not take job_a"):
        broker.send(Delivery("job_a", "bulk"))
    with pytest.raises(BrokerError, match="cannot be read"):
        broker.live(QUEUES)
    with pytest.raises(BrokerError, match="does not answer"):
        broker.check()
    valkey.start()
    broker.send(Delivery("job_a", "bulk"))
    assert broker.live(QUEUES) == {"job_a"}


class HeldRequest:
    """What the heartbeat reads of Celery's requests."""

    def __init__(self, message: Any) -> None:
        self.message = message
        self.acknowledged = False


class TestHeartbeat:
    @pytest.fixture
    def held(self, app: Celery, broker: Broker) -> Iterator[Any]:
        """A request as Celery's worker keeps it."""
        broker.send(Delivery("job_a", "bulk"))
        taken = Taken(app, "bulk")
        request = HeldRequest(taken.message)
        state.active_requests.add(request)
        yield request
        state.active_requests.discard(request)
        taken.close()

    def score(self, valkey: ValkeyServer, tag: str) -> float | None:
        with valkey.client() as client:
            found = client.zscore("unacked_index", tag)
        return None if found is None else float(found)

    def test_a_held_delivery_is_refreshed(self, valkey: ValkeyServer, held: Any) -> None:
        tag = held.message.delivery_tag
        with valkey.client() as client:
            client.zadd("unacked_index", {tag: 1.0})
        before = time.time()
        assert refresh() == 1
        assert (self.score(valkey, tag) or 0) >= before

    def test_an_acknowledged_one_is_not(self, valkey: ValkeyServer, held: Any) -> None:
        held.acknowledged = True
        assert refresh() == 0

    def test_one_that_was_handed_out_again_is_not_taken_back(
        self, valkey: ValkeyServer, held: Any
    ) -> None:
        with valkey.client() as client:
            client.delete("unacked_index")
        refresh()
        assert self.score(valkey, held.message.delivery_tag) is None

    def test_a_broker_that_is_away_is_for_the_next_beat(
        self, valkey: ValkeyServer, held: Any
    ) -> None:
        valkey.stop()
        assert refresh() == 0
        valkey.start()
