"""`/v1/signing-keys`, which viewer tokens are signed with, and `/.well-known/jwks.json`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from sqlalchemy import select

from infra.auth.signing import jwk
from infra.control.dependencies import Context, ProjectId, Session
from infra.control.idempotency import AnswersOnce
from infra.control.signing import JWKS_AGE_S, SigningKeyService
from infra.control.signing_schemas import (
    JwkOut,
    JwksOut,
    SigningKeyCreate,
    SigningKeyList,
    SigningKeyOut,
    signing_key_out,
)
from infra.db.control import SigningKey

router = APIRouter(route_class=AnswersOnce)
_KEYS = "/v1/signing-keys"
MOST = 10_000
"""Keys in one answer, the newest first."""

SigningKeyId = Annotated[
    str, Path(description="Id of the signing key.", examples=["sk_2kq5mzx7c3v4b6n7a8sd"])
]


async def _service(session: Session, project: ProjectId, context: Context) -> SigningKeyService:
    return SigningKeyService(session, project, context.now_ms())


SigningKeys = Annotated[SigningKeyService, Depends(_service)]


@router.post(_KEYS, status_code=201, summary="Make a signing key", tags=["keys"])
async def create_signing_key(
    keys: SigningKeys, wanted: SigningKeyCreate | None = None
) -> SigningKeyOut:
    """Tokens that others have signed stay good until they expire, or their key is retired."""
    key = await keys.create(at_once=(wanted or SigningKeyCreate()).at_once)
    return signing_key_out(key, signs=keys.signs(key, await keys.all()))


@router.get(_KEYS, summary="List the project's signing keys, newest first", tags=["keys"])
async def list_signing_keys(keys: SigningKeys) -> SigningKeyList:
    """There are at most ten."""
    held = await keys.all()
    return SigningKeyList(
        items=[signing_key_out(each, signs=keys.signs(each, held)) for each in held]
    )


@router.delete(
    _KEYS + "/{signing_key}", status_code=204, summary="Retire a signing key", tags=["keys"]
)
async def retire_signing_key(signing_key: SigningKeyId, keys: SigningKeys) -> Response:
    """Tokens that it has signed open nothing any more, on media nodes within two seconds."""
    await keys.retire(signing_key)
    return Response(status_code=204)


@router.get(
    "/.well-known/jwks.json",
    summary="Public keys by which anybody verifies viewer tokens",
    tags=["playback"],
    response_model_exclude_none=True,
)
async def get_jwks(
    session: Session,
    response: Response,
    project: Annotated[
        str | None, Query(max_length=64, description="Only those of this project.")
    ] = None,
) -> JwksOut:
    """A JWK set (RFC 7517). It is empty where no project has had a signing key yet. Without
    `project` it has the keys of all, and does not say whose they are."""
    query = select(SigningKey).order_by(SigningKey.created_ms.desc(), SigningKey.id.desc())
    if project is not None:
        query = query.where(SigningKey.project == project)
    rows = await session.scalars(query.limit(MOST))
    response.headers["Cache-Control"] = f"public, max-age={JWKS_AGE_S}"
    keys = [JwkOut.model_validate({**jwk(r.id, r.public), "project": project}) for r in rows]
    return JwksOut(keys=keys)
