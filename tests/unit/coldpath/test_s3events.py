import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldpath import s3events
from coldpath.errors import EventFormatError
from coldpath.s3events import ObjectCreated

KEY = "live/p/e/main/i1/manifest.json"


def seaweed(key: str = f"/buckets/media/{KEY}", **changes: Any) -> bytes:
    # As SeaweedFS 4.48 sends it, shortened.
    entry = {
        "name": key.rpartition("/")[2],
        "chunks": [{"size": 5, "e_tag": "XUFAKrxLKna5cZ2REBfFkg=="}],
        "attributes": {"file_size": 5, "mime": "application/json"},
        "extended": {"Seaweed-X-Amz-ETag": "NWQ0MTQwMmFiYzRiMmE3NmI5NzE5ZDkxMTAxN2M1OTI="},
    }
    event = {"event_type": "create", "key": key, "message": {"new_entry": entry}}
    return json.dumps({**event, **changes}).encode()


def record(key: str, name: str = "ObjectCreated:Put", bucket: str = "media") -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": name,
        "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 5, "eTag": "abc"}},
    }


def notification(*records: Any) -> bytes:
    return json.dumps({"Records": records}).encode()


class TestSeaweedFS:
    def test_an_object(self) -> None:
        assert s3events.seaweedfs(seaweed()) == [ObjectCreated("media", KEY)]

    def test_keys_are_not_encoded(self) -> None:
        assert s3events.seaweedfs(seaweed("/buckets/media/live/a b+c/%20.m4s")) == [
            ObjectCreated("media", "live/a b+c/%20.m4s")
        ]

    @pytest.mark.parametrize(
        "body",
        [
            seaweed(message={"new_entry": {"name": "p", "is_directory": True}}),
            seaweed("/buckets/media/.uploads/8a14_1d9b/0001_1577.part"),
            seaweed("/buckets/media"),
            seaweed("/topics/.system/log"),
            seaweed(event_type="delete", message={"old_entry": {"name": "x"}}),
            seaweed(message={}),
        ],
        ids=["folder", "part of an upload", "bucket", "no bucket", "delete", "no entry"],
    )
    def test_what_is_no_new_object(self, body: bytes) -> None:
        assert s3events.seaweedfs(body) == []


class TestS3:
    def test_keys_are_encoded_as_in_a_form(self) -> None:
        assert s3events.s3(notification(record("live/a+b%2Bc/seg+1.m4s"))) == [
            ObjectCreated("media", "live/a b+c/seg 1.m4s")
        ]

    def test_a_multipart_upload_with_two_records_is_one_object(self) -> None:
        both = (
            record(KEY, "ObjectCreated:Put"),
            record(KEY, "ObjectCreated:CompleteMultipartUpload"),
        )
        assert s3events.s3(notification(*both)) == [ObjectCreated("media", KEY)]

    def test_minio_prefixes_its_event_names(self) -> None:
        body = {"EventName": "s3:ObjectCreated:Put", "Key": f"media/{KEY}"}
        body["Records"] = [record(KEY, "s3:ObjectCreated:Put")]  # type: ignore[assignment]
        assert s3events.s3(json.dumps(body).encode()) == [ObjectCreated("media", KEY)]

    def test_sns_in_between(self) -> None:
        body = {"Type": "Notification", "Message": notification(record(KEY)).decode()}
        assert s3events.s3(json.dumps(body).encode()) == [ObjectCreated("media", KEY)]

    def test_the_test_event_and_deletions_are_nothing(self) -> None:
        assert s3events.s3(b'{"Service": "Amazon S3", "Event": "s3:TestEvent"}') == []
        assert s3events.s3(notification(record(KEY, "ObjectRemoved:Delete"))) == []


@pytest.mark.parametrize("parse", [s3events.seaweedfs, s3events.s3])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b'{"Records": {}}',
        b'{"Records": [3]}',
        b"[" * 9999,
        b'{"Records": [{"eventName": "ObjectCreated:Put"}]}',
        b'{"Type":"Notification","Message":1}',
        b'{"event_type": 7}',
        b'{"event_type":"create","message":{"new_entry":{}}}',
    ],
)
def test_anything_else_is_refused_with_a_reason(parse: Any, body: bytes) -> None:
    with pytest.raises(EventFormatError, match=r"\w"):
        parse(body)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "Records",
                    "s3",
                    "bucket",
                    "object",
                    "key",
                    "name",
                    "eventName",
                    "Type",
                    "Message",
                    "event_type",
                    "message",
                    "new_entry",
                    "is_directory",
                    "Event",
                ]
            ),
            inner
            | st.sampled_from(["create", "ObjectCreated:Put", "Notification", "/buckets/a/b"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(body=st.binary() | _json.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_give_events_or_a_format_error(body: bytes) -> None:
    for parse in (s3events.seaweedfs, s3events.s3):
        try:
            events = parse(body)
        except EventFormatError:
            continue
        assert all(isinstance(e, ObjectCreated) and e.key for e in events)
