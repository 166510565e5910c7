"""Lists, item by item over pages, and page by page with a cursor of one's own."""

import httpx2

from infra.client import AsyncClient, Client

PAGES = {"": ("a", "b"), "c1": ("c",), "c2": ()}
FOLLOWING = {"": "c1", "c1": "c2", "c2": None}


class Server:
    """Three pages of projects, the last of which is empty."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        after = request.url.params.get("after", "")
        self.asked.append(after)
        items = [
            {"id": id, "name": id, "organisation": "o", "created_at": "2030-06-01T18:00:00Z"}
            for id in PAGES[after]
        ]
        return httpx2.Response(200, json={"items": items, "next": FOLLOWING[after]})


def test_items_come_over_pages_and_no_page_is_asked_for_early() -> None:
    server = Server()
    with Client("http://t", "k", transport=httpx2.MockTransport(server)) as client:
        listed = client.projects.list()
        assert server.asked == []
        assert [next(listed).id, next(listed).id] == ["a", "b"]
        assert server.asked == [""]
        assert [one.id for one in listed] == ["c"]
    assert server.asked == ["", "c1", "c2"]


def test_pages_go_on_behind_a_cursor() -> None:
    server = Server()
    with Client("http://t", "k", transport=httpx2.MockTransport(server)) as client:
        first = next(client.projects.list().pages())
        assert ([one.id for one in first.items], first.next) == (["a", "b"], "c1")
        rest = list(client.projects.list().pages(after=first.next))
    assert [[one.id for one in page.items] for page in rest] == [["c"], []]
    assert server.asked == ["", "c1", "c2"]


async def test_the_same_in_a_loop() -> None:
    server = Server()
    async with AsyncClient("http://t", "k", transport=httpx2.MockTransport(server)) as client:
        assert [one.id async for one in client.projects.list()] == ["a", "b", "c"]
        pages = [page async for page in client.projects.list().pages(after="c1")]
    assert [len(page.items) for page in pages] == [1, 0]
    assert server.asked == ["", "c1", "c2", "c1", "c2"]
