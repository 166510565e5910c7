"""`/v1/secrets`, from which stream keys and HS256 viewer tokens derive."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from infra.control.dependencies import Context, ProjectId, Session
from infra.control.idempotency import AnswersOnce
from infra.control.project_secrets import SecretService
from infra.control.secret_schemas import SecretList, SecretOut, secret_out

router = APIRouter(prefix="/v1/secrets", tags=["keys"], route_class=AnswersOnce)

Kid = Annotated[str, Path(description="Name of the secret.", examples=["k1"])]


async def _service(session: Session, project: ProjectId, context: Context) -> SecretService:
    return SecretService(session, project, context.now_ms(), context.rings)


Secrets = Annotated[SecretService, Depends(_service)]


@router.post("", status_code=201, summary="Make the next secret")
async def create_secret(secrets: Secrets, response: Response) -> SecretOut:
    """New events' stream keys and new HS256 viewer tokens come from it from now on; other control
    processes learn of it within five seconds. What others have signed stays good until they are
    retired. The secret itself is in no answer."""
    made = await secrets.create()
    response.headers["Location"] = f"/v1/secrets/{made.kid}"
    return secret_out(made, await secrets.held())


@router.get("", summary="List the project's secrets, newest first")
async def list_secrets(secrets: Secrets) -> SecretList:
    """There are at most ten. The first one signs."""
    held = await secrets.held()
    return SecretList(items=[secret_out(each, held) for each in held.secrets])


@router.delete("/{kid}", status_code=204, summary="Retire a secret")
async def retire_secret(kid: Kid, secrets: Secrets) -> Response:
    """What it signed opens nothing any more: viewers with its tokens are sent away, and so are
    encoders that stayed when their event moved to another secret, on media nodes within two
    seconds. 409 for the one that signs, and while the stream key of an event that is not over
    comes from it."""
    await secrets.retire(kid)
    return Response(status_code=204)
