"""What an answer of S3 means to whoever asked."""

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    ParamValidationError,
    ReadTimeoutError,
)

from infra.errors import ObjectExists, ObjectMissing, StorageBusy, StorageError
from infra.storage.s3_errors import mapped


def answer(status: int, code: str) -> ClientError:
    meta = {"HTTPStatusCode": status, "RequestId": "", "HostId": "", "HTTPHeaders": {}}
    said = {
        "Error": {"Code": code, "Message": "m"},
        "ResponseMetadata": {**meta, "RetryAttempts": 0},
    }
    return ClientError(said, "PutObject")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (answer(404, "NoSuchKey"), ObjectMissing),
        (answer(412, "PreconditionFailed"), ObjectExists),
        (answer(403, "AccessDenied"), StorageError),
        (answer(400, "InvalidRequest"), StorageError),
        (answer(503, "SlowDown"), StorageBusy),
        (answer(500, "InternalError"), StorageBusy),
        (answer(400, "RequestTimeout"), StorageBusy),
        (answer(429, "429"), StorageBusy),
        (EndpointConnectionError(endpoint_url="http://s3"), StorageBusy),
        (ReadTimeoutError(endpoint_url="http://s3"), StorageBusy),
        (ParamValidationError(report="r"), StorageError),
    ],
)
def test_an_answer_is_told_by_what_it_means(
    error: ClientError | BotoCoreError, meaning: type[StorageError]
) -> None:
    with (
        pytest.raises(StorageError, match="PUT s3://bucket/key") as caught,
        mapped("PUT", "bucket", "key"),
    ):
        raise error
    assert type(caught.value) is meaning
