"""Facts as the creator reads them."""

from typing import Any

import pytest

from infra.control.views import notice
from infra.db.control import Fact


@pytest.mark.parametrize(
    ("kind", "detail", "message"),
    [
        ("publisher.connected", {"peer": "192.0.2.1:9"}, "an encoder connected as primary"),
        ("publisher.connected", {"place": "backup"}, "an encoder connected as backup"),
        (
            "publisher.switched",
            {"from": "primary", "to": "backup", "reason": "silent"},
            "the backup encoder is on the air instead of the primary one (silent)",
        ),
        ("publisher.switched", {}, "the other encoder is on the air"),
        (
            "standby.lost",
            {"place": "backup", "reason": "connection-lost"},
            "the backup encoder, which stood by, is gone (connection-lost)",
        ),
        (
            "ingest.warning",
            {"code": "loss", "message": "3 packets", "place": "backup"},
            "Backup: 3 packets",
        ),
        ("publisher.refused", {"reason": "busy"}, "another encoder has this place"),
        ("publisher.lost", {"reason": "timeout"}, "the encoder is gone (timeout)"),
        (
            "publisher.refused",
            {"reason": "bad-streamid"},
            "the streamid cannot be read; it has the",
        ),
        ("publisher.refused", {"reason": "new-reason"}, "new-reason"),
        ("publisher.refused", {}, "an encoder was refused"),
        ("ingest.warning", {"code": "gop", "message": "keyframes every 10 s"}, "keyframes every"),
        ("recording.degraded", {"reason": "spool-full"}, "a part of the recording is lost (spool"),
    ],
)
def test_every_notice_is_said_in_words(kind: str, detail: dict[str, Any], message: str) -> None:
    fact = Fact(
        id="f", project="p", event="ev_1", type=kind, at_ms=1_900_000_000_000, detail=detail
    )
    told = notice(fact)
    assert told.message.startswith(message)
    assert told.detail == detail
