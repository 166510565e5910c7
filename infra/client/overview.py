"""`client.overview`: a project at a glance, and how its events do."""

from datetime import datetime

from infra.client.calls import Call
from infra.client.events import EVENT
from infra.client.groups import Group, W, listing, operation
from infra.client.models import Page, ProjectOverview, Reading


class Overview(Group[W]):
    """What whoever looks after events wants to see at once."""

    @operation
    def get(self) -> Call[ProjectOverview]:
        """Events by state, how those on the air do, work that is not done, webhooks."""
        return Call("GET", "/v1/overview", ProjectOverview)

    @listing
    def readings(self, event: str, *, since: datetime | None = None) -> Call[Page[Reading]]:
        """How an event did within the last hour, oldest first."""
        query = {"since": since}
        return Call("GET", EVENT + "/readings", Page[Reading], {"event": event}, query=query)
