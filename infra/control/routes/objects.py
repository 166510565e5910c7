"""Finished objects for viewers: recordings, the segments they name, pictures, captions, clips.

    /t/{token}/vod/{project}/{event}/{feed}/{content}/{name}     or the same without /t/{token}
    /t/{token}/live/{project}/{event}/{feed}/{incarnation}/{rendition}/s{msn}.m4s

The paths are the object keys, as at a CDN over the bucket, so relative URIs in playlists work and
carry the token along. Nothing is looked up that is not a key of `infra.keys`.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from itertools import product

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Message, Send

from infra.control.delivery import deliver, program_of
from infra.control.dependencies import control_context
from infra.control.problems import NotFound
from infra.control.requests import record_of
from infra.keys import parse

SEND_S = 60.0
"""A client that takes no slice for so long is gone."""
_PATH = re.compile(r"(?:/t/([^/]+))?/(.+)")

router = APIRouter()


async def get_object(request: Request) -> Response:
    context = control_context(request)
    found = _PATH.fullmatch(request.scope["path"])
    key = parse(found[2]) if found else None
    program = program_of(key)
    if found is None or program is None:
        raise _absent()
    admission = await context.viewing.require(program, found[1], record_of(request).ip)
    info = await context.objects.find(str(key))
    if info is None:
        raise _absent()
    delivery = deliver(
        info,
        request.headers,
        shared=admission.public and found[1] is None,
        saved="download" in request.query_params,
    )
    if request.method == "HEAD" or delivery.first == delivery.end:
        return Response(status_code=delivery.status, headers=dict(delivery.headers))
    slices = context.objects.slices(info, delivery.first, delivery.end)
    # What cannot be read is told while it can be told.
    first = await anext(slices)
    return _Sliced(_behind(first, slices), delivery.status, dict(delivery.headers))


async def _behind(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


class _Sliced(StreamingResponse):
    """Ends when the client takes nothing any more."""

    async def stream_response(self, send: Send) -> None:
        async def patient(message: Message) -> None:
            async with asyncio.timeout(SEND_S):
                await send(message)

        # The server sees that the body is not whole, and closes the connection.
        with contextlib.suppress(TimeoutError):
            await super().stream_response(patient)


def _absent() -> NotFound:
    return NotFound("there is no such recording", "Ask the organiser for the link.")


for _prefix, _area in product(("", "/t/{token}"), ("vod", "live", "work")):
    router.add_route(
        f"{_prefix}/{_area}/{{rest:path}}", get_object, ["GET", "HEAD"], include_in_schema=False
    )
