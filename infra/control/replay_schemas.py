"""A stored replay as the API shows it; what is sent is `infra.jobs.replay`."""

from pydantic import Field

from infra.control.schemas import Out, Timestamp


class ReplayOut(Out):
    """The event's replay."""

    key: str = Field(description="Object key in the bucket.")
    viewer_url: str = Field(
        description="For those who may watch the event, once the state is `succeeded`; with "
        "`access: token` put `/t/{token}` before its path."
    )
    job: str = Field(description="The job that lists it: `GET /v1/jobs/{job}`.")
    state: str = Field(description="Of that job.", examples=["succeeded"])
    error: str | None
    created_at: Timestamp
