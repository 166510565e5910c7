"""What WHIP and WHEP endpoints share: problem+json, CORS and SDP bodies within bounds.

Upstream: HTTP requests. Downstream: `hotpath.fanout` (WHEP) and `hotpath.ingest` (WHIP).
Spec: RFC 9457, RFC 9725.
"""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from infra.errors import LivepathError

MAX_SDP_BYTES = 64 * 1024
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


async def sdp_body(request: Request, media_type: str = "application/sdp") -> str:
    """The SDP text of a request with the content type `media_type`."""
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
        return (await body_within(request)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise HttpProblem(
            400, "bad-sdp", "The SDP cannot be read", "the body is not UTF-8", "Send an SDP offer."
        ) from error
