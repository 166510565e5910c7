"""Lists of events: labels, names, states and starts, in pages that neither skip nor repeat."""

from itertools import product
from typing import Any

import httpx2
import pytest

from infra.db.control import Event
from infra.lifecycle import Trigger
from tests.integration.infra.control.conftest import NOW_MS, Deployment
from tests.integration.infra.control.rows import advance

pytestmark = pytest.mark.integration


async def create(api: httpx2.AsyncClient, name: str, **fields: Any) -> str:
    response = await api.post("/v1/events", json={"name": name, **fields})
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def names(api: httpx2.AsyncClient, query: str) -> list[str]:
    response = await api.get(f"/v1/events?{query}")
    assert response.status_code == 200, response.text
    return sorted(item["name"] for item in response.json()["items"])


async def walked(api: httpx2.AsyncClient, query: str) -> list[str]:
    """The names on all pages of two."""
    found: list[str] = []
    after = ""
    while True:
        page = (await api.get(f"/v1/events?limit=2&{query}{after}")).json()
        found += [item["name"] for item in page["items"]]
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"


async def test_labels_find_events(api: httpx2.AsyncClient, other: httpx2.AsyncClient) -> None:
    await create(api, "a", labels={"team": "sales", "quarter": "q1: kick-off"})
    await create(api, "b", labels={"team": "sales"})
    await create(api, "c", labels={"team": "support"})
    await create(api, "d")
    await create(other, "theirs", labels={"team": "sales"})
    assert await names(api, "label=team:sales") == ["a", "b"]
    assert await names(api, "label=team:sales&label=quarter:q1: kick-off") == ["a"]
    assert await names(api, "label=team:q1") == []
    assert await names(api, "label=nothing:sales") == []
    assert (await api.get("/v1/events?label=team")).status_code == 422
    assert (await api.get("/v1/events?label=Team:x")).status_code == 422


async def test_names_are_searched_in_any_case_and_any_alphabet(api: httpx2.AsyncClient) -> None:
    await create(api, "Launch day 100% Größe a_b été")
    await create(api, "1000 axb")
    for q in ("launch", "LAUNCH", "größe", "GRÖSSE", "100%", "a_b", "ÉTÉ", " day "):
        found = (await api.get("/v1/events", params={"q": q})).json()["items"]
        assert [item["name"] for item in found] == ["Launch day 100% Größe a_b été"], q


async def test_names_from_before_the_column_are_found(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    event = await create(api, "Old Name")
    with deployment.session() as session, session.begin():
        session.get_one(Event, event).name_folded = None
    assert await names(api, "q=old") == ["Old Name"]


async def test_a_new_name_is_found_in_place_of_the_old_one(api: httpx2.AsyncClient) -> None:
    event = await create(api, "Old Name")
    await api.patch(f"/v1/events/{event}", json={"name": "New"})
    assert await names(api, "q=old") == []
    assert await names(api, "q=NEW") == ["New"]


async def test_several_states_and_times_go_together(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    early = await create(api, "early", starts_at="2030-06-01T18:00:00Z")
    await create(api, "late", starts_at="2030-07-01T18:00:00Z")
    await create(api, "draft", draft=True, starts_at="2030-06-15T18:00:00Z")
    await create(api, "open")
    advance(deployment, early, Trigger.PROGRAM_LIVE)
    assert await names(api, "state=live&state=draft") == ["draft", "early"]
    june = "starts_after=2030-06-01T18:00:00Z&starts_before=2030-07-01T18:00:00Z"
    assert await names(api, june) == ["draft", "early"]
    assert await names(api, f"{june}&state=draft") == ["draft"]
    assert (await api.get("/v1/events?starts_after=2030-06-01")).status_code == 422


async def test_pages_in_every_order_neither_skip_nor_repeat(
    api: httpx2.AsyncClient, deployment: Deployment
) -> None:
    days = {"a": 5, "b": 4, "c": None, "d": 1, "e": 4, "f": None, "g": 4}
    made: dict[str, tuple[int, int, str]] = {}
    for number, (name, day) in enumerate(days.items()):
        deployment.now_ms = NOW_MS + number
        start = {} if day is None else {"starts_at": f"2030-06-0{day}T18:00:00Z"}
        labels = {"kind": "x"} if name in "acefg" else {}
        event = await create(api, name, labels=labels, **start)
        # Those without a start lie behind all others.
        made[name] = (number, day or 9, event)
    for sort, wanted in product(("starts_at", "-starts_at", "-created_at"), ("abcdefg", "acefg")):
        place = 0 if sort == "-created_at" else 1
        expected = sorted(
            wanted, key=lambda name: (made[name][place], made[name][2]), reverse=sort[0] == "-"
        )
        label = "&label=kind:x" if wanted == "acefg" else ""
        assert await walked(api, f"sort={sort}{label}") == expected, (sort, label)


async def test_a_cursor_leads_nowhere_in_another_order(api: httpx2.AsyncClient) -> None:
    for name in ("a", "b"):
        await create(api, name)
    cursor = (await api.get("/v1/events?limit=1")).json()["next"]
    refused = await api.get(f"/v1/events?sort=starts_at&after={cursor}")
    assert refused.status_code == 422
    assert "another order" in refused.json()["detail"]
