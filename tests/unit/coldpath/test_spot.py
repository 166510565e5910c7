"""Interruption notices, and a stand-in for the metadata service on a real socket."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldpath.spot import MARGIN_S, Metadata, Notice, StopFlag, Watch, parse

NOW = 1_800_000_000.0
TIME = "2027-01-15T08:02:00Z"  # two minutes after NOW
PATIENCE_S = 10


class TestReading:
    def test_there_is_nothing_to_tell(self) -> None:
        assert parse(None, None, NOW) is None

    def test_a_stop_has_a_time(self) -> None:
        said = json.dumps({"action": "terminate", "time": TIME})
        assert parse(None, said, NOW) == Notice("spot terminate", NOW + 120)

    def test_a_recommendation_has_none(self) -> None:
        said = json.dumps({"noticeTime": TIME})
        assert parse(said, None, NOW) == Notice("rebalance recommendation", None)

    def test_a_stop_is_more_urgent(self) -> None:
        found = parse("{}", json.dumps({"action": "stop", "time": TIME}), NOW)
        assert found == Notice("spot stop", NOW + 120)

    @given(st.text() | st.from_regex(r'\{"action": .*, "time": ".*"\}', fullmatch=True))
    def test_an_unreadable_stop_is_one_in_two_minutes(self, said: str) -> None:
        found = parse(None, said, NOW)
        assert found is not None
        assert found.ends_at is not None


class _Service(BaseHTTPRequestHandler):
    """As IMDSv2: nothing without a token, 404 for what there is not."""

    documents: dict[str, str]
    tokens: list[str]

    def do_PUT(self) -> None:
        assert int(self.headers["X-aws-ec2-metadata-token-ttl-seconds"]) > 0
        self.tokens.append(f"token-{len(self.tokens)}")
        self._answer(200, self.tokens[-1])

    def do_GET(self) -> None:
        if not self.tokens or self.headers["X-aws-ec2-metadata-token"] != self.tokens[-1]:
            return self._answer(401, "")
        found = self.documents.get(self.path.rpartition("/")[2])
        return self._answer(404, "") if found is None else self._answer(200, found)

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


class Service:
    def __init__(self) -> None:
        self.documents: dict[str, str] = {}
        self.tokens: list[str] = []
        handler = type("Handler", (_Service,), vars(self))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator["Service"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


@pytest.fixture
def service() -> Iterator[Service]:
    with Service().running() as service:
        yield service


def test_the_service_is_asked_with_one_token(service: Service) -> None:
    metadata = Metadata(service.url)
    assert metadata.read(NOW) is None
    service.documents["rebalance"] = json.dumps({"noticeTime": TIME})
    assert metadata.read(NOW) == Notice("rebalance recommendation", None)
    assert len(service.tokens) == 1
    metadata.close()


def test_a_token_that_is_refused_is_replaced(service: Service) -> None:
    metadata = Metadata(service.url)
    metadata.read(NOW)
    service.tokens.append("another")
    with pytest.raises(httpx2.HTTPError):
        metadata.read(NOW)
    assert metadata.read(NOW) is None
    metadata.close()


class Heard:
    """What a watch called."""

    def __init__(self) -> None:
        self.drained: list[Notice] = []
        self.stopped: list[Notice] = []
        self.changed = threading.Condition()

    def drain(self, notice: Notice) -> None:
        with self.changed:
            self.drained.append(notice)
            self.changed.notify_all()

    def stop(self, notice: Notice) -> None:
        with self.changed:
            self.stopped.append(notice)
            self.changed.notify_all()

    def until(self, drained: int, stopped: int) -> bool:
        def reached() -> bool:
            return (len(self.drained), len(self.stopped)) == (drained, stopped)

        with self.changed:
            return self.changed.wait_for(reached, PATIENCE_S)


def test_a_recommendation_drains_and_a_stop_ends(service: Service) -> None:
    heard = Heard()
    watch = Watch(Metadata(service.url), heard.drain, heard.stop, poll_s=0.02)
    watch.start()
    service.documents["rebalance"] = json.dumps({"noticeTime": TIME})
    assert heard.until(1, 0)
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + MARGIN_S))
    service.documents["instance-action"] = json.dumps({"action": "terminate", "time": ends})
    assert heard.until(1, 1)
    watch.close()


def test_a_service_that_is_away_is_asked_again() -> None:
    heard = Heard()
    service = Service()
    with service.running():
        url = service.url
    watch = Watch(Metadata(url, timeout_s=0.2), heard.drain, heard.stop, poll_s=0.02)
    watch.start()
    watch.close()
    assert heard.drained == []


def test_a_flag_is_down_until_it_is_set() -> None:
    flag = StopFlag()
    assert not flag.is_set()
    flag.set()
    assert flag.is_set()
