"""What routes are given: who calls, one transaction, and one project.

Who calls is known, and may call, before a transaction that writes begins: a refusal holds nothing
that others wait for. One request is one transaction: it is committed after the handler
returned and before the response leaves, so a client never reads a success that the database then
refuses. Reading methods get a connection that only reads; what others change stands in the audit
log of the same commit.

None of these blocks, and all are coroutines: the framework runs plain functions in threads, and the
way there and back costs more than any of them does.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Path, Query, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from infra.auth.apikeys import hash_api_key
from infra.auth.scopes import KEY_SCHEME, READING, Scope, allows, required
from infra.control.audit import entry_of
from infra.control.callers import Caller, UnknownKey, found_key, opened
from infra.control.context import ControlContext
from infra.control.idempotency import claim
from infra.control.paging import Cursor, PageRequest
from infra.control.problems import (
    Invalid,
    LacksScope,
    TooManyRequests,
    Unauthorized,
    database_unavailable,
)
from infra.control.requests import RequestRecord, deed_of, record_of
from infra.control.writes import Writes
from infra.db.control import Event
from infra.db.outage import DATABASE_ERRORS, is_outage

PROJECT_HEADER = "Livepath-Project"
key_header = HTTPBearer(
    auto_error=False,
    scheme_name=KEY_SCHEME,
    description="`Authorization: Bearer lp_…`. A key opens one project; one of the whole "
    f"organisation opens the project that the header `{PROJECT_HEADER}` names, else its own.",
)


def control_context(request: Request) -> ControlContext:
    return cast("ControlContext", request.app.state.context)


async def _context(request: Request) -> ControlContext:
    return control_context(request)


Context = Annotated[ControlContext, Depends(_context)]
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(key_header)]


@dataclass(frozen=True, slots=True)
class Admission:
    """Who calls, within the limits and with the right scope."""

    caller: Caller | None
    """None where no key is needed."""
    session: AsyncSession | None
    """In which the key was looked up: who only reads goes on in it."""
    end: Callable[[], Awaitable[None]]
    """Gives the session back before the request is over."""


async def admitted(request: Request, context: Context) -> AsyncIterator[Admission]:
    route = cast("APIRoute", request.scope["route"])
    needed = required(str(route.tags[-1]), request.method, route.path)
    async with AsyncExitStack() as stack:
        if needed is None:
            await _count_address(context, record_of(request))
            yield Admission(None, None, stack.aclose)
            return
        try:
            digest = hash_api_key(await _secret_of(request))
            _turn_away_again(context, record_of(request), digest)
            session = await stack.enter_async_context(begun(context.databases.reading))
            caller = await _identified(request, context, session, digest)
        except Unauthorized:
            await stack.aclose()
            await _count_address(context, record_of(request))
            raise
        reading = request.method in READING
        if not reading:
            await stack.aclose()
        await _count_key(context, record_of(request), caller, needed)
        yield Admission(caller, session if reading else None, stack.aclose)


async def _secret_of(request: Request) -> str:
    credentials = await key_header(request)
    if credentials is None:
        raise Unauthorized(
            "the request carries no API key", "Send the header Authorization: Bearer <API key>."
        )
    return str(credentials.credentials)


def _turn_away_again(context: ControlContext, record: RequestRecord, digest: str) -> None:
    """Refuse, without asking anybody, what was refused a moment ago."""
    if context.turned_away.is_unknown(digest):
        raise UnknownKey()
    record.verdict = context.turned_away.over_quota(digest, context.limits)
    if record.verdict is not None:
        raise _used_up()


async def _identified(
    request: Request, context: ControlContext, session: AsyncSession, digest: str
) -> Caller:
    record, now_ms = record_of(request), context.now_ms()
    try:
        found = await found_key(session, digest, now_ms)
    except UnknownKey:
        context.turned_away.note_unknown(digest)
        raise
    # Also a key that opens nothing any more is somebody's.
    record.key, record.project = found.key.id, found.key.project
    found.require_valid(now_ms)
    caller = await opened(session, found, request.headers.get(PROJECT_HEADER))
    record.project = caller.project
    return caller


async def _count_key(
    context: ControlContext, record: RequestRecord, caller: Caller, needed: Scope
) -> None:
    record.verdict = await context.limits.take_key(caller.key)
    if record.verdict is not None and not record.verdict.allowed:
        context.turned_away.note_over_quota(caller.digest, record.verdict)
        raise _used_up()
    if not allows(caller.scopes, needed):
        raise LacksScope(needed)
    context.uses.note(caller.key, context.now_ms())


def _used_up() -> TooManyRequests:
    return TooManyRequests("this API key has used up its requests")


async def _count_address(context: ControlContext, record: RequestRecord) -> None:
    record.verdict = await context.limits.take_ip(record.ip)
    if record.verdict is not None and not record.verdict.allowed:
        raise TooManyRequests("this address has used up its requests without an API key")


Admitted = Annotated[Admission, Depends(admitted, scope="function")]


async def caller_of(admitted: Admitted, _described: Credentials) -> Caller:
    """Who calls. `_described` puts the key into the API's description."""
    if admitted.caller is None:
        raise LookupError("a route that needs no key asks whose it is")
    return admitted.caller


