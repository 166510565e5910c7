"""Two tenants of one control process, each with one of everything that the API can show.

What other roles would have written (that an event was live, its jobs, attempts, assets and
recording) is written into the database; all else is asked for over the API.
"""

import json
import time
from dataclasses import dataclass, field
from typing import Any

import httpx2
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from infra.jobs.clip_request import EXACT, INSTANT
from infra.jobs.replay import FUNCTION as REPLAY
from infra.lifecycle import Trigger
from tests.integration.infra.control.rows import (
    add_asset,
    add_delivery,
    add_functions,
    add_job,
    advance,
)

URL = "http://127.0.0.1:9/hooks"
HOUR_MS = 3_600_000
OVER = (Trigger.PROGRAM_LIVE, Trigger.END, Trigger.ARCHIVE_READY)
MADE = (
    ("index.m3u8", "vod"),
    ("archive.mp4", "mp4"),
    ("poster.jpg", "poster"),
    ("storyboard.vtt", "storyboard"),
    ("captions.vtt", "captions"),
)
"""Objects of a recording and their kinds."""


@dataclass
class Ledger:
    """The database of the control process, beside it."""

    engine: Engine
    now_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000 - HOUR_MS)
    """What is written happened an hour ago."""

    def session(self) -> Session:
        return Session(self.engine, expire_on_commit=False)


