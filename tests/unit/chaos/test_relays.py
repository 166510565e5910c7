"""What stands between the cold path and its servers does to it what a run of chaos says."""

import http.client
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.chaos.link import AilingLink, Ailment
from tests.chaos.news import HELD, Fate, News
from tests.support.valkey import free_port


class Server:
    """Counts what it was asked to do, and answers."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.heard = threading.Semaphore(0)
        handler = type("Handler", (_Handler,), {"take": staticmethod(self.take)})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self.server.server_port

    def take(self, body: bytes) -> None:
        self.bodies.append(body)
        self.heard.release()

    def wait(self, count: int) -> None:
        for _ in range(count):
            assert self.heard.acquire(timeout=10)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    take: Callable[[bytes], None]

    def do_POST(self) -> None:
        self.take(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


class TestLink:
    @pytest.fixture
    def link(self, server: Server) -> Iterator[AilingLink]:
        with AilingLink(server.port) as link:
            yield link

    @pytest.fixture
    def client(self, link: AilingLink) -> Iterator[http.client.HTTPConnection]:
        client = http.client.HTTPConnection("127.0.0.1", link.port, timeout=10)
        yield client
        client.close()

    def ask(self, client: http.client.HTTPConnection, body: bytes) -> int:
        client.request("POST", "/", body)
        with client.getresponse() as answer:
            answer.read()
            return answer.status

    def test_all_is_well_until_something_happens(
        self, client: http.client.HTTPConnection, server: Server
    ) -> None:
        assert self.ask(client, b"x" * 300_000) == 200
        assert self.ask(client, b"y") == 200
        assert server.bodies == [b"x" * 300_000, b"y"]

    def test_a_refusal_is_an_answer(
        self, link: AilingLink, client: http.client.HTTPConnection, server: Server
    ) -> None:
        link.ail(Ailment.REFUSES)
        assert self.ask(client, b"x" * 300_000) == 503
        link.heal()
        assert self.ask(client, b"y") == 200
        assert server.bodies == [b"y"]

    @pytest.mark.parametrize("ailment", [Ailment.REFUSES, Ailment.GONE])
    def test_a_connection_that_is_open_is_reset(
        self, link: AilingLink, client: http.client.HTTPConnection, ailment: Ailment
    ) -> None:
        assert self.ask(client, b"x") == 200
        link.ail(ailment)
        with pytest.raises((ConnectionError, http.client.BadStatusLine)):
            self.ask(client, b"y")
        assert link.hit[ailment] == 1

    def test_an_answer_is_lost_and_what_was_asked_is_done(
        self, link: AilingLink, client: http.client.HTTPConnection, server: Server
    ) -> None:
        link.ail(Ailment.CUTS)
        with pytest.raises((ConnectionError, http.client.BadStatusLine)):
            self.ask(client, b"x")
        assert server.bodies == [b"x"]
        assert link.hit[Ailment.CUTS] == 1

    def test_what_hangs_goes_on_when_it_is_over(
        self, link: AilingLink, client: http.client.HTTPConnection, server: Server
    ) -> None:
        assert self.ask(client, b"x") == 200
        link.ail(Ailment.HANGS)
        client.request("POST", "/", b"y")
        assert server.bodies == [b"x"]
        link.heal()
        assert client.getresponse().status == 200
        assert server.bodies == [b"x", b"y"]


class TestNews:
    @pytest.fixture
    def news(self, server: Server) -> Iterator[News]:
        with News(f"http://127.0.0.1:{server.port}/", "token", seed=1) as news:
            yield news

    def tell(self, news: News, *events: bytes) -> None:
        client = http.client.HTTPConnection("127.0.0.1", news.port, timeout=10)
        for event in events:
            client.request("POST", "/", event)
            with client.getresponse() as answer:
                assert answer.status == 204
        client.close()

    def test_events_pass_and_are_doubled_and_dropped(self, news: News, server: Server) -> None:
        self.tell(news, b"a")
        server.wait(1)
        news.befall(Fate.DROPPED)
        self.tell(news, b"b")
        news.befall(Fate.DOUBLED)
        self.tell(news, b"c")
        server.wait(2)
        assert server.bodies == [b"a", b"c", b"c"]
        assert news.count == {"told": 1, "dropped": 1, "doubled": 1}

    def test_held_ones_come_in_another_order(self, news: News, server: Server) -> None:
        news.befall(Fate.SHUFFLED)
        events = [b"%d" % number for number in range(HELD + 3)]
        self.tell(news, *events)
        server.wait(HELD)
        assert sorted(server.bodies) == sorted(events[:HELD])
        assert server.bodies != events[:HELD]
        news.befall(Fate.TOLD)
        server.wait(3)
        assert sorted(server.bodies) == sorted(events)

    def test_one_that_nobody_takes_is_lost(self) -> None:
        with News(f"http://127.0.0.1:{free_port()}/", "token", seed=1) as news:
            self.tell(news, b"a")
            news.settle()
            assert news.count == {"told": 1, "not taken": 1}
