"""What is sent, byte by byte, and what becomes of an answer."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.client.calls import IF_MATCH, Call, prepare, read
from infra.client.errors import UnexpectedAnswer
from infra.client.models import Event, Marker, Nothing, Page, Project

WHEN = datetime(2030, 6, 1, 18, tzinfo=UTC)
PROJECT = {"id": "p", "name": "P", "organisation": "o", "created_at": "2030-06-01T18:00:00.000Z"}


def call(method: str = "GET", path: str = "/v1/projects", **more: Any) -> Call[Project]:
    return Call(method, path, Project, **more)


def test_a_post_carries_a_key_of_its_own_or_the_callers() -> None:
    sent = prepare(call("POST", body={}), "req_1", "fresh")
    assert sent.headers["Idempotency-Key"] == "fresh"
    assert sent.headers["X-Request-Id"] == sent.request_id == "req_1"
    assert prepare(call("POST", key="mine"), "r", "fresh").headers["Idempotency-Key"] == "mine"
    assert "Idempotency-Key" not in prepare(call("PATCH", body={}), "r", "fresh").headers


def test_times_are_sent_with_their_offset_and_none_without() -> None:
    sent = prepare(call("POST", body={"at": WHEN, "list": [WHEN], "none": None}), "r", "k")
    assert sent.content is not None
    assert json.loads(sent.content) == {
        "at": "2030-06-01T18:00:00+00:00",
        "list": ["2030-06-01T18:00:00+00:00"],
        "none": None,
    }
    with pytest.raises(ValueError, match="offset"):
        prepare(call("POST", body={"at": WHEN.replace(tzinfo=None)}), "r", "k")


def test_what_json_cannot_say_is_refused_here() -> None:
    with pytest.raises(ValueError, match="JSON"):
        prepare(call("POST", body={"x": float("nan")}), "r", "k")


def test_queries_repeat_lists_and_leave_none_out() -> None:
    sent = prepare(call(query={"a": None, "state": ["live", "ended"], "since": WHEN}), "r", "k")
    assert sent.query == (
        ("state", "live"),
        ("state", "ended"),
        ("since", "2030-06-01T18:00:00+00:00"),
    )


def test_an_id_cannot_lead_to_another_path() -> None:
    def path_of(event: str) -> str:
        return prepare(call(path="/v1/events/{event}/x", ids={"event": event}), "r", "k").path

    assert path_of("ev_1") == "/v1/events/ev_1/x"
    assert path_of("../keys?a#b") == "/v1/events/..%2Fkeys%3Fa%23b/x"
    for wrong in ("", ".", ".."):
        with pytest.raises(ValueError, match="no id of a event"):
            path_of(wrong)


@pytest.mark.parametrize(
    ("method", "more", "repeatable"),
    [
        ("GET", {}, True),
        ("PATCH", {}, True),
        ("PATCH", {"headers": {IF_MATCH: '"e"'}}, False),
        ("DELETE", {"headers": {IF_MATCH: None}}, True),
        ("DELETE", {"once": True}, False),
        ("POST", {"headers": {IF_MATCH: '"e"'}}, True),
    ],
)
def test_what_can_be_carried_out_twice(method: str, more: Any, repeatable: bool) -> None:
    assert prepare(call(method, **more), "r", "k").repeatable is repeatable


def test_unknown_fields_are_kept_and_words_are_not_a_closed_set() -> None:
    said = json.dumps({**PROJECT, "colour": "red"}).encode()
    project = read(call(), {}, said, "r")
    assert project.created_at == WHEN
    assert project.model_extra == {"colour": "red"}
    with pytest.raises(ValueError, match="frozen"):
        project.name = "other"  # type: ignore[misc]


def test_a_page_holds_typed_items() -> None:
    said = json.dumps({"items": [PROJECT], "next": "c", "total": 1}).encode()
    page = read(Call("GET", "/v1/projects", Page[Project]), {}, said, "r")
    assert page.items[0].name == "P"
    assert page.next == "c"


def test_an_empty_answer_is_nothing() -> None:
    read(Call("DELETE", "/x", Nothing), {}, b"", "r")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"null", b"{}", b'{"id": "secret-of-mine"}'])
def test_an_answer_of_something_else_is_told_without_its_words(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswer, match=r"no Project .*request r") as caught:
        read(call(), {"etag": "x"}, body, "r")
    assert "secret" not in str(caught.value)


def test_only_events_keep_their_etag() -> None:
    assert "etag" in Event.model_fields
    assert "etag" not in Marker.model_fields
    assert read(call(), {"etag": '"e"'}, json.dumps(PROJECT).encode(), "r").model_extra == {}
