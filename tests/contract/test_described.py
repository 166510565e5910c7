"""What the API does is what it describes: every operation, good and bad requests, and sequences.

    make fuzz-api [FUZZ_ARGS="--examples 200 --fuzz-seed 7"]

Schemathesis reads `/openapi.json` of a real control process and makes requests up: the examples,
the edges of every type, examples at random, and sequences of operations that hand each other's ids
on. No answer may be a 5xx, a status or a body that is not described, or a success of a request that
the description rules out. It asks with the key of one tenant, half of the time by ids of another,
and nothing that the other has may change.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.contract.tenants import Tenants, two_tenants
from tests.support.stack import stack_on_thread

ROLES = frozenset({"s3", "valkey-bus", "control"})
ENVIRONMENT = {
    "LIVEPATH_REQUESTS_PER_KEY": "0",
    "LIVEPATH_REQUESTS_PER_IP": "0",
    "LIVEPATH_WEBHOOK_HTTP": "true",
    "LIVEPATH_WEBHOOK_PRIVATE": "true",
}
ENDLESS = ("/v1/stream", "/v1/readings/stream")
KEYS = "^/v1/keys"
"""A key that revokes itself ends the run: these operations have one of their own."""
HOOKS = Path(__file__).with_name("hooks.py")
CONFIG = """
seed = {seed}
hooks = "{hooks}"
color = false
continue-on-failure = true
suppress-health-check = ["all"]

[generation]
max-examples = {examples}

# What no schema can say, such as that an end comes after its start, is refused in words.
[checks.positive_data_acceptance]
enabled = false

[checks.negative_data_rejection]
expected-statuses = ["4xx"]

[parameters]
event = {{ dictionary = "event", probability = 0.7 }}
marker = {{ dictionary = "marker", probability = 0.7 }}
webhook = {{ dictionary = "webhook", probability = 0.7 }}

[dictionaries]
event = {{ values = ["{ours[event]}", "{theirs[event]}"] }}
marker = {{ values = ["{ours[marker]}", "{theirs[marker]}"] }}
webhook = {{ values = ["{ours[webhook]}", "{theirs[webhook]}"] }}
"""


@dataclass(frozen=True)
class Deployment:
    url: str
    tenants: Tenants


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("contract") / "data"
    with stack_on_thread(folder, only=ROLES, environment=ENVIRONMENT) as stack:
        url = stack.endpoints.control_url
        with httpx2.Client(base_url=url, timeout=30, trust_env=False) as client:
            yield Deployment(url, two_tenants(client, stack.api_key))
        assert "Traceback" not in stack.log("control")


@pytest.mark.parametrize(
    "chosen", [("--exclude-path-regex", KEYS), ("--include-path-regex", KEYS)], ids=["all", "keys"]
)
def test_the_api_does_what_it_describes(
    deployment: Deployment,
    chosen: tuple[str, str],
    seed: int,
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    ours, theirs = deployment.tenants.ours, deployment.tenants.theirs
    examples = int(pytestconfig.getoption("--examples"))
    before = theirs.shown()
    config = tmp_path / "schemathesis.toml"
    told = {"seed": seed, "hooks": HOOKS, "examples": examples}
    config.write_text(CONFIG.format(**told, ours=ours.ids, theirs=theirs.ids))
    status = fuzz(deployment.url, ours.key, config, *chosen)
    assert status == 0, "see the failures above; `st explain CODE` tells what a code means"
    assert theirs.shown() == before


def fuzz(url: str, key: str, config: Path, *options: str) -> int:
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config)]
    command += ["run", f"{url}/openapi.json", "-H", f"Authorization: Bearer {key}"]
    command += [word for path in ENDLESS for word in ("--exclude-path", path)] + [*options]
    environment = {name: text for name, text in os.environ.items() if "proxy" not in name.lower()}
    return subprocess.run(command, cwd=config.parent, env=environment, check=False).returncode
