"""One description of an operation, two ways to carry it out.

A group's methods say what is asked, as a `Call` or a `Wait`. What a caller sees depends on the wire
that the group was made with: on that of `Client` a method returns the result, on that of
`AsyncClient` something to await, and a listing an iterator of the one or the other kind.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from infra.client.calls import Call, Wait
from infra.client.listings import AwaitedListing, Listing
from infra.client.models import Model, Page

P = ParamSpec("P")
M = TypeVar("M", bound=Model)


class Blocking(Protocol):
    """Carries calls out while its caller waits."""

    def run(self, call: Call[M]) -> M: ...

    def pages(self, call: Call[Page[M]]) -> Listing[M]: ...

    def wait(self, wait: Wait[M]) -> M: ...


class Awaited(Protocol):
    """Carries calls out in an event loop."""

    def run(self, call: Call[M]) -> Coroutine[Any, Any, M]: ...

    def pages(self, call: Call[Page[M]]) -> AwaitedListing[M]: ...

    def wait(self, wait: Wait[M]) -> Coroutine[Any, Any, M]: ...


W = TypeVar("W", Blocking, Awaited)


class Group(Generic[W]):
    """Operations on one kind of resource."""

    def __init__(self, wire: W) -> None:
        self.wire: Any = wire
        """Which of both it is, the type of the group says."""


class _Described(Generic[P, M]):
    def __init__(self, describe: Callable[Concatenate[Any, P], Any]) -> None:
        self.describe = describe
        self.__doc__ = describe.__doc__

    def _bound(self, group: Any, carry_out: Callable[[Any], Any]) -> Any:
        def method(*given: P.args, **named: P.kwargs) -> Any:
            return carry_out(self.describe(group, *given, **named))

        method.__name__, method.__doc__ = self.describe.__name__, self.__doc__
        return method


class operation(_Described[P, M]):
    """One request, one result."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Call[M]]) -> None:
        super().__init__(describe)

    @overload
    def __get__(self, group: Group[Blocking], _kind: object = None) -> Callable[P, M]: ...

    @overload
    def __get__(
        self, group: Group[Awaited], _kind: object = None
    ) -> Callable[P, Coroutine[Any, Any, M]]: ...

    def __get__(self, group: Any, _kind: object = None) -> Any:
        return self if group is None else self._bound(group, group.wire.run)


class listing(_Described[P, M]):
    """Everything that there is, page by page, each fetched when it is come to."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Call[Page[M]]]) -> None:
        super().__init__(describe)

    @overload
    def __get__(self, group: Group[Blocking], _kind: object = None) -> Callable[P, Listing[M]]: ...

    @overload
    def __get__(
        self, group: Group[Awaited], _kind: object = None
    ) -> Callable[P, AwaitedListing[M]]: ...

    def __get__(self, group: Any, _kind: object = None) -> Any:
        return self if group is None else self._bound(group, group.wire.pages)


class waiting(_Described[P, M]):
    """A request that is repeated until its answer is the one that is waited for."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Wait[M]]) -> None:
        super().__init__(describe)

    @overload
    def __get__(self, group: Group[Blocking], _kind: object = None) -> Callable[P, M]: ...

    @overload
    def __get__(
        self, group: Group[Awaited], _kind: object = None
    ) -> Callable[P, Coroutine[Any, Any, M]]: ...

    def __get__(self, group: Any, _kind: object = None) -> Any:
        return self if group is None else self._bound(group, group.wire.wait)
