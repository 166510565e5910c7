import json
import subprocess
import sys

import pytest

from infra.telemetry.logs import redact

# Logging is global to a process, so each case runs in one of its own.
_PROGRAM = """
import logging, sys, structlog
from infra.telemetry.logs import configure_logging
configure_logging("media", sys.argv[1], "info")
structlog.get_logger("hotpath").info("started", url="redis://u:pw@h/0", port=1)
structlog.get_logger("hotpath").debug("hidden")
extra = {"color_message": "slow"}
logging.getLogger("uvicorn.error").warning("slow %s", "client", extra=extra)
logging.getLogger("httpx2").info("one request")
def reach(url, stream_key):
    raise ConnectionError(f"no answer from {url}")
try:
    reach("s3://AK:sesame@bucket", "open-barley")
except ConnectionError:
    structlog.get_logger().exception("broke")
"""


def _run(fmt: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, fmt], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return done.stderr


def test_json_lines_carry_role_level_time_and_event() -> None:
    started, foreign, broke = (json.loads(line) for line in _run("json").splitlines())
    assert started["event"] == "started"
    assert (started["role"], started["level"], started["port"]) == ("media", "info", 1)
    assert started["timestamp"].endswith("Z")
    assert started["url"] == "redis://***@h/0"
    assert (foreign["event"], foreign["logger"]) == ("slow client", "uvicorn.error")
    assert "color_message" not in foreign
    assert "ConnectionError: no answer from s3://***@bucket" in broke["exception"]


def test_console_output_is_for_people() -> None:
    text = _run("console")
    assert "started" in text
    assert "slow client" in text
    assert "hidden" not in text
    assert "pw@" not in text
    assert "ConnectionError: no answer from s3://***@bucket" in text


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_tracebacks_tell_neither_secrets_nor_variables(fmt: str) -> None:
    # Lines of a program given by -c have no source that a traceback could quote.
    text = _run(fmt)
    assert "Traceback" in text
    assert "sesame" not in text
    assert "barley" not in text


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("s3://AK:SK@bucket?region=r", "s3://***@bucket?region=r"),
        ("srt://h:1?streamid=e/k&passphrase=abc&latency=1", "passphrase=***&latency=1"),
        ("GET /t/aa.bb.cc/live/p/e/f/x.m3u8", "GET /t/***/live/p/e/f/x.m3u8"),
        ("http://h/k?X-Amz-Signature=0f&a=1", "http://h/k?X-Amz-Signature=***&a=1"),
    ],
)
def test_secrets_in_urls_are_masked(secret: str, shown: str) -> None:
    assert redact(secret).endswith(shown)


def test_ordinary_urls_stay_as_they_are() -> None:
    text = "http://127.0.0.1:8081/live/p/e/f/index.m3u8 and mail@host and 12:30"
    assert redact(text) == text
