"""`ObjectStore` over boto3: AWS S3, MinIO, SeaweedFS and others that speak S3.

Invariant: no botocore exception leaves this module, and no call lasts forever. Small requests get
short timeouts and a few retries; transfers get longer ones. Custom endpoints are addressed by path
and every request is signed with Signature Version 4 (SeaweedFS refuses older presigned URLs).
"""

import os
import re
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import boto3
from botocore.config import Config

from infra.errors import ObjectExists, ObjectMissing, StorageError
from infra.storage.objects import MAX_PRESIGN_S, ObjectInfo, ObjectStore
from infra.storage.s3_errors import mapped
from infra.storage.s3_puts import put_in_parts, put_whole
from infra.storage.url import S3Location

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

SINGLE_PUT_MAX = 64 * 1024 * 1024
"""Larger files are sent in parts; S3 itself would allow 5 GiB in one request."""
PAGE_KEYS = 1000
"""Keys in one answer of a listing; no S3 gives more."""
_CONNECTIONS = 16
_CHUNK = 1024 * 1024


class S3ObjectStore(ObjectStore):
    """One bucket behind the S3 API. Safe to share between threads."""

    def __init__(self, location: S3Location) -> None:
        self.location = location
        self._bucket = location.bucket
        # One session per store: the default session is shared state, and only clients are
        # documented as thread-safe.
        session = boto3.session.Session(
            aws_access_key_id=location.access_key,
            aws_secret_access_key=location.secret_key,
            region_name=location.region,
        )
        self._quick = _client(session, location, read_s=10, attempts=3)
        self._bulk = _client(session, location, read_s=30, attempts=2)
        self._probe = _client(session, location, read_s=3, attempts=1)
        self._public = _client(
            session, location, read_s=10, attempts=1, endpoint=location.public_endpoint
        )

    def put(
        self, key: str, data: bytes | Path, content_type: str, *, exclusive: bool = True
    ) -> str:
        large = isinstance(data, Path) and data.stat().st_size > SINGLE_PUT_MAX
        with mapped("PUT", self._bucket, key):
            if isinstance(data, Path) and large:
                if exclusive and self.head(key) is not None:
                    raise ObjectExists(f"s3://{self._bucket}/{key} exists already")
                return put_in_parts(
                    self._bulk, self._bucket, key, data, content_type, exclusive=exclusive
                )
            content = data.read_bytes() if isinstance(data, Path) else data
            return put_whole(
                self._bulk, self._bucket, key, content, content_type, exclusive=exclusive
            )

    def get(self, key: str) -> bytes:
        with mapped("GET", self._bucket, key):
            body = self._bulk.get_object(Bucket=self._bucket, Key=key)["Body"]
            with closing(body):
                return body.read()

    def read(self, key: str, first: int, count: int) -> bytes:
        with mapped("GET", self._bucket, key):
            body = self._bulk.get_object(
                Bucket=self._bucket, Key=key, Range=f"bytes={first}-{first + count - 1}"
            )["Body"]
            with closing(body):
                return body.read()

    def download(self, key: str, path: Path) -> None:
        partial = path.with_name(f".{path.name}.download")
        try:
            with mapped("GET", self._bucket, key):
                body = self._bulk.get_object(Bucket=self._bucket, Key=key)["Body"]
                with closing(body), partial.open("wb") as file:
                    for chunk in body.iter_chunks(_CHUNK):
                        file.write(chunk)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    def head(self, key: str) -> ObjectInfo | None:
        try:
            with mapped("HEAD", self._bucket, key):
                found = self._quick.head_object(Bucket=self._bucket, Key=key)
        except ObjectMissing:
            return None
        modified_ms = int(found["LastModified"].timestamp() * 1000)
        return ObjectInfo(key, found["ContentLength"], found["ETag"].strip('"'), modified_ms)

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        pages = self._quick.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket,
            Prefix=prefix,
            StartAfter=after,
            PaginationConfig={"PageSize": PAGE_KEYS},
        )
        with mapped("LIST", self._bucket, prefix):
            for page in pages:
                for found in page.get("Contents", []):
                    if not found["Key"].startswith(prefix):
                        # What is below a prefix is one tenant's, so others' must not pass.
                        raise StorageError(
                            f"{self.location.endpoint or 'S3'} lists {found['Key'][:200]!r} below "
                            f"{prefix!r}: it does not heed prefixes and cannot be used"
                        )
                    modified_ms = int(found["LastModified"].timestamp() * 1000)
                    etag = found["ETag"].strip('"')
                    yield ObjectInfo(found["Key"], found["Size"], etag, modified_ms)

    def presign(self, key: str, expires_s: int, download_name: str | None = None) -> str:
        if not 0 < expires_s <= MAX_PRESIGN_S:
            raise ValueError(f"expires_s must be 1..{MAX_PRESIGN_S}, not {expires_s}")
        params = {"Bucket": self._bucket, "Key": key}
        if download_name:
            params["ResponseContentDisposition"] = _attachment(download_name)
        with mapped("PRESIGN", self._bucket, key):
            return self._public.generate_presigned_url(
                "get_object", Params=params, ExpiresIn=expires_s
            )

    def ensure_bucket(self) -> None:
        try:
            self.check()
        except ObjectMissing:
            with mapped("CREATE", self._bucket, ""), suppress(ObjectExists):
                if self.location.endpoint or self.location.region == "us-east-1":
                    self._quick.create_bucket(Bucket=self._bucket)
                else:
                    self._quick.create_bucket(
                        Bucket=self._bucket,
                        CreateBucketConfiguration={"LocationConstraint": self.location.region},  # type: ignore[typeddict-item]
                    )

    def check(self) -> None:
        with mapped("HEAD", self._bucket, ""):
            self._probe.head_bucket(Bucket=self._bucket)

    def close(self) -> None:
        for client in (self._quick, self._bulk, self._probe, self._public):
            client.close()


def _client(
    session: boto3.session.Session,
    location: S3Location,
    *,
    read_s: int,
    attempts: int,
    endpoint: str | None = None,
) -> "S3Client":
    endpoint = endpoint or location.endpoint
    return session.client(
        "s3",
        endpoint_url=endpoint,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if endpoint else "auto"},
            connect_timeout=3,
            read_timeout=read_s,
            retries={"total_max_attempts": attempts, "mode": "standard"},
            max_pool_connections=_CONNECTIONS,
            # Content-MD5 guards the puts; many S3 servers do not know the newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def _attachment(name: str) -> str:
    """RFC 6266: a quoted ASCII name, and the true one percent-encoded where it differs."""
    plain = re.sub(r'[^\x20-\x7e]|["\\/]', "_", name)
    value = f'attachment; filename="{plain}"'
    return value if plain == name else f"{value}; filename*=UTF-8''{quote(name, safe='')}"
