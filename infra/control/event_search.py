"""Which of a project's events a list shows, and in which order.

Invariant: a filter is a condition on the row alone, so pages of a filtered list neither skip nor
repeat. Text is compared in its folded form, which does not depend on the database's alphabet.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import StringConstraints
from sqlalchemy import ColumnElement, Select, func, literal_column, select

from infra.control.event_fields import LABEL, MAX_LABELS
from infra.control.paging import CREATED, Order
from infra.control.schemas import Moment, to_ms
from infra.db.control import NO_START, Event
from infra.lifecycle import EventState

_LABELLED = rf"^{LABEL}:[^\x00]{{1,128}}$"


class Sort(StrEnum):
    NEWEST = "-created_at"
    SOONEST = "starts_at"
    """Those without a start come last."""
    LATEST = "-starts_at"
    """Those without a start come first."""


# Written out, as in the index: a parameter in its place would be another expression.
_START: ColumnElement[int] = func.coalesce(Event.starts_at_ms, literal_column(str(NO_START)))


def _start_of(event: Event) -> int:
    return NO_START if event.starts_at_ms is None else event.starts_at_ms


_ORDERS: dict[Sort, Order[Any]] = {
    Sort.NEWEST: CREATED,
    Sort.SOONEST: Order("s", _START, _start_of, descending=False),
    Sort.LATEST: Order("l", _START, _start_of, descending=True),
}


@dataclass(frozen=True, slots=True)
class EventSearch:
    """What a client wants to see."""

    states: tuple[EventState, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    text: str = ""
    starts_after_ms: int | None = None
    starts_before_ms: int | None = None
    sort: Sort = Sort.NEWEST

    @property
    def order(self) -> Order[Event]:
        return _ORDERS[self.sort]

    def query(self, project: str) -> Select[Event]:
        """The project's events that fit."""
        wanted = [Event.project == project]
        if self.states:
            wanted.append(Event.state.in_([state.value for state in self.states]))
        wanted += [Event.labels[name].as_string() == value for name, value in self.labels]
        if self.text:
            # Rows from before the column was there have what the database makes of their name.
            folded = func.coalesce(Event.name_folded, func.lower(Event.name))
            wanted.append(folded.contains(self.text.casefold(), autoescape=True))
        if self.starts_after_ms is not None:
            wanted.append(Event.starts_at_ms >= self.starts_after_ms)
        if self.starts_before_ms is not None:
            wanted.append(Event.starts_at_ms < self.starts_before_ms)
        return select(Event).where(*wanted)


async def _search(
    state: Annotated[
        list[EventState] | None, Query(description="Only events in one of these states.")
    ] = None,
    *,
    label: Annotated[
        list[Annotated[str, StringConstraints(pattern=_LABELLED)]] | None,
        Query(
            max_length=MAX_LABELS,
            description="Only events with this label, as `name:value`; several: with all of them.",
            examples=[["team:sales"]],
        ),
    ] = None,
    q: Annotated[
        str,
        Query(
            max_length=200,
            pattern=r"^[^\x00]*$",
            description="Only events whose name holds this, in any case.",
        ),
    ] = "",
    starts_after: Annotated[
        Moment | None, Query(description="Only events that start then or later.")
    ] = None,
    starts_before: Annotated[
        Moment | None, Query(description="Only events that start earlier.")
    ] = None,
    sort: Annotated[
        Sort, Query(description="`starts_at`: the next one first; those without a start last.")
    ] = Sort.NEWEST,
) -> EventSearch:
    return EventSearch(
        states=tuple(state or ()),
        labels=tuple(_label(one) for one in label or ()),
        text=q.strip(),
        starts_after_ms=to_ms(starts_after),
        starts_before_ms=to_ms(starts_before),
        sort=sort,
    )


Search = Annotated[EventSearch, Depends(_search)]


def _label(text: str) -> tuple[str, str]:
    name, _, value = text.partition(":")
    return name, value
