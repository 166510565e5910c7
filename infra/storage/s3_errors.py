"""Maps what botocore raises onto `infra.errors`: one place decides what each S3 answer means."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
)
from botocore.exceptions import ConnectionError as Unreachable

from infra.errors import ObjectExists, ObjectMissing, StorageBusy, StorageError

# HEAD answers carry no body, so botocore reports the bare status as code.
_MISSING = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound"})
_TAKEN = frozenset({"412", "PreconditionFailed", "BucketAlreadyOwnedByYou"})
_REFUSED = frozenset({"403", "401", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"})

_BUSY = frozenset({"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException"})


@contextmanager
def mapped(verb: str, bucket: str, key: str) -> Iterator[None]:
    """Any botocore failure of the body leaves as a StorageError that names request and object."""
    what = f"{verb} s3://{bucket}/{key}"
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        if code in _MISSING:
            raise ObjectMissing(f"{what}: not found") from error
        if code in _TAKEN:
            raise ObjectExists(f"{what}: exists already") from error
        message = error.response.get("Error", {}).get("Message", "")
        if _is_busy(error):
            raise StorageBusy(f"{what}: {code} {message}") from error
        hint = "; check key, secret and permissions in the S3 URL" if code in _REFUSED else ""
        raise StorageError(f"{what}: {code} {message}{hint}") from error
    except NoCredentialsError as error:
        fix = "give key:secret@ in the S3 URL or configure the AWS credential chain"
        raise StorageError(f"{what}: no credentials; {fix}") from error
    except (HTTPClientError, Unreachable) as error:
        raise StorageBusy(f"{what}: {error}") from error
    except BotoCoreError as error:
        raise StorageError(f"{what}: {error}") from error


def error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _is_busy(error: ClientError) -> bool:
    """A fault of the server, or its wish that we slow down."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or status == 429 or error_code(error) in _BUSY


def is_taken(error: ClientError) -> bool:
    """If-None-Match found an object."""
    return error_code(error) in _TAKEN


def is_conflict(error: ClientError) -> bool:
    """409: another conditional write to the key was under way; S3 asks to try again."""
    return error_code(error) in ("ConditionalRequestConflict", "OperationAborted")
