"""The two ways to store an object: in one request, or in parts that appear together at the end.

Both send Content-MD5, so a store never keeps bytes that were damaged on the way, and both carry
`If-None-Match: *` where the write is exclusive (for parts: on the completing request).
"""

import hashlib
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.storage.s3_errors import is_conflict, is_taken

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES = 32 * 1024 * 1024
"""S3 allows 10,000 parts: 320 GB."""
_ATTEMPTS_ON_CONFLICT = 3


def put_whole(
    client: "S3Client", bucket: str, key: str, content: bytes, content_type: str, *, exclusive: bool
) -> str:
    """One PUT. Returns the ETag; a taken key leaves as botocore's 412."""
    request: dict[str, Any] = {"IfNoneMatch": "*"} if exclusive else {}
    for attempt in range(_ATTEMPTS_ON_CONFLICT):
        try:
            return client.put_object(
                Bucket=bucket,
                Key=key,
                Body=content,
                ContentType=content_type,
                ContentMD5=_content_md5(content),
                **request,
            )["ETag"].strip('"')
        except ClientError as error:
            if is_taken(error) and _retried(error):
                return _own_etag(client, bucket, key, content, error)
            if not is_conflict(error) or attempt == _ATTEMPTS_ON_CONFLICT - 1:
                raise
    raise AssertionError("unreachable")


def put_in_parts(
    client: "S3Client", bucket: str, key: str, path: Path, content_type: str, *, exclusive: bool
) -> str:
    """A multipart upload of a file, removed again if it cannot be completed. Returns the ETag.

    AWS decides a race of exclusive uploads atomically. SeaweedFS can let two that complete in the
    same moment both win, the later one replacing the earlier: callers write content-keyed objects
    this way, where both are the same bytes.
    """
    upload = client.create_multipart_upload(Bucket=bucket, Key=key, ContentType=content_type)[
        "UploadId"
    ]
    request: dict[str, Any] = {"IfNoneMatch": "*"} if exclusive else {}
    try:
        parts = _send_parts(client, bucket, key, path, upload)
        return client.complete_multipart_upload(
            Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **request
        )["ETag"].strip('"')
    except BaseException:
        # A time limit is raised wherever the upload is; parts that nobody removes are paid for.
        with suppress(BotoCoreError, ClientError):
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        raise


def _send_parts(
    client: "S3Client", bucket: str, key: str, path: Path, upload: str
) -> "list[CompletedPartTypeDef]":
    parts: list[CompletedPartTypeDef] = []
    with path.open("rb") as file:
        while chunk := file.read(PART_BYTES):
            number = len(parts) + 1
            etag = client.upload_part(
                Bucket=bucket,
                Key=key,
                UploadId=upload,
                PartNumber=number,
                Body=chunk,
                ContentMD5=_content_md5(chunk),
            )["ETag"]
            parts.append({"PartNumber": number, "ETag": etag})
    return parts


def _own_etag(client: "S3Client", bucket: str, key: str, content: bytes, error: ClientError) -> str:
    """botocore's second try can meet the object that its first, unanswered try wrote."""
    etag = client.head_object(Bucket=bucket, Key=key)["ETag"].strip('"')
    if etag != hashlib.md5(content, usedforsecurity=False).hexdigest():
        raise error
    return etag


def _retried(error: ClientError) -> bool:
    return bool(error.response["ResponseMetadata"].get("RetryAttempts", 0))


def _content_md5(content: bytes) -> str:
    return b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
