"""`/v1/keys`: the API keys of a project."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from infra.control.dependencies import Context, Page, Session, TheCaller
from infra.control.idempotency import AnswersOnce
from infra.control.key_schemas import (
    KeyCreate,
    KeyMade,
    KeyOut,
    KeyPage,
    KeyRotate,
    key_made,
    key_out,
)
from infra.control.keys import KeyService

router = APIRouter(prefix="/v1/keys", tags=["keys"], route_class=AnswersOnce)

KeyId = Annotated[str, Path(description="Id of the key.", examples=["key_2kq5mzx7c3v4b6n7a8sd"])]


async def _service(session: Session, caller: TheCaller, context: Context) -> KeyService:
    return KeyService(session, caller, context.now_ms())


Keys = Annotated[KeyService, Depends(_service)]


@router.post("", status_code=201, summary="Make an API key")
async def create_key(wanted: KeyCreate, response: Response, keys: Keys) -> KeyMade:
    """Its secret is in this answer and nowhere else."""
    key, secret = await keys.create(wanted)
    response.headers["Location"] = f"/v1/keys/{key.id}"
    response.headers["Cache-Control"] = "no-store"
    return key_made(key, secret)


@router.get("", summary="List the project's keys, newest first")
async def list_keys(keys: Keys, page: Page) -> KeyPage:
    rows, following = await keys.page(page)
    return KeyPage(items=[key_out(row) for row in rows], next=following)


@router.get("/{key}", summary="One key, without its secret")
async def get_key(key: KeyId, keys: Keys) -> KeyOut:
    return key_out(await keys.get(key))


@router.delete("/{key}", summary="Revoke a key")
async def revoke_key(key: KeyId, keys: Keys) -> KeyOut:
    """It opens nothing from the next request on, and stays listed. Repeating it is harmless."""
    return key_out(await keys.revoke(key))


@router.post("/{key}/rotate", summary="Replace the secret of a key")
async def rotate_key_secret(
    key: KeyId, response: Response, keys: Keys, wanted: KeyRotate | None = None
) -> KeyMade:
    """The new secret is good at once, the old one for another `grace_s` seconds."""
    found, secret = await keys.rotate(key, (wanted or KeyRotate()).grace_s)
    response.headers["Cache-Control"] = "no-store"
    return key_made(found, secret)
