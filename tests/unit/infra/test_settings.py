"""What the settings models accept from the environment."""

import pytest
from pydantic import ValidationError

from infra.settings import MediaSettings


def media(monkeypatch: pytest.MonkeyPatch, **environment: str) -> MediaSettings:
    for name, value in environment.items():
        monkeypatch.setenv(f"LIVEPATH_{name.upper()}", value)
    return MediaSettings()


def test_lists_are_words_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = media(monkeypatch, webrtc_hosts="0.0.0.0, ::", turn_urls="turn:a:1,turns:b:2,")
    assert settings.webrtc_hosts == ("0.0.0.0", "::")
    assert settings.turn_urls == ("turn:a:1", "turns:b:2")


def test_an_empty_list_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    assert media(monkeypatch, webrtc_advertise="").webrtc_advertise == ()


def test_one_machine_needs_no_setting() -> None:
    settings = MediaSettings()
    assert settings.webrtc_hosts == ("127.0.0.1",)
    assert settings.webrtc_port not in (settings.media_port, settings.srt_port)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webrtc_port", "70000"),
        ("max_viewers", "-1"),
        ("consent_timeout_s", "1"),
        ("webrtc_tcp", "?"),
    ],
)
def test_what_cannot_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(ValidationError, match=name):
        media(monkeypatch, **{name: value})


def test_the_turn_secret_does_not_show_in_a_representation(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "hush" not in repr(media(monkeypatch, turn_secret="hush"))
