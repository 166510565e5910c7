"""Where a queue is, as its URL says it, and what a poller does about faults of its own."""

import logging
import threading

import pytest

from coldpath.s3events import ObjectCreated
from coldpath.sqs import Place, SqsPoller, place_of

BODY = (
    '{"Records": [{"eventName": "ObjectCreated:Put",'
    ' "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}}]}'
)


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("sqs.eu-central-1.amazonaws.com", "eu-central-1"),
        ("sqs.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("eu-west-1.queue.amazonaws.com", "eu-west-1"),
        ("cn-northwest-1.queue.amazonaws.com.cn", "cn-northwest-1"),
        ("queue.amazonaws.com", "us-east-1"),
    ],
)
def test_a_public_name_says_the_region(host: str, region: str) -> None:
    assert place_of(f"https://{host}/123456789012/events") == Place(region, None)


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("vpce-0a1b-2c3d.sqs.us-east-1.vpce.amazonaws.com", "us-east-1"),
        ("vpce-0a1b-2c3d-us-east-1a.sqs.us-east-1.vpce.amazonaws.com", "us-east-1"),
        ("vpce-0a1b-2c3d.sqs.cn-north-1.vpce.amazonaws.com.cn", "cn-north-1"),
        ("sqs-fips.us-west-2.amazonaws.com", "us-west-2"),
        ("sqs.eu-north-1.api.aws", "eu-north-1"),
        ("localhost:4566", None),
        ("sqs.eu-central-1.amazonaws.com.example.org", None),
    ],
)
def test_another_door_is_the_endpoint(host: str, region: str | None) -> None:
    assert place_of(f"https://{host}/123456789012/events") == Place(region, f"https://{host}")


class Faulty(SqsPoller):
    """Meets a fault that nobody thought of, and then is told to stop."""

    def __init__(self, stop: threading.Event) -> None:
        super().__init__("https://sqs.eu-central-1.amazonaws.com/123456789012/events", print)
        self.polls = 0
        self._told = stop

    def poll(self) -> int:
        self.polls += 1
        if self.polls == 1:
            raise KeyError("Messages")
        self._told.set()
        return 0


def test_a_fault_is_told_and_polling_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coldpath.sqs._PAUSE_S", 0.0)
    stop = threading.Event()
    poller = Faulty(stop)
    poller.run(stop)
    poller.close()
    assert poller.polls == 2
    assert [r.levelno for r in caplog.records if r.name == "coldpath.sqs"] == [logging.ERROR]


def test_a_message_over_which_somebody_falls_is_left(caplog: pytest.LogCaptureFixture) -> None:
    def take(_: list[ObjectCreated]) -> None:
        raise ZeroDivisionError

    poller = SqsPoller("https://sqs.eu-central-1.amazonaws.com/123456789012/events", take)
    assert not poller._handle(BODY)
    poller.close()
    assert "ZeroDivisionError" in caplog.text
