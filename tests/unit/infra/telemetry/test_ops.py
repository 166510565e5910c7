import json
import socket
import struct
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from infra.telemetry.ops import Check, Impaired, OpsServer, ops_response


async def test_other_paths_are_not_answered() -> None:
    assert await ops_response("/live/x", {}) is None


async def test_healthz_answers_whatever_the_checks_say() -> None:
    response = await ops_response("/healthz", {"bus": lambda: "down"})
    assert response is not None
    assert response[0] == 200


async def test_metrics_are_prometheus_text() -> None:
    response = await ops_response("/metrics", {})
    assert response is not None
    status, content_type, body = response
    assert (status, content_type.split(b";")[0]) == (200, b"text/plain")
    assert b"livepath_stage_seconds" in body or b"python_info" in body


async def test_readyz_is_503_and_says_why_while_a_check_fails() -> None:
    response = await ops_response("/readyz", {"bus": lambda: "no answer", "disk": lambda: None})
    assert response is not None
    assert response[0] == 503
    assert json.loads(response[2]) == {
        "ready": False,
        "checks": {"bus": "no answer", "disk": "ok"},
    }


async def test_readyz_is_200_when_all_checks_pass() -> None:
    response = await ops_response("/readyz", {"disk": lambda: None})
    assert response is not None
    assert response[0] == 200
    assert json.loads(response[2])["ready"] is True


@pytest.fixture
def server() -> Iterator[tuple[OpsServer, dict[str, str | None]]]:
    reasons: dict[str, str | None] = {"bus": None}
    checks: dict[str, Check] = {"bus": lambda: reasons["bus"]}
    ops = OpsServer("127.0.0.1", 0, checks)
    ops.start()
    yield ops, reasons
    ops.stop()


def _get(ops: OpsServer, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://{ops.host}:{ops.port}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_ops_server_follows_its_checks(server: tuple[OpsServer, dict[str, str | None]]) -> None:
    ops, reasons = server
    assert _get(ops, "/readyz?x=1")[0] == 200
    reasons["bus"] = "gone"
    status, body = _get(ops, "/readyz")
    assert status == 503
    assert json.loads(body)["checks"] == {"bus": "gone"}
    assert _get(ops, "/healthz")[0] == 200
    assert _get(ops, "/other")[0] == 404


def test_a_taken_port_is_an_error(server: tuple[OpsServer, dict[str, str | None]]) -> None:
    second = OpsServer("127.0.0.1", server[0].port, {})
    with pytest.raises(OSError, match="in use"):
        second.start()
    second.stop()


def test_the_port_is_free_again_after_stop() -> None:
    first = OpsServer("127.0.0.1", 0, {})
    first.start()
    first.stop()
    second = OpsServer("127.0.0.1", first.port, {})
    second.start()
    second.stop()


async def test_an_impairment_is_told_and_does_not_make_a_role_unready() -> None:
    checks: dict[str, Check] = {"bus": lambda: Impaired("away"), "http": lambda: None}
    answer = await ops_response("/readyz", checks)
    assert answer is not None
    status, _, body = answer
    assert status == 200
    assert json.loads(body) == {"ready": True, "checks": {"bus": "away", "http": "ok"}}


def test_a_client_that_goes_before_the_answer_is_no_news(
    capfd: pytest.CaptureFixture[str],
) -> None:
    gone, asked = threading.Event(), threading.Event()

    def check() -> None:
        asked.set()
        assert gone.wait(10)

    ops = OpsServer("127.0.0.1", 0, {"slow": check})
    ops.start()
    try:
        before = set(threading.enumerate())
        with socket.create_connection((ops.host, ops.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            assert asked.wait(10)
            (answering,) = set(threading.enumerate()) - before
        gone.set()
        answering.join(10)
    finally:
        ops.stop()
    assert capfd.readouterr().err == ""
