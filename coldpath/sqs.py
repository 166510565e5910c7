"""Object events from an SQS queue.

Invariant: a message is deleted only after its objects were filed, so an event is never lost here;
it may come twice, and filing it twice files it once. A message that nobody understands is left to
the queue's redrive policy, which is where it can be looked at.

Upstream: S3 notifications (directly, or SNS in between). Downstream: `coldpath.intake`.
"""

import logging
import re
import threading
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy.exc import DBAPIError

from coldpath import s3events
from coldpath.errors import EventFormatError
from coldpath.s3events import ObjectCreated
from infra.errors import StorageError

log = logging.getLogger(__name__)

WAIT_S = 2
"""Long poll; short enough that the dispatcher stops in time."""
_BATCH = 10
_PAUSE_S = 5.0
_R = r"([a-z]{2}(?:-[a-z]+)+-\d+)"
_PUBLIC = re.compile(rf"(?:sqs\.{_R}|{_R}\.queue)\.amazonaws\.com(?:\.cn)?")
"""How queues are named, now and formerly; boto knows where they are."""
_OTHER = re.compile(
    rf"(?:vpce-[a-z0-9-]+\.sqs\.{_R}\.vpce|sqs-fips\.{_R})\.amazonaws\.com(?:\.cn)?"
    rf"|sqs\.{_R}\.api\.aws"
)
"""Other doors to them: of a VPC, FIPS, IPv6."""
_NAMELESS = "queue.amazonaws.com"
"""The former name in us-east-1."""


class Place(NamedTuple):
    """Where a queue is. None: the environment says the region, boto the endpoint."""

    region: str | None
    endpoint: str | None


def place_of(queue_url: str) -> Place:
    """What the URL says of that. A host that is not AWS's is the endpoint itself."""
    parts = urlsplit(queue_url)
    host, endpoint = parts.hostname or "", f"{parts.scheme}://{parts.netloc}"
    if host == _NAMELESS:
        return Place("us-east-1", None)
    if public := _PUBLIC.fullmatch(host):
        return Place(public[1] or public[2], None)
    other = _OTHER.fullmatch(host)
    return Place(other and (other[1] or other[2] or other[3]), endpoint)


class SqsPoller:
    """Reads one queue. `take` files the objects of a message and raises if it cannot."""

    def __init__(self, queue_url: str, take: Callable[[list[ObjectCreated]], object]) -> None:
        self._url = queue_url
        self._take = take
        place = place_of(queue_url)
        self._sqs = boto3.client(
            "sqs",
            region_name=place.region,
            endpoint_url=place.endpoint,
            config=Config(connect_timeout=3, read_timeout=WAIT_S + 5, retries={"max_attempts": 1}),
        )

    def run(self, stop: threading.Event) -> None:
        """Polls until `stop` is set, whatever happens: the events that do not come this way are
        found by the reconciler, but nobody does its work where the dispatcher has ended."""
        while not stop.is_set():
            try:
                self.poll()
            except (BotoCoreError, ClientError) as error:
                log.warning("cannot read %s: %s", self._url, error)
                stop.wait(_PAUSE_S)
            except Exception:
                log.exception("a fault while reading %s", self._url)
                stop.wait(_PAUSE_S)

    def poll(self) -> int:
        """Takes one batch; returns how many messages were done with."""
        answer = self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=_BATCH, WaitTimeSeconds=WAIT_S
        )
        done = 0
        for message in answer.get("Messages", []):
            if self._handle(message.get("Body", "")):
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
                done += 1
        return done

    def close(self) -> None:
        self._sqs.close()

    def _handle(self, body: str) -> bool:
        try:
            self._take(s3events.s3(body.encode("utf-8", "surrogatepass")))
        except (EventFormatError, StorageError, DBAPIError) as error:
            log.warning("left a message in %s: %s", self._url, error)
            return False
        except Exception:
            # Raised further it would keep the messages behind this one from being read.
            log.exception("left a message in %s", self._url)
            return False
        return True
