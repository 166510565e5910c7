"""What every answer of the API has in common, and a page of a list."""

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Anything that the API answers."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)


M = TypeVar("M", bound=Model)


class Page(Model, Generic[M]):
    items: tuple[M, ...]
    next: str | None = None
    """The cursor of the following page; None: this is the last."""


class Nothing(Model):
    """The answer says no more than that it is done."""
