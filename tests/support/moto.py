"""S3 and SQS as moto serves them: real notifications, on a real socket."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import boto3

from tests.support.s3 import free_ports

REGION = "us-east-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AK",
    "AWS_SECRET_ACCESS_KEY": "SK",
    "AWS_DEFAULT_REGION": REGION,
}
"""Any will do."""


@contextmanager
def moto_server() -> Iterator[str]:
    """Its URL."""
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
    """Buckets that notify a queue."""

    def __init__(self, url: str) -> None:
        account: dict[str, Any] = {
            "endpoint_url": url,
            "region_name": REGION,
            "aws_access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        }
        self.s3 = boto3.client("s3", **account)
        self.sqs = boto3.client("sqs", **account)
        self.queue = self.sqs.create_queue(
            QueueName="events", Attributes={"VisibilityTimeout": "0"}
        )["QueueUrl"]
        self._buckets: list[str] = []
        self.bucket("media")

    def bucket(self, name: str, *, prefix: str = "") -> None:
        """One whose new objects the queue tells of; of those with the prefix alone. An existing
        one is told of like that from now on."""
        if name not in self._buckets:
            self.s3.create_bucket(Bucket=name)
            self._buckets.append(name)
        arn = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        told: dict[str, Any] = {
            "QueueArn": arn["Attributes"]["QueueArn"],
            "Events": ["s3:ObjectCreated:*"],
        }
        if prefix:
            told["Filter"] = {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}}
        self.s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"QueueConfigurations": [told]}
        )

    def waiting(self) -> int:
        """Messages that were not deleted."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        answer = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=list(names))
        return sum(int(answer["Attributes"][name]) for name in names)

    def close(self) -> None:
        for bucket in self._buckets:
            for key in self.s3.list_objects_v2(Bucket=bucket).get("Contents", []):
                self.s3.delete_object(Bucket=bucket, Key=key["Key"])
            self.s3.delete_bucket(Bucket=bucket)
        self.sqs.delete_queue(QueueUrl=self.queue)
        self.s3.close()
        self.sqs.close()