class Tenant:
    """An organisation with a project, keys that may everything in them, and objects by kind."""

    def __init__(self, api: httpx2.Client, ledger: Ledger, made: dict[str, Any]) -> None:
        """`made`: the organisation, as the API answered who made it."""
        self.project: str = made["project"]["id"]
        self.organisation_key: str = made["key"]["secret"]
        self._api = api
        self._ledger = ledger
        self._headers = {"Authorization": f"Bearer {self.organisation_key}"}
        self.key: str = self._new_key("of the project")["secret"]
        self._headers = {"Authorization": f"Bearer {self.key}"}
        self.ids = self._furnished() | {"organisation": [made["id"]], "project": [self.project]}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        response = self._api.request(method, path, json=body, headers=self._headers)
        response.raise_for_status()
        return response.json()

    def viewer_token(self) -> str:
        """Opens the event that is over, and allows clips of it."""
        wanted = {"subject": "viewer-9", "clips": True}
        return str(self.call("POST", f"/v1/events/{self.ids['over'][0]}/tokens", wanted)["token"])

    def whip_token(self) -> str:
        """Opens the event that is live."""
        event = self.call("GET", f"/v1/events/{self.ids['live'][0]}")
        return str(event["ingest"]["whip"]["token"])

    def _new_key(self, name: str) -> Any:
        return self.call("POST", "/v1/keys", {"name": name, "scopes": ["*"]})

    def _event(self, *triggers: Trigger, **fields: Any) -> str:
        event = str(self.call("POST", "/v1/events", {"name": "Launch day", **fields})["id"])
        advance(self._ledger, event, *triggers)
        return event

    def _furnished(self) -> dict[str, list[str]]:
        open_ = [self._event(draft=True), self._event()]
        live = [self._event(Trigger.PROGRAM_LIVE) for _ in range(2)]
        over = [self._event()]
        markers = [self._told_of(event) for event in (open_[1], over[0])]
        advance(self._ledger, over[0], *OVER)
        webhook, told = [self.call("POST", "/v1/webhooks", {"url": URL})["id"] for _ in range(2)]
        lost = [add_delivery(self._ledger, told, project=self.project, state="failed")]
        secret = self.call("GET", "/v1/secrets")["items"][0]["kid"]
        jobs = self._worked_on(over[0])
        return {
            "event": [*open_, *live, *over],
            "live": live,
            "over": over,
            "had": [*live, *over],
            "marker": markers,
            "marked": [open_[1], over[0]],
            "webhook": [webhook],
            "told": [told],
            "delivery": lost,
            "job": jobs,
            "dead": jobs[1:2],
            "clip": [job.replace("job_", "clip_") for job in jobs[3:]],
            "key": [self._new_key(f"spare {number}")["id"] for number in range(3)],
            "kid": [secret],
        }

    def _told_of(self, event: str) -> str:
        """Its viewers were sent away, moved, and shown a marker: the marker's id."""
        inside = f"/v1/events/{event}"
        self.call("POST", f"{inside}/revocations", {"subject": "viewer-7"})
        self.call("POST", f"{inside}/tier-changes", {"subject": "viewer-8", "tier": "broadcast"})
        return str(self.call("POST", f"{inside}/markers", {"kind": "poll"})["id"])

    def _worked_on(self, event: str) -> list[str]:
        """What the cold path did and has to do about it: a recording, a dead job, a waiting one,
        a clip of each kind and a replay; the jobs' ids."""
        names = [f"job_{event}_{kind}" for kind in ("archive", "dead", "waits", INSTANT, EXACT)]
        archive, dead, waits, instant, exact = names
        of = {"project": self.project}
        add_job(self._ledger, event, archive, **of)
        for name, kind in MADE:
            add_asset(self._ledger, event, archive, name, kind, **of)
        add_job(self._ledger, event, dead, state="dead", error="no such codec", **of)
        add_job(self._ledger, event, waits, state="queued", at=9, **of)
        for job, function in ((instant, INSTANT), (exact, EXACT)):
            key = f"vod/{self.project}/{event}/main/c0ffee/{function}.mp4"
            asked = {"clock": "recording", "start_ms": 500, "end_ms": 2_500}
            outputs = {"keys": [key]}
            more: dict[str, Any] = {"function": function, "params": asked, "outputs": outputs, **of}
            add_job(self._ledger, event, job, **more)
            assert add_asset(self._ledger, event, job, f"{function}.mp4", "clip", **of) == key
        entry = {"at_ms": self._ledger.now_ms, "kind": "chat", "data": {"text": "Hello"}}
        self.call("PUT", f"/v1/events/{event}/replay", {"entries": [entry]})
        return names

    def shown(self) -> str:
        """All that it has, but for what time alone changes."""
        event, over = self.ids["event"][1], self.ids["over"][0]
        webhook = f"/v1/webhooks/{self.ids['webhook'][0]}"
        lists = ("markers", "revocations", "tier-changes")
        own = [f"/v1/events/{one}/{name}" for one in (event, over) for name in lists]
        jobs = [f"/v1/jobs/{job}" for job in self.ids["job"]]
        paths = (
            "/v1/keys",
            *own,
            *jobs,
            f"/v1/events/{event}",
            f"/v1/events/{over}/replay",
            webhook,
            *("/v1/events", "/v1/jobs", "/v1/webhooks", "/v1/signing-keys", "/v1/secrets"),
        )
        found = [self.call("GET", path) for path in paths]
        shown = dict(zip(paths, found, strict=True))
        for key in shown["/v1/keys"]["items"]:
            del key["last_used_at"]
        # Nobody listens at its address.
        for endpoint in (shown[webhook], *shown["/v1/webhooks"]["items"]):
            del endpoint["failing_since"]
        return json.dumps(shown, sort_keys=True)


@dataclass(frozen=True)
class Tenants:
    ours: Tenant
    theirs: Tenant


def two_tenants(api: httpx2.Client, installation_key: str, engine: Engine) -> Tenants:
    ledger = Ledger(engine)
    add_functions(ledger, INSTANT, EXACT, REPLAY)
    headers = {"Authorization": f"Bearer {installation_key}"}

    def tenant(name: str) -> Tenant:
        made = api.post("/v1/organisations", json={"name": name}, headers=headers)
        return Tenant(api, ledger, made.raise_for_status().json())

    return Tenants(tenant("ours"), tenant("theirs"))
