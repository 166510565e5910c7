"""Two tenants of one control process, each with one of everything that can be had over the API."""

import json
from dataclasses import dataclass
from typing import Any

import httpx2

URL = "http://127.0.0.1:9/hooks"


class Tenant:
    """A project with a key of its own that may everything in it, and its objects by name."""

    def __init__(self, api: httpx2.Client, project: str, key: str) -> None:
        self.project = project
        self.key = key
        self._api = api
        self._headers = {"Authorization": f"Bearer {key}"}
        self.ids = self._furnished()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        response = self._api.request(method, path, json=body, headers=self._headers)
        response.raise_for_status()
        return response.json()

    def _furnished(self) -> dict[str, str]:
        event = self.call("POST", "/v1/events", {"name": "Launch day"})["id"]
        inside = f"/v1/events/{event}"
        self.call("POST", f"{inside}/revocations", {"subject": "viewer-7"})
        self.call("POST", f"{inside}/tier-changes", {"subject": "viewer-8", "tier": "broadcast"})
        return {
            "event": event,
            "marker": self.call("POST", f"{inside}/markers", {"kind": "poll"})["id"],
            "webhook": self.call("POST", "/v1/webhooks", {"url": URL})["id"],
        }

    def shown(self) -> str:
        """All that it has, but for what time alone changes."""
        inside = f"/v1/events/{self.ids['event']}"
        webhook = f"/v1/webhooks/{self.ids['webhook']}"
        own = [f"{inside}/{name}" for name in ("markers", "revocations", "tier-changes")]
        paths = (
            "/v1/keys",
            inside,
            *own,
            webhook,
            "/v1/events",
            "/v1/webhooks",
            "/v1/signing-keys",
            "/v1/secrets",
        )
        found = [self.call("GET", path) for path in paths]
        shown = dict(zip(paths, found, strict=True))
        for key in shown["/v1/keys"]["items"]:
            del key["last_used_at"]
        # Nobody listens at its address.
        for endpoint in (shown[webhook], *shown["/v1/webhooks"]["items"]):
            del endpoint["failing_since"]
        return json.dumps(found, sort_keys=True)


@dataclass(frozen=True)
class Tenants:
    ours: Tenant
    theirs: Tenant


def two_tenants(api: httpx2.Client, organisation_key: str) -> Tenants:
    owner = {"Authorization": f"Bearer {organisation_key}"}

    def tenant(name: str) -> Tenant:
        made = api.post("/v1/projects", json={"name": name}, headers=owner)
        project = made.raise_for_status().json()["id"]
        wanted = {"name": name, "scopes": ["*"]}
        headers = owner | {"Livepath-Project": project}
        key = api.post("/v1/keys", json=wanted, headers=headers).raise_for_status().json()
        return Tenant(api, project, str(key["secret"]))

    return Tenants(tenant("ours"), tenant("theirs"))
