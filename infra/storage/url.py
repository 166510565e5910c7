"""The object-store URL: one string names bucket, credentials and endpoints.

    s3://[key:secret@]bucket[?endpoint=URL&region=R&public_endpoint=URL]

Pure parsing. Invariant: an error message never repeats the URL, because it may hold a secret.
Without a key the AWS credential chain is used, without an endpoint AWS itself. `public_endpoint`
is the address that presigned URLs carry, for clients that reach the store by another name.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from infra.errors import ConfigurationError

_FORM = "s3://[key:secret@]bucket[?endpoint=URL&region=R&public_endpoint=URL]"
# S3 general-purpose bucket naming rules: 3-63 characters, lowercase, starts and ends alphanumeric.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9-]{1,32}")
_OPTIONS = frozenset({"endpoint", "region", "public_endpoint"})


@dataclass(frozen=True, slots=True)
class S3Location:
    """Where a bucket is and how to sign for it."""

    bucket: str
    region: str = "us-east-1"
    endpoint: str | None = None
    """None: AWS."""
    public_endpoint: str | None = None
    """None: presigned URLs carry `endpoint`."""
    access_key: str | None = None
    """None: the AWS credential chain."""
    secret_key: str | None = field(default=None, repr=False)


def parse_s3_url(url: str) -> S3Location:
    """The location that an `s3://` URL names, or ConfigurationError with the fix."""
    try:
        parts = urlsplit(url)
        access_key, secret_key, host, port = (
            parts.username,
            parts.password,
            parts.hostname,
            parts.port,
        )
    except ValueError:
        raise _wrong("percent-encode `/`, `?`, `#` and `@` in key and secret") from None
    if parts.scheme != "s3":
        raise _wrong("it must start with s3://")
    if not host or not _BUCKET.fullmatch(host):
        raise _wrong("the bucket name is missing or breaks S3's naming rules")
    if port is not None:
        raise _wrong("a port belongs into endpoint=URL, not behind the bucket")
    if parts.path not in ("", "/") or parts.fragment:
        raise _wrong("nothing may stand between the bucket and `?`; percent-encode `#`")
    if bool(access_key) != bool(secret_key):
        raise _wrong("give both key and secret, or neither to use the AWS credential chain")
    options = _options(parts.query)
    return S3Location(
        bucket=host,
        region=options.get("region", "us-east-1"),
        endpoint=options.get("endpoint"),
        public_endpoint=options.get("public_endpoint"),
        access_key=unquote(access_key) if access_key else None,
        secret_key=unquote(secret_key) if secret_key else None,
    )


def _options(query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) != len(pairs):
        raise _wrong("an option is given twice")
    if unknown := sorted(set(options) - _OPTIONS):
        raise _wrong(f"it knows no option {unknown[0]!r}")
    for name in ("endpoint", "public_endpoint"):
        if name in options:
            options[name] = _endpoint(name, options[name])
    if "region" in options and not _REGION.fullmatch(options["region"]):
        raise _wrong("region must look like eu-central-1")
    return options


def _endpoint(name: str, value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.username is not None:
        raise _wrong(f"{name} must be http(s)://host[:port]")
    return value.rstrip("/")


def _wrong(why: str) -> ConfigurationError:
    return ConfigurationError(f"the S3 URL cannot be used: {why}; it has the form {_FORM}")
