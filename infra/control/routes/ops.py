"""`/metrics`, `/healthz`, `/readyz`: the operations paths of the control process."""

from fastapi import APIRouter, Request, Response

from infra.control.dependencies import Context
from infra.telemetry.ops import ops_response

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
@router.get("/healthz")
@router.get("/readyz")
async def operations(request: Request, context: Context) -> Response:
    answer = await ops_response(request.url.path, context.checks)
    if answer is None:
        return Response(status_code=404)
    status, content_type, body = answer
    headers = {"Content-Type": content_type.decode(), "Cache-Control": "no-store"}
    return Response(body, status, headers)
