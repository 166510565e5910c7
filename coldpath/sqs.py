"""Object events from an SQS queue.

Invariant: a message is deleted only after its objects were filed, so an event is never lost here;
it may come twice, and filing it twice files it once. A message that nobody understands is left to
the queue's redrive policy, which is where it can be looked at.

Upstream: S3 notifications (directly, or SNS in between). Downstream: `coldpath.intake`.
"""

import logging
import threading
from collections.abc import Callable
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
_REGION_LABEL = 2  # sqs.<region>.amazonaws.com


class SqsPoller:
    """Reads one queue. `take` files the objects of a message and raises if it cannot."""

    def __init__(self, queue_url: str, take: Callable[[list[ObjectCreated]], object]) -> None:
        self._url = queue_url
        self._take = take
        parts = urlsplit(queue_url)
        labels = (parts.hostname or "").split(".")
        aws = labels[-2:] == ["amazonaws", "com"] and len(labels) > _REGION_LABEL + 1
        self._sqs = boto3.client(
            "sqs",
            region_name=labels[1] if aws else None,
            endpoint_url=None if aws else f"{parts.scheme}://{parts.netloc}",
            config=Config(connect_timeout=3, read_timeout=WAIT_S + 5, retries={"max_attempts": 1}),
        )

    def run(self, stop: threading.Event) -> None:
        """Polls until `stop` is set."""
        while not stop.is_set():
            try:
                self.poll()
            except (BotoCoreError, ClientError) as error:
                log.warning("cannot read %s: %s", self._url, error)
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
        return True
