from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import ConfigurationError
from infra.storage.url import S3Location, parse_s3_url


def test_a_full_url_names_everything() -> None:
    location = parse_s3_url(
        "s3://KEY:SECRET@bucket?endpoint=http://127.0.0.1:8088&region=eu-central-1"
        "&public_endpoint=https://media.example.org/"
    )
    assert location == S3Location(
        bucket="bucket",
        region="eu-central-1",
        endpoint="http://127.0.0.1:8088",
        public_endpoint="https://media.example.org",
        access_key="KEY",
        secret_key="SECRET",
    )


def test_a_bare_bucket_means_aws_and_its_credential_chain() -> None:
    assert parse_s3_url("s3://my.bucket-1") == S3Location(bucket="my.bucket-1")


def test_key_and_secret_are_percent_decoded() -> None:
    location = parse_s3_url("s3://a%40b:x%2Fy+z%3A@bucket")
    assert (location.access_key, location.secret_key) == ("a@b", "x/y+z:")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://bucket", "s3://"),
        ("s3://", "bucket name"),
        ("s3://B", "bucket name"),
        ("s3://bucket:9000", "port"),
        ("s3://bucket/prefix", "between"),
        ("s3://key@bucket", "both key and secret"),
        ("s3://:secret@bucket", "both key and secret"),
        ("s3://key:hidden/secret@bucket", "percent-encode"),
        ("s3://bucket?endpoint=127.0.0.1:8088", "endpoint must be"),
        ("s3://bucket?endpoint=http://host:99999", "endpoint must be"),
        ("s3://bucket?public_endpoint=ftp://host", "public_endpoint must be"),
        ("s3://bucket?region=EU+1", "region"),
        ("s3://bucket?regoin=x", "regoin"),
        ("s3://bucket?region=a&region=b", "twice"),
    ],
)
def test_a_wrong_url_says_what_is_wrong(url: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        parse_s3_url(url)


def test_neither_errors_nor_repr_show_the_secret() -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_s3_url("s3://key:hidden@bucket:9000?x=y")
    assert "hidden" not in str(raised.value)
    assert "hidden" not in repr(parse_s3_url("s3://key:hidden@bucket"))


@given(st.text())
def test_no_text_raises_anything_but_a_configuration_error(text: str) -> None:
    for url in (text, f"s3://{text}", f"s3://key:secret@bucket?{text}"):
        with suppress(ConfigurationError):
            parse_s3_url(url)
