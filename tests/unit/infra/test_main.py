"""`python -m infra` with a setting that cannot be used."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import __main__ as control


@pytest.fixture(autouse=True)
def _own_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging and signals of the test process are not control's to set up."""
    monkeypatch.setattr(control, "configure_logging", lambda *_: None)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"CONTROL_PORT": "http"}, "LIVEPATH_CONTROL_PORT"),
        ({"READY_URLS": "{"}, "ready_urls"),
        ({"DATABASE_URL": "mysql://x/y"}, "sqlite or postgresql"),
        ({"DATABASE_URL": "sqlite://"}, "sqlite:///path"),
        ({"DATABASE_URL": "nonsense"}, "sqlite:///path"),
        ({"BUS_URL": "http://x"}, "redis://host"),
        ({"BOOTSTRAP_API_KEY_FILE": "/nonexistent/key"}, "LIVEPATH_BOOTSTRAP_API_KEY_FILE"),
    ],
)
def test_a_bad_setting_is_one_line_and_exit_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    settings: dict[str, str],
    word: str,
) -> None:
    given = {"DATABASE_URL": f"sqlite:///{tmp_path}/x.db", "LOG_LEVEL": "error"} | settings
    for name, value in given.items():
        monkeypatch.setenv(f"LIVEPATH_{name}", value)
    assert control.main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert word in line
