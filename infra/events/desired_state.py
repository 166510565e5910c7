"""The desired state as a media node holds it: a value that is replaced, never changed in place.

Invariant: within one epoch a project or event never goes back to a lower revision, and a record
that cannot be read leaves the held one alone. A snapshot converts to JSON and back, so a node can
keep the last one on disk. Fed by `infra.events.desired_reader`.
"""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.events.desired import DesiredEvent, DesiredProject, event_field, project_field

_PROJECT, _EVENT = project_field(""), event_field("")


class DesiredSnapshot(BaseModel):
    """Everything control wants at one moment."""

    model_config = ConfigDict(frozen=True)

    epoch: str = Field("", description="Of the bus it was read from; empty: never read.")
    projects: dict[str, DesiredProject] = Field(default_factory=dict, description="By id.")
    events: dict[str, DesiredEvent] = Field(default_factory=dict, description="By id.")

    def replaced(self, epoch: str, fields: Mapping[str, str]) -> "DesiredSnapshot":
        """The state after a full load: what the bus no longer has is gone."""
        present = {p: v for p, v in self.projects.items() if project_field(p) in fields}
        coming = {e: v for e, v in self.events.items() if event_field(e) in fields}
        kept = DesiredSnapshot(epoch=epoch, projects=present, events=coming)
        # Another epoch numbers from a database of its own (a restored backup): take it as it is.
        return kept._merged(fields, forget_revisions=epoch != self.epoch)

    def updated(self, fields: Mapping[str, str | None]) -> "DesiredSnapshot":
        """The state after some fields changed; None means that the field is gone."""
        gone = {field for field, raw in fields.items() if raw is None}
        kept = DesiredSnapshot(
            epoch=self.epoch,
            projects={p: v for p, v in self.projects.items() if project_field(p) not in gone},
            events={e: v for e, v in self.events.items() if event_field(e) not in gone},
        )
        return kept._merged({f: raw for f, raw in fields.items() if raw is not None})

    def _merged(
        self, fields: Mapping[str, str], *, forget_revisions: bool = False
    ) -> "DesiredSnapshot":
        projects, events = dict(self.projects), dict(self.events)
        for field, raw in fields.items():
            record = parse(field, raw)
            if record is None:
                continue
            held = (projects if isinstance(record, DesiredProject) else events).get(record.id)
            if held is not None and held.revision > record.revision and not forget_revisions:
                continue
            if isinstance(record, DesiredProject):
                projects[record.id] = record
            else:
                events[record.id] = record
        return DesiredSnapshot(epoch=self.epoch, projects=projects, events=events)


def parse(field: str, raw: str) -> DesiredProject | DesiredEvent | None:
    """The record in a hash field, or None if field and value are no such record."""
    try:
        if field.startswith(_PROJECT):
            project = DesiredProject.model_validate_json(raw)
            return project if field == project_field(project.id) else None
        if field.startswith(_EVENT):
            event = DesiredEvent.model_validate_json(raw)
            return event if field == event_field(event.id) else None
    except ValidationError:
        return None
    return None
