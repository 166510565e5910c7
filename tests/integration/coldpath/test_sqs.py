"""The SQS adapter against moto's S3 and SQS: real notifications, with their quirks."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import boto3
import pytest

from coldpath.s3events import ObjectCreated
from coldpath.sqs import SqsPoller
from infra.errors import StorageError
from tests.support.s3 import free_ports

pytestmark = pytest.mark.integration

PART = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    server = Path(sys.executable).with_name("moto_server")
    process = subprocess.Popen(
        [str(server), "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urlopen(f"{url}/moto-api/data.json", timeout=2).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "moto does not start"
                time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


class Aws:
    """A bucket that notifies a queue."""

    def __init__(self, url: str) -> None:
        account: dict[str, Any] = {
            "endpoint_url": url,
            "region_name": "us-east-1",
            "aws_access_key_id": "AK",
            "aws_secret_access_key": "SK",
        }
        self.s3 = boto3.client("s3", **account)
        self.sqs = boto3.client("sqs", **account)
        self.s3.create_bucket(Bucket="media")
        self.queue = self.sqs.create_queue(
            QueueName="events", Attributes={"VisibilityTimeout": "0"}
        )["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        self.s3.put_bucket_notification_configuration(
            Bucket="media",
            NotificationConfiguration={
                "QueueConfigurations": [
                    {"QueueArn": arn["Attributes"]["QueueArn"], "Events": ["s3:ObjectCreated:*"]}
                ]
            },
        )

    def waiting(self) -> int:
        answer = self.sqs.get_queue_attributes(
            QueueUrl=self.queue, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    def close(self) -> None:
        for key in self.s3.list_objects_v2(Bucket="media").get("Contents", []):
            self.s3.delete_object(Bucket="media", Key=key["Key"])
        self.s3.delete_bucket(Bucket="media")
        self.sqs.delete_queue(QueueUrl=self.queue)
        self.s3.close()
        self.sqs.close()


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SK")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    aws = Aws(moto)
    yield aws
    aws.close()


def drain(poller: SqsPoller) -> None:
    while poller.poll():
        pass


def test_the_test_event_that_comes_first_is_done_with(aws: Aws) -> None:
    (message,) = aws.sqs.receive_message(QueueUrl=aws.queue)["Messages"]
    assert json.loads(message["Body"])["Event"] == "s3:TestEvent"
    taken: list[ObjectCreated] = []
    poller = SqsPoller(aws.queue, taken.extend)
    drain(poller)
    poller.close()
    assert taken == []
    assert aws.waiting() == 0


def test_keys_come_decoded_and_a_multipart_upload_names_one_object(aws: Aws) -> None:
    taken: list[ObjectCreated] = []
    poller = SqsPoller(aws.queue, taken.extend)
    aws.s3.put_object(Bucket="media", Key="live/a b+c/seg 1.m4s", Body=b"x")
    upload = aws.s3.create_multipart_upload(Bucket="media", Key="live/mp.m4s")["UploadId"]
    part = aws.s3.upload_part(
        Bucket="media", Key="live/mp.m4s", UploadId=upload, PartNumber=1, Body=b"1" * PART
    )
    aws.s3.complete_multipart_upload(
        Bucket="media",
        Key="live/mp.m4s",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    drain(poller)
    poller.close()
    assert set(taken) == {
        ObjectCreated("media", "live/a b+c/seg 1.m4s"),
        ObjectCreated("media", "live/mp.m4s"),
    }
    assert aws.waiting() == 0


def test_a_message_is_kept_until_its_objects_were_filed(aws: Aws) -> None:
    taken: list[ObjectCreated] = []
    poller = SqsPoller(aws.queue, taken.extend)
    drain(poller)  # the test event

    def refuse(_: list[ObjectCreated]) -> None:
        raise StorageError("away")

    refusing = SqsPoller(aws.queue, refuse)
    aws.s3.put_object(Bucket="media", Key="live/x.m4s", Body=b"x")
    assert refusing.poll() == 0
    refusing.close()
    drain(poller)
    poller.close()
    assert taken == [ObjectCreated("media", "live/x.m4s")]


def test_what_nobody_understands_is_left_to_the_redrive_policy(aws: Aws) -> None:
    poller = SqsPoller(aws.queue, lambda _: None)
    drain(poller)
    aws.sqs.send_message(QueueUrl=aws.queue, MessageBody='{"hello": 1}')
    assert poller.poll() == 0
    poller.close()
    assert aws.waiting() == 1


def test_an_unreachable_queue_is_tried_again_until_the_stop(
    aws: Aws, caplog: pytest.LogCaptureFixture
) -> None:
    (port,) = free_ports(1)
    poller = SqsPoller(f"http://127.0.0.1:{port}/123/none", lambda _: None)
    stop = threading.Event()
    thread = threading.Thread(target=poller.run, args=(stop,))
    thread.start()
    while "cannot read" not in caplog.text:
        assert thread.is_alive()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    poller.close()