TheCaller = Annotated[Caller, Depends(caller_of, scope="function")]


async def project_of_key(caller: TheCaller) -> str:
    """The project that the request acts in."""
    return caller.project


ProjectId = Annotated[str, Depends(project_of_key, scope="function")]


async def project_alone(admitted: Admitted, caller: TheCaller) -> str:
    """The project that the request acts in; no transaction is open any more."""
    # Requests that hold one connection and want another starve each other.
    await admitted.end()
    return caller.project


KeyHolder = Annotated[str, Depends(project_alone, scope="function")]
"""The project, for routes that have transactions of their own, and no `Session` to read in."""
Changing = Callable[[], AbstractAsyncContextManager[AsyncSession]]
"""Begins the transaction of a change; its end writes the audit log, commits, rings if somebody
waits for what was written, and lets nodes be told of it before the answer leaves."""


async def changing(
    request: Request, response: Response, context: Context, _admitted: Admitted
) -> Changing:
    @asynccontextmanager
    async def change() -> AsyncIterator[AsyncSession]:
        async with begun(context.databases.writing) as session:
            writes = Writes(session)
            yield session
            await _remember(session, request, response, context.now_ms())
        if writes.matter:
            context.ring()
        if writes.concern_nodes:
            await context.told()

    return change


Change = Annotated[Changing, Depends(changing, scope="function")]


async def _remember(
    session: AsyncSession, request: Request, response: Response, now_ms: int
) -> None:
    route = cast("APIRoute", request.scope["route"])
    status = response.status_code or route.status_code or 200
    created = response.headers.get("Location", "").rpartition("/")[2] or None
    deed = deed_of(request.scope, status, created)
    if deed is None:
        return
    entry = entry_of(deed, now_ms)
    if entry.project is None and entry.event is not None:
        # A viewer's change belongs to the project of the event.
        query = select(Event.project).where(Event.id == entry.event)
        entry.project = await session.scalar(query)
    session.add(entry)


async def transaction(
    request: Request, context: Context, admitted: Admitted, change: Change
) -> AsyncIterator[AsyncSession]:
    """The request's transaction; writers ring once it is committed."""
    if admitted.session is not None:
        yield admitted.session
        return
    begin = change() if request.method not in READING else begun(context.databases.reading)
    async with begin as session:
        await claim(request, session, record_of(request).project, context.now_ms())
        yield session


@asynccontextmanager
async def begun(make: async_sessionmaker[AsyncSession]) -> AsyncIterator[AsyncSession]:
    """One transaction, committed at the end of the block."""
    async with make() as session:
        await _begin(session)
        yield session
        await session.commit()


async def _begin(session: AsyncSession) -> None:
    try:
        await session.connection()
    except DATABASE_ERRORS as error:
        if is_outage(error):
            raise database_unavailable() from error
        raise


Session = Annotated[AsyncSession, Depends(transaction, scope="function")]
EventId = Annotated[str, Path(description="Id of the event.", examples=["ev_2kq5mzx7c3v4b6n7a8sd"])]


async def page_request(
    limit: Annotated[int, Query(ge=1, le=200, description="Items per page.")] = 50,
    after: Annotated[
        str | None, Query(description="`next` of the page before.", max_length=200)
    ] = None,
) -> PageRequest:
    try:
        return PageRequest(limit, None if after is None else Cursor.decode(after))
    except ValueError as error:
        raise Invalid(
            "after is no cursor of this API", "Pass the value of next from the page before."
        ) from error


Page = Annotated[PageRequest, Depends(page_request)]
