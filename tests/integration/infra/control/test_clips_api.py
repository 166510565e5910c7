"""`/v1/events/{event}/clips`: what is asked for, what is refused, what is shown when it is done."""

from typing import Any

import httpx2
import pytest

from infra.db.control import Fact
from infra.db.jobs import Asset, Job
from infra.jobs.clip_request import EXACT, INSTANT
from infra.lifecycle import Trigger
from tests.integration.infra.control.conftest import NOW_MS, Deployment
from tests.integration.infra.control.rows import add_functions, add_job, advance

pytestmark = pytest.mark.integration

NOW = NOW_MS + 600_000
"""The event went live at 17:46:40; ten minutes later it is now."""
GOAL = {"start": "2030-03-17T17:48:00.500Z", "end": "2030-03-17T17:48:12Z", "title": "Goal"}


@pytest.fixture
async def event(api: httpx2.AsyncClient, deployment: Deployment) -> str:
    """Live for ten minutes."""
    add_functions(deployment, INSTANT, EXACT)
    made = str((await api.post("/v1/events", json={"name": "x"})).json()["id"])
    advance(deployment, made, Trigger.PROGRAM_LIVE)
    deployment.now_ms = NOW
    return made


@pytest.fixture
def path(event: str) -> str:
    return f"/v1/events/{event}/clips"


def finish(deployment: Deployment, job: str, key: str) -> None:
    """What a worker writes when the clip is there."""
    with deployment.session() as session, session.begin():
        row = session.get_one(Job, job)
        row.state, row.progress, row.outputs = "succeeded", 1000, {"keys": [key]}
        session.add(
            Asset(
                id="as_clip", project=row.project, event=row.event, feed="main", kind="clip",
                key=key, content_type="video/mp4", bytes=5, duration_ms=11_500,
                detail={"frames": 345}, job=job, created_ms=deployment.now_ms,
            )
        )  # fmt: skip


async def test_a_clip_of_a_live_event(
    api: httpx2.AsyncClient, deployment: Deployment, path: str
) -> None:
    answer = await api.post(path, json={**GOAL, "mode": "exact"})
    assert answer.status_code == 201, answer.text
    clip = answer.json()
    assert answer.headers["Location"] == f"{path}/{clip['id']}"
    assert (clip["state"], clip["mode"], clip["title"]) == ("queued", "exact", "Goal")
    assert (clip["start"], clip["end"]) == (
        "2030-03-17T17:48:00.500Z", "2030-03-17T17:48:12.000Z",
    )  # fmt: skip
    assert clip["asset"] is None
    with deployment.reading() as session:
        job = session.get_one(Job, clip["job"])
        assert (job.function, job.queue, job.max_attempts) == (EXACT, "fast", 9)
        assert job.params == {
            "clock": "wall",
            "start_ms": NOW_MS + 80_500,
            "end_ms": NOW_MS + 92_000,
            "title": "Goal",
            "epoch_ns": None,
        }
    assert deployment.rings > 0

    finish(deployment, clip["job"], "vod/default/e/main/c0ffee/clip.mp4")
    done = (await api.get(answer.headers["Location"])).json()
    assert (done["state"], done["progress"]) == ("succeeded", 1.0)
    assert done["asset"]["detail"] == {"frames": 345}
    assert "clip.mp4" in done["asset"]["url"]
    assert "response-content-disposition" in done["asset"]["url"]


async def test_the_job_is_told_where_the_timeline_begins(
    api: httpx2.AsyncClient, deployment: Deployment, event: str, path: str
) -> None:
    with deployment.session() as session, session.begin():
        for number, epoch_ns in enumerate((5, 7, "x")):
            session.add(
                Fact(
                    id=f"f{number}", project="default", event=event, type="program.live",
                    at_ms=number % 2, detail={"epoch_ns": epoch_ns},
                )
            )  # fmt: skip
    clip = (await api.post(path, json=GOAL)).json()
    with deployment.reading() as session:
        assert session.get_one(Job, clip["job"]).params["epoch_ns"] == 7


async def test_instant_is_what_is_made_unless_told(
    api: httpx2.AsyncClient, deployment: Deployment, path: str
) -> None:
    clip = (await api.post(path, json=GOAL)).json()
    assert clip["mode"] == "instant"
    with deployment.reading() as session:
        assert session.get_one(Job, clip["job"]).function == INSTANT


async def test_a_request_sent_twice_makes_one_clip(api: httpx2.AsyncClient, path: str) -> None:
    async def ask(key: str | None, **changes: str) -> httpx2.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        return await api.post(path, json={**GOAL, **changes}, headers=headers)

    first, again = await ask(None), await ask(None)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    one, same, other = await ask("a"), await ask("a"), await ask("b")
    assert one.json()["id"] == same.json()["id"] != other.json()["id"]
    refused = await ask("a", title="Own goal")
    assert refused.status_code == 409
    assert "Idempotency-Key was used" in refused.json()["detail"]


