"""What a WHIP endpoint answers when it does not do as asked, as problem details.

Invariant: an unknown event, a wrong token and a rotated one get the same answer, so that events
cannot be probed; the audit line has the difference.

Upstream: `hotpath.ingest.whip`. Spec: RFC 9457.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from hotpath.ingest.admission import Reason
from hotpath.ingest.errors import NoUsableCodec, PublishRefused
from hotpath.webrtc.errors import Overloaded
from hotpath.webrtc.http import HttpProblem, client_gone
from hotpath.webrtc.sdp import SdpError

_FULL_RETRY_S = 30

Handler = Callable[[Request, Exception], Awaitable[Response]]


def refused(error: PublishRefused) -> HttpProblem:
    match error.reason:
        case Reason.EVENT_CLOSED:
            return HttpProblem(
                403,
                "event-closed",
                "The event is closed",
                "the event is over or not open yet",
                "Open the event, or publish to another one.",
            )
        case Reason.BUSY:
            return HttpProblem(
                409,
                "busy",
                "Somebody else is publishing",
                "the place is taken and the event does not let another take over",
                "End the other publisher first, use the address of the backup, or allow takeover "
                "in the event.",
                headers={"retry-after": str(max(1, error.retry_after_s))},
            )
        case Reason.OVER_LIMIT:
            return _over_limit(error.retry_after_s)
        case _:
            return HttpProblem(
                401,
                "token",
                "The token is not valid",
                "no event takes this bearer token",
                "Send Authorization: Bearer with the event's present ingest.whip.token.",
                headers={"www-authenticate": 'Bearer realm="whip"'},
            )


def gone() -> HttpProblem:
    return HttpProblem(
        404,
        "session",
        "There is no such session",
        "the session has ended, or never was",
        "Publish anew with POST to the event's WHIP URL.",
    )


def unknown_role() -> HttpProblem:
    return HttpProblem(
        400,
        "role",
        "The role is unknown",
        "an event has two places for publishers, primary and backup",
        "Leave role out, or send ?role=backup once.",
    )


def method_not_allowed(method: str, allowed: str) -> HttpProblem:
    return HttpProblem(
        405,
        "method",
        "The method is not allowed",
        f"{method} means nothing here",
        f"Use {allowed}.",
        headers={"allow": allowed},
    )


def precondition(wanted: str | None) -> HttpProblem:
    """RFC 9725 4.3.1: no If-Match is 428, one of another ICE session 412."""
    if wanted is None:
        return HttpProblem(
            428,
            "if-match",
            "If-Match is missing",
            "the request does not say which ICE session it means",
            "Send If-Match with the latest ETag, or * to restart ICE.",
        )
    return HttpProblem(
        412,
        "etag",
        "The ICE session is another one by now",
        "If-Match does not name the present ICE session",
        "Send If-Match with the latest ETag, or * to restart ICE.",
    )


def _over_limit(retry_after_s: int) -> HttpProblem:
    return HttpProblem(
        503,
        "over-limit",
        "The node takes no more publishers now",
        "a limit of this node, or of connects from your address, is reached",
        "Wait for Retry-After seconds and try again.",
        headers={"retry-after": str(max(1, retry_after_s))},
    )


def _problem_of(error: Exception) -> HttpProblem | None:
    match error:
        case HttpProblem():
            return error
        case PublishRefused():
            return refused(error)
        case SdpError():
            return HttpProblem(
                400, "bad-sdp", "The SDP cannot be used", str(error), "Mend the SDP and try again."
            )
        case NoUsableCodec():
            return HttpProblem(
                406,
                "codec",
                "No codec can be used",
                str(error),
                "Offer H264 with packetization-mode=1, and opus.",
            )
        case Overloaded():
            return _over_limit(_FULL_RETRY_S)
        case _:
            return None


async def _answer(_: Request, error: Exception) -> Response:
    problem = _problem_of(error)
    if problem is None:
        raise error
    return problem.response()


def handlers() -> dict[type[Exception], Handler]:
    """For Starlette's `exception_handlers`."""
    kinds: tuple[type[Exception], ...] = (
        HttpProblem,
        PublishRefused,
        SdpError,
        NoUsableCodec,
        Overloaded,
    )
    return {**dict.fromkeys(kinds, _answer), ClientDisconnect: client_gone}
