"""What WHIP and WHEP endpoints share: problem+json, CORS, SDP bodies within bounds, addresses.

Upstream: HTTP requests. Downstream: `hotpath.fanout` (WHEP) and `hotpath.ingest` (WHIP).
Spec: RFC 9457, RFC 9725.
"""

import asyncio
import ipaddress
from collections.abc import Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from infra.errors import LivepathError

MAX_SDP_BYTES = 64 * 1024
BODY_S = 10.0
CORS: Mapping[str, str] = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "location, etag, link, retry-after, accept-patch, accept-post",
}


class HttpProblem(LivepathError):
    """A request that is answered with RFC 9457 problem details."""

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str,
        fix: str,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.fix = fix
        self.headers = dict(headers or {})

    def response(self) -> Response:
        body = {
            "type": f"urn:livepath:problem:{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "fix": self.fix,
        }
        headers = {**CORS, "cache-control": "no-store", **self.headers}
        media_type = "application/problem+json"
        return JSONResponse(body, self.status, headers, media_type=media_type)


def bearer(request: Request) -> str | None:
    """The bearer token of a request, if it carries one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


async def body_within(request: Request, limit: int = MAX_SDP_BYTES) -> bytes:
    """The request's body; one that is larger than `limit` is not read to its end."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise HttpProblem(
                413,
                "too-large",
                "The body is too large",
                f"the body has more than {limit} bytes",
                "Send the SDP alone.",
            )
    return bytes(body)


async def sdp_body(
    request: Request, media_type: str = "application/sdp", *, within_s: float = BODY_S
) -> str:
    """The SDP text of a request with the content type `media_type`, if it comes `within_s`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != media_type:
        raise HttpProblem(
            415,
            "content-type",
            "The content type is not supported",
            f"the body is {kind or 'of no declared type'}",
            f"Send it as {media_type}.",
        )
    try:
        async with asyncio.timeout(within_s):
            return (await body_within(request)).decode("utf-8")
    except TimeoutError as error:
        detail = f"the body did not come within {within_s:g} s"
        raise HttpProblem(408, "slow", "The request was too slow", detail, "Try again.") from error
    except UnicodeDecodeError as error:
        raise HttpProblem(
            400, "bad-sdp", "The SDP cannot be read", "the body is not UTF-8", "Send an SDP offer."
        ) from error


def line_of(host: str) -> str:
    """Whose limit a client at `host` counts for: its IPv4 address, or its IPv6 /64, which is what
    one line has."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


async def client_gone(_: Request, error: Exception) -> Response:
    """For Starlette's `exception_handlers`: the client left in the middle of its request, and
    nobody reads this."""
    if not isinstance(error, ClientDisconnect):
        raise error
    return Response(status_code=400)
