"""Where the API is, what opens it, and how failures are said."""

import json
from pathlib import Path

import pytest
import typer

from infra.cli.api import DEFAULT_URL, Access, Ended, key_of, refusals, status_of, told, where
from infra.client import ClientError, Unreachable, WaitedInVain
from infra.client.errors import error_of

STACK = {"control_url": "https://10.0.0.7:9000", "certificate_file": "/data/tls/cert.pem"}


def access(folder: Path, url: str | None = None, key: str | None = None) -> Access:
    return Access(url, key, folder, None)


def refusal(status: int, **said: object) -> ClientError:
    problem = {"title": "No", "detail": "it was never live", "fix": "Cancel it.", **said}
    return error_of(status, {"x-request-id": "req_1"}, json.dumps(problem).encode(), "")


def test_the_address_is_that_of_the_stack_in_the_data_folder(tmp_path: Path) -> None:
    assert where(access(tmp_path)).url == DEFAULT_URL
    (tmp_path / "endpoints.json").write_text(json.dumps(STACK))
    found = where(access(tmp_path))
    assert (found.url, found.certificate) == (STACK["control_url"], Path("/data/tls/cert.pem"))
    same = where(access(tmp_path, "https://10.0.0.7:9000/"))
    assert same.certificate == Path("/data/tls/cert.pem")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://live.example"])
def test_an_address_that_is_said_goes_first_and_is_not_trusted_blindly(
    tmp_path: Path, url: str
) -> None:
    (tmp_path / "endpoints.json").write_text(json.dumps(STACK))
    found = where(access(tmp_path, url))
    assert (found.url, found.certificate) == (url, None)


@pytest.mark.parametrize("written", ["", "[]", "{}", "null", '{"control_url": '])
def test_a_file_that_is_none_leaves_the_default(tmp_path: Path, written: str) -> None:
    (tmp_path / "endpoints.json").write_text(written)
    assert where(access(tmp_path)).url == DEFAULT_URL


def test_the_key_is_that_of_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text("lp_of_the_stack\n")
    assert key_of(access(tmp_path)) == "lp_of_the_stack"
    assert key_of(access(tmp_path, key="lp_said")) == "lp_said"
    with pytest.raises(typer.Exit):
        key_of(access(tmp_path / "none"))


def test_a_refusal_is_in_the_words_of_the_api_with_its_fix() -> None:
    where_and_what = [{"where": "body.name", "message": "Field required"}]
    assert told(refusal(422, errors=where_and_what)).splitlines() == [
        "livepath: it was never live (422, req_1)",
        "  body.name: Field required",
        "fix: Cancel it.",
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (refusal(409), Ended.REFUSED),
        (refusal(401), Ended.REFUSED),
        (refusal(503), Ended.UNREACHABLE),
        (Unreachable("no route", "req_1"), Ended.UNREACHABLE),
        (WaitedInVain("waited 5 s"), Ended.IN_VAIN),
    ],
)
def test_the_exit_status_says_which_kind_it_was(
    error: ClientError, status: Ended, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(error) is status
    with pytest.raises(typer.Exit) as ended, refusals():
        raise error
    assert ended.value.exit_code == status
    assert capsys.readouterr().err.startswith("livepath: ")
