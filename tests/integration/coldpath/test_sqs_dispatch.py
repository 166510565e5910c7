"""A dispatcher that is told of objects by a queue: moto's S3 and SQS, and a role of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.coldpath import ColdStack
from tests.support.moto import CREDENTIALS, Aws, moto_server
from tests.support.s3 import free_ports
from tests.support.valkey import ValkeyServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NEVER_S = "3600"


@pytest.fixture
def aws() -> Iterator[Aws]:
    with moto_server() as url:
        aws = Aws(url)
        yield aws
        aws.close()


@pytest.fixture
def stack(aws: Aws, tmp_path: Path) -> Iterator[ColdStack]:
    (port,) = free_ports(1)
    (tmp_path / "broker").mkdir()
    with ValkeyServer(tmp_path / "broker") as broker:
        stack = ColdStack(
            tmp_path,
            database_url=f"sqlite:///{tmp_path}/livepath.db",
            broker_url=broker.url,
            s3_url=f"s3://AK:SK@media?endpoint={aws.s3.meta.endpoint_url}",
            port=port,
            settings={
                **CREDENTIALS,
                "LIVEPATH_SQS_QUEUE_URL": aws.queue,
                # It finds what no event tells of, when it starts: nothing.
                "LIVEPATH_RECONCILE_INTERVAL_S": NEVER_S,
            },
            functions=("archive",),
        )
        yield stack
        stack.close()


def manifest(event: str) -> str:
    return f"live/p/{event}/main/i1/manifest.json"


def sent(stack: ColdStack, event: str) -> bool:
    return any(job.delivery_sent_ms for job in stack.jobs(event))


def test_a_queue_tells_of_objects_until_the_dispatcher_is_stopped(
    stack: ColdStack, aws: Aws
) -> None:
    dispatcher = stack.dispatcher()
    stack.until("the queue's test event is done with", lambda: aws.waiting() == 0)
    aws.bucket("media", prefix="live/p/told/")
    aws.bucket("other")
    # The object that the other bucket's event names is in this one, too, but nobody tells of it.
    for bucket in ("media", "other"):
        aws.s3.put_object(Bucket=bucket, Key=manifest("foreign"), Body=b"{}")
    aws.s3.put_object(Bucket="media", Key=manifest("told"), Body=b"{}")
    stack.until("a job is filed and sent", lambda: sent(stack, "told"))
    stack.until("every message is deleted", lambda: aws.waiting() == 0)
    (job,) = stack.jobs("told")
    assert (job.function, job.input_key) == ("archive", manifest("told"))
    assert stack.jobs("foreign") == []
    assert "no event told of" not in dispatcher.log.read_text()
    assert dispatcher.terminate() == 0
    assert "Traceback" not in dispatcher.log.read_text()
    # What comes later waits for the next dispatcher.
    aws.s3.put_object(Bucket="media", Key="live/p/told/main/i2/manifest.json", Body=b"{}")
    assert aws.waiting() == 1
    assert len(stack.jobs("told")) == 1
    stack.dispatcher()
    stack.until("it is done with then", lambda: aws.waiting() == 0)
    assert len(stack.jobs("told")) == 2