async def test_two_viewers_may_choose_the_same_key(
    api: httpx2.AsyncClient, viewer: httpx2.AsyncClient, event: str
) -> None:
    async def ask(subject: str, title: str) -> httpx2.Response:
        wanted = {"clips": True, "subject": subject}
        token = (await api.post(f"/v1/events/{event}/tokens", json=wanted)).json()["token"]
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "a"}
        clip = {**GOAL, "title": title}
        return await viewer.post(f"/v1/playback/{event}/clips", json=clip, headers=headers)

    made = [await ask("ada", "Hers"), await ask("bob", "His"), await ask("eve", "Hers")]
    assert [answer.status_code for answer in made] == [201] * 3
    assert [answer.json()["title"] for answer in made] == ["Hers", "His", "Hers"]
    assert len({answer.json()["id"] for answer in made}) == 3
    with_a_new_token = await ask("ada", "Hers")
    assert with_a_new_token.status_code == 200
    assert with_a_new_token.json()["id"] == made[0].json()["id"]


async def test_seconds_count_on_the_recording_of_an_event_that_is_over(
    api: httpx2.AsyncClient, deployment: Deployment, event: str, path: str
) -> None:
    seconds = {"start": 80, "end": 92.5}
    refused = await api.post(path, json=seconds)
    assert refused.status_code == 409
    assert "date-times" in refused.json()["fix"]
    advance(deployment, event, Trigger.END)
    clip = (await api.post(path, json=seconds)).json()
    assert (clip["start"], clip["end"]) == (80.0, 92.5)
    with deployment.reading() as session:
        params = session.get_one(Job, clip["job"]).params
    assert (params["clock"], params["start_ms"], params["end_ms"]) == ("recording", 80_000, 92_500)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"end": "2030-03-17T17:48:00.5Z"}, "end before it starts"),
        ({"end": "2030-03-17T17:47:00Z"}, "end before it starts"),
        ({"end": "2030-03-17T17:57:00Z"}, "in the future"),
        ({"start": "2030-03-17T14:48:00Z"}, "3600 are allowed"),
        ({"start": "2030-03-17T17:00:00Z", "end": "2030-03-17T17:40:00Z"}, "not live yet"),
        ({"end": 12}, "different forms"),
        ({"start": "2030-03-17T17:48:00"}, "start"),
        ({"start": -1, "end": 5}, "start"),
        ({"start": True, "end": 5}, "start"),
        ({"mode": "quick"}, "mode"),
        ({"title": ""}, "title"),
        ({"length": 5}, "length"),
    ],
)
async def test_what_makes_no_clip_is_refused_in_words(
    api: httpx2.AsyncClient, path: str, changes: dict[str, Any], said: str
) -> None:
    answer = await api.post(path, json={**GOAL, **changes})
    assert answer.status_code == 422, answer.text
    assert said in answer.text
    assert answer.json()["fix"]


async def test_an_event_that_was_over_or_never_live(
    api: httpx2.AsyncClient, deployment: Deployment, event: str, path: str
) -> None:
    fresh = (await api.post("/v1/events", json={"name": "y"})).json()["id"]
    refused = await api.post(f"/v1/events/{fresh}/clips", json=GOAL)
    assert refused.status_code == 409
    assert "never live" in refused.json()["detail"]
    deployment.now_ms = NOW_MS + 70_000
    advance(deployment, event, Trigger.END)
    deployment.now_ms = NOW
    late = await api.post(path, json=GOAL)
    assert late.status_code == 422
    assert "was over" in late.json()["detail"]


async def test_clips_are_listed_newest_first_and_nothing_else_is(
    api: httpx2.AsyncClient, deployment: Deployment, event: str, path: str
) -> None:
    add_job(deployment, event)
    ids = []
    for second in (5, 6, 7):
        deployment.now_ms += 1
        wanted = {**GOAL, "end": f"2030-03-17T17:48:0{second}Z"}
        ids.append((await api.post(path, json=wanted)).json()["id"])
    first = (await api.get(f"{path}?limit=2")).json()
    rest = (await api.get(f"{path}?limit=2&after={first['next']}")).json()
    assert [clip["id"] for clip in first["items"] + rest["items"]] == ids[::-1]
    assert rest["next"] is None
    assert (await api.get(f"{path}/clip_1")).status_code == 404
    assert (await api.get(f"{path}/job_1")).status_code == 404


async def test_nobody_else_sees_or_makes_them(
    api: httpx2.AsyncClient, other: httpx2.AsyncClient, viewer: httpx2.AsyncClient, path: str
) -> None:
    clip = (await api.post(path, json=GOAL)).json()["id"]
    for answer in (
        await other.get(path), await other.get(f"{path}/{clip}"), await other.post(path, json=GOAL),
    ):  # fmt: skip
        assert answer.status_code == 404
    assert (await viewer.get(path)).status_code == 401
    own = (await other.post("/v1/events", json={"name": "x"})).json()["id"]
    assert (await other.get(f"/v1/events/{own}/clips/{clip}")).status_code == 404
