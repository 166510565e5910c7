"""What routes are given: one transaction and one project.

One request is one transaction: it is committed after the handler returned and before the response
leaves, so a client never reads a success that the database then refuses. Reading methods get a
read-only transaction.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, cast

from fastapi import Depends, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from infra.auth.apikeys import hash_api_key
from infra.control.context import ControlContext
from infra.control.paging import Cursor, PageRequest
from infra.control.problems import Invalid, Unauthorized, database_unavailable
from infra.db.control import ApiKey
from infra.db.outage import DATABASE_ERRORS, is_outage

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
key_header = HTTPBearer(
    auto_error=False,
    scheme_name="API key",
    description="`Authorization: Bearer lp_…`. A key opens exactly one project.",
)


def control_context(request: Request) -> ControlContext:
    return cast("ControlContext", request.app.state.context)


Context = Annotated[ControlContext, Depends(control_context)]


async def transaction(request: Request, context: Context) -> AsyncIterator[AsyncSession]:
    """The request's transaction; writers ring once it is committed."""
    reading = request.method in _READING
    make = context.databases.reading if reading else context.databases.writing
    async with begun(make) as session:
        yield session
    if not reading:
        context.ring()


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


async def project_of_key(
    session: Session,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(key_header)],
) -> str:
    """The project that the request's API key opens."""
    if credentials is None:
        raise Unauthorized(
            "the request carries no API key", "Send the header Authorization: Bearer <API key>."
        )
    digest = hash_api_key(credentials.credentials)
    project = await session.scalar(select(ApiKey.project).where(ApiKey.hash == digest))
    if project is None:
        raise Unauthorized("the API key is not known", "Check the key; it may have been removed.")
    return project


ProjectId = Annotated[str, Depends(project_of_key, scope="function")]


async def own_project(
    context: Context,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(key_header)],
) -> str:
    async with begun(context.databases.reading) as session:
        return await project_of_key(session, credentials)


KeyHolder = Annotated[str, Depends(own_project, scope="function")]
"""The project, for routes that have transactions of their own."""
EventId = Annotated[str, Path(description="Id of the event.", examples=["ev_2kq5mzx7c3v4b6n7a8sd"])]


def page_request(
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
