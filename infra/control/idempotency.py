"""One answer for a POST that is sent twice: the header `Idempotency-Key`.

Invariant: what a request did and what it was answered are committed together, so whoever sends the
same request again with the same key gets the same answer and changes nothing; another request with
that key is refused. Of two that arrive at once the second waits for the first. A request that
failed left nothing behind, and may be sent again. A key is its caller's own, and answers are sealed
with the caller's secret, which is stored nowhere.

Upstream: `infra.control.dependencies` claims the key once the transaction has begun; `AnswersOnce`
keeps the answer before it ends. Downstream: the table `kept_answers`.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy import delete, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from infra.control.problems import Conflict
from infra.db.idempotency import KeptAnswer
from infra.errors import LivepathError

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEEP_MS = 24 * 3600 * 1000
PATTERN = r"^[!-~]{1,128}$"
_NO_STORE = "no-store"
_KEPT_HEADERS = ("location", "content-type", "etag")
_NONCE = 12


class Replayed(LivepathError):
    """The request was answered before; this is the answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__("the request was answered before")
        self.status = status
        self.headers = headers
        self.body = body


@dataclass(frozen=True, slots=True)
class Pending:
    """A claimed key whose request is being answered."""

    session: AsyncSession
    id: str
    seal: bytes

    async def keep(self, response: Response) -> None:
        """Note the answer, in the transaction of the request."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = AESGCM(self.seal).encrypt(nonce, bytes(response.body), None)
        headers = {
            name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers
        }
        await self.session.execute(
            update(KeptAnswer)
            .where(KeptAnswer.id == self.id)
            .values(status=response.status_code, headers=headers, body=nonce + sealed)
        )

    def opened(self, kept: KeptAnswer) -> Replayed:
        nonce, sealed = kept.body[:_NONCE], kept.body[_NONCE:]
        body = AESGCM(self.seal).decrypt(nonce, sealed, None)
        return Replayed(kept.status, {**kept.headers, REPLAYED: "true"}, body)


class AnswersOnce(APIRoute):
    """The class of routes that take an `Idempotency-Key`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answered(request: Request) -> Response:
            response = await answer(request)
            if request.method == "POST":
                # Many hold keys or tokens.
                response.headers.setdefault("Cache-Control", _NO_STORE)
            pending: Pending | None = getattr(request.state, "pending_answer", None)
            if pending is not None:
                await pending.keep(response)
            return response

        return answered


async def claim(request: Request, session: AsyncSession, project: str | None, now_ms: int) -> None:
    """Take the request's key, if it is a POST that has one; raises `Replayed` when it was answered
    before, and `Conflict` when another request was."""
    key = request.headers.get(HEADER)
    if key is None or request.method != "POST":
        return
    if not isinstance(request.scope["route"], AnswersOnce):
        raise LookupError(f"{request.url.path} takes POST requests and keeps no answers")
    _require_form(key)
    pending = Pending(session, *_secrets_of(request.headers.get("authorization", ""), project, key))
    digest = await _digest(request)
    if await _is_new(session, pending.id, project, digest, now_ms):
        request.state.pending_answer = pending
        return
    kept = await session.get_one(KeptAnswer, pending.id)
    if kept.request_hash != digest:
        raise Conflict(
            "the Idempotency-Key was used for another request",
            "Send a new key with every new request; repeat one byte by byte with its own.",
        )
    raise pending.opened(kept)


async def forget_old(session: AsyncSession, now_ms: int) -> None:
    await session.execute(delete(KeptAnswer).where(KeptAnswer.created_ms <= now_ms - KEEP_MS))


def install(app: FastAPI) -> None:
    """Have answers of before go out as they were."""
    app.add_exception_handler(Replayed, _on_replayed)


def describe(document: dict[str, Any]) -> None:
    """Put the header into the description of every POST that lacks it."""
    parameter = {
        "name": HEADER,
        "in": "header",
        "required": False,
        "schema": {"type": "string", "pattern": PATTERN},
        "description": "The same request with the same key again, within 24 hours, gets the same "
        "answer and changes nothing; another request with that key is 409.",
    }
    for methods in document["paths"].values():
        if (operation := methods.get("post")) is not None:
            known = operation.setdefault("parameters", [])
            if all(one["name"].lower() != HEADER.lower() for one in known):
                known.append(parameter)


async def _on_replayed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Replayed)  # noqa: S101 - what it was installed for
    return Response(error.body, error.status, {"Cache-Control": _NO_STORE, **error.headers})


def _require_form(key: str) -> None:
    if re.fullmatch(PATTERN, key) is None:
        message = "It must be 1 to 128 visible ASCII characters"
        where = ("header", HEADER.lower())
        raise RequestValidationError(
            [{"type": "string_pattern_mismatch", "loc": where, "msg": message, "input": None}]
        )


def _secrets_of(authorization: str, project: str | None, key: str) -> tuple[str, bytes]:
    """The id of the row, and what seals it; neither can be had without the caller's secret."""
    secret = authorization.encode("utf-8", "surrogatepass")
    said = f"{project or ''}\0{key}".encode()
    row = hmac.digest(secret, b"row\0" + said, "sha256").hex()
    return row, hmac.digest(secret, b"seal\0" + said, "sha256")


async def _digest(request: Request) -> str:
    """Of all that makes the request what it is."""
    digest = hashlib.sha256(f"{request.url.path}?{request.url.query}\0".encode())
    digest.update(await request.body())
    return digest.hexdigest()


async def _is_new(
    session: AsyncSession, row: str, project: str | None, digest: str, now_ms: int
) -> bool:
    """Takes the row, unless it holds an answer that is kept; waits for whoever is taking it."""
    taken: dict[str, Any] = {
        "project": project, "request_hash": digest, "status": 0, "headers": {}, "body": b"",
        "created_ms": now_ms,
    }  # fmt: skip
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    insert = sqlite.insert if is_sqlite else postgresql.insert
    statement = insert(KeptAnswer).values(id=row, **taken)
    statement = statement.on_conflict_do_update(
        index_elements=[KeptAnswer.id],
        set_=taken,
        where=KeptAnswer.created_ms <= now_ms - KEEP_MS,
    )
    return (await session.execute(statement.returning(KeptAnswer.id))).first() is not None
