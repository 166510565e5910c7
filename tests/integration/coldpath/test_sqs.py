"""The SQS adapter against moto's S3 and SQS: real notifications, with their quirks."""

import json
import threading
from collections.abc import Iterator

import pytest

from coldpath.s3events import ObjectCreated
from coldpath.sqs import SqsPoller
from infra.errors import StorageError
from tests.support.moto import CREDENTIALS, Aws, moto_server
from tests.support.s3 import free_ports

pytestmark = pytest.mark.integration

PART = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
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
