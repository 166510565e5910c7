"""Lists of the API: every item, or page by page. Upstream: both wires."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Generic, TypeVar

from infra.client.calls import Call, page_after
from infra.client.models import Model, Page

M = TypeVar("M", bound=Model)


class Listing(Iterator[M], Generic[M]):
    """Every item, each page asked for when it is come to."""

    def __init__(self, run: Callable[[Call[Page[M]]], Page[M]], call: Call[Page[M]]) -> None:
        self._run = run
        self._call = call
        self._items = self._every()

    def __next__(self) -> M:
        return next(self._items)

    def pages(self, after: str | None = None) -> Iterator[Page[M]]:
        """Page by page, from the beginning or behind the page whose `next` is `after`."""
        call = self._call if after is None else page_after(self._call, after)
        while True:
            page = self._run(call)
            yield page
            if page.next is None:
                return
            call = page_after(call, page.next)

    def _every(self) -> Generator[M, None, None]:
        for page in self.pages():
            yield from page.items


class AwaitedListing(AsyncIterator[M], Generic[M]):
    """The same for `async for`."""

    def __init__(
        self, run: Callable[[Call[Page[M]]], Awaitable[Page[M]]], call: Call[Page[M]]
    ) -> None:
        self._run = run
        self._call = call
        self._items = self._every()

    async def __anext__(self) -> M:
        return await anext(self._items)

    async def pages(self, after: str | None = None) -> AsyncIterator[Page[M]]:
        """Page by page, from the beginning or behind the page whose `next` is `after`."""
        call = self._call if after is None else page_after(self._call, after)
        while True:
            page = await self._run(call)
            yield page
            if page.next is None:
                return
            call = page_after(call, page.next)

    async def _every(self) -> AsyncGenerator[M, None]:
        async for page in self.pages():
            for item in page.items:
                yield item
