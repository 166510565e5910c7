"""What WHEP's requests have in common, and its errors."""

from typing import Any

import httpx2

from hotpath.fanout.whep import SDP
from tests.support.fanout import token

SDP_HEADERS = {"content-type": SDP}


def problem(response: httpx2.Response) -> dict[str, Any]:
    """The body of an error, checked for what every one must have."""
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["access-control-allow-origin"] == "*"
    body = response.json()
    assert body["status"] == response.status_code
    assert body["title"]
    assert body["fix"]
    return dict(body)


def bearing(**claims: Any) -> dict[str, str]:
    return SDP_HEADERS | {"authorization": f"Bearer {token(**claims)}"}
