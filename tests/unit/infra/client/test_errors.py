"""Every refusal is typed and says what the API said."""

import json

import pytest

from infra.client import errors
from infra.client.errors import ApiError, error_of

PROBLEM = {
    "type": "urn:livepath:problem:conflict",
    "title": "Conflict",
    "status": 409,
    "detail": "event ev_1 was never live",
    "fix": "Use DELETE to cancel it.",
    "errors": [{"where": "body.name", "message": "Field required"}],
    "request_id": "req_1",
}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.Invalid),
        (401, errors.Unauthorized),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (412, errors.PreconditionFailed),
        (413, errors.Invalid),
        (418, ApiError),
        (422, errors.Invalid),
        (429, errors.RateLimited),
        (500, ApiError),
        (502, errors.Unavailable),
        (503, errors.Unavailable),
        (504, errors.Unavailable),
    ],
)
def test_kinds(status: int, kind: type[ApiError]) -> None:
    found = error_of(status, {}, json.dumps(PROBLEM).encode(), "req_0")
    assert type(found) is kind
    assert found.status == status


def test_a_problem_in_its_own_words() -> None:
    found = error_of(409, {"retry-after": "7"}, json.dumps(PROBLEM).encode(), "req_0")
    assert (found.title, found.detail) == ("Conflict", "event ev_1 was never live")
    assert found.fix == "Use DELETE to cancel it."
    assert found.errors[0]["where"] == "body.name"
    assert found.request_id == "req_1"
    assert found.retry_after_s == 7
    assert str(found) == (
        "Conflict: event ev_1 was never live. Use DELETE to cancel it. (409, request req_1)"
    )


@pytest.mark.parametrize("body", [b"<h1>Bad gateway</h1>", b"[1]", b"\xff", b""])
def test_a_proxys_answer_is_told_as_far_as_it_goes(body: bytes) -> None:
    found = error_of(502, {"x-request-id": "req_2", "retry-after": "soon"}, body, "req_0")
    assert found.title == "HTTP status 502"
    assert found.request_id == "req_2"
    assert found.retry_after_s is None
    assert error_of(502, {}, body, "req_0").request_id == "req_0"
