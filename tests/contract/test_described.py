"""What the API does is what it describes: every operation, good and bad requests, and sequences.

    make fuzz-api [FUZZ_ARGS="--examples 200 --fuzz-seed 7"]

Schemathesis reads `/openapi.json` of a real control process and makes requests up: the examples,
the edges of every type, examples at random, and sequences of operations that hand each other's ids
on. No answer may be a 5xx, a status or a body that is not described, or a success of a request that
the description rules out. It asks with the keys of one tenant, half of the time by ids of another,
and nothing that the other has may change. In the end every operation must have succeeded once, so
that what it answers then was looked at.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from redis import Redis

from infra.db.engine import sync_engine
from infra.events.nodes import NodePresence
from infra.events.nodes_bus import NAMES
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

{parameters}
{dictionaries}
"""
WORDS: dict[str, list[Any]] = {
    "function": ["clip-instant", "clip-exact", "replay"],
    "start": [0, 0.5, 1],
    "end": [1.5, 2, 60],
    "url": ["https://127.0.0.1:9/hooks"],
    "node": ["media-a", "media-b"],
}
NAMED = ("event", "marker", "webhook", "delivery", "job", "clip", "key", "kid")
NAMED += ("organisation", "project", "node")
"""Parameters whose ids are known."""
TOGETHER = (
    ("POST .*/clips$", {"event": "over", "body.start": "start", "body.end": "end"}),
    ("GET .*/clips/", {"event": "over"}),
    (".*/markers/", {"event": "marked"}),
    ("PUT .*/replay$", {"event": "had"}),
    ("POST .*/end$", {"event": "live"}),
    ("POST .*/retry$", {"job": "dead"}),
    (".*/deliveries", {"webhook": "told"}),
    ("POST /v1/webhooks$", {"body.url": "url"}),
)
"""Where by chance alone too little would belong together, or be there still: operations and the
dictionaries that they take instead."""


@dataclass(frozen=True)
class Run:
    """What is asked with one key; operations that end a run's key have one of their own."""

    key: Callable[["Deployment"], str]
    options: tuple[str, ...]
    event: str | None = None
    """Which of the tenants' events are asked for, if it is not all."""


def only(paths: str) -> tuple[str, str]:
    return ("--include-path-regex", paths)


# Those with few things to ask for come before those that may end them.
RUNS = {
    "viewer": Run(lambda of: of.tenants.ours.viewer_token(), only("^/v1/playback"), "over"),
    "publisher": Run(lambda of: of.tenants.ours.whip_token(), only("^/v1/publish"), "live"),
    "installation": Run(lambda of: of.installation_key, only("^/v1/(organisations|nodes)")),
    "organisation": Run(
        lambda of: of.tenants.ours.organisation_key, only("^/v1/(projects|organisations|audit)")
    ),
    "all": Run(lambda of: of.tenants.ours.key, ("--exclude-path-regex", "^/v1/keys")),
    # A key that revokes itself ends the run.
    "keys": Run(lambda of: of.tenants.ours.key, only("^/v1/keys")),
}


@dataclass(frozen=True)
class Deployment:
    url: str
    installation_key: str
    tenants: Tenants
    successes: Path
    """Operations that answered with one, a line each."""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("contract")
    with (
        stack_on_thread(folder / "data", only=ROLES, environment=ENVIRONMENT) as stack,
        httpx2.Client(base_url=stack.endpoints.control_url, timeout=30, trust_env=False) as client,
    ):
        engine = sync_engine(stack.endpoints.database_url)
        tenants = two_tenants(client, stack.api_key, engine)
        engine.dispose()
        two_nodes(stack.endpoints.bus_url)
        url, successes = stack.endpoints.control_url, folder / "successes"
        yield Deployment(url, stack.api_key, tenants, successes)
        assert "Traceback" not in stack.log("control")


def two_nodes(bus_url: str) -> None:
    """As media nodes tell of themselves, but for as long as the bus lives."""
    with Redis.from_url(bus_url) as bus:
        for name in WORDS["node"]:
            told = NodePresence(node=name, boot="b1", url=f"http://{name}:8081")
            bus.sadd(NAMES, name)
            bus.set(f"livepath:node:{name}", told.model_dump_json())


@pytest.mark.parametrize("name", RUNS)
def test_the_api_does_what_it_describes(
    deployment: Deployment, name: str, seed: int, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    run, theirs = RUNS[name], deployment.tenants.theirs
    before = theirs.shown()
    config = tmp_path / "schemathesis.toml"
    examples = int(pytestconfig.getoption("--examples"))
    config.write_text(configuration(deployment.tenants, run.event, seed, examples))
    status = fuzz(deployment, run.key(deployment), config, *run.options)
    assert status == 0, "see the failures above; `st explain CODE` tells what a code means"
    assert theirs.shown() == before


def test_every_operation_was_answered_with_a_success(deployment: Deployment) -> None:
    """Else nothing was said about what it answers then."""
    asked = set(deployment.successes.read_text(encoding="utf-8").split("\n"))
    paths = httpx2.get(f"{deployment.url}/openapi.json", trust_env=False).json()["paths"]
    described = {
        f"{method.upper()} {path}"
        for path, methods in paths.items()
        for method in methods
        if path not in ENDLESS
    }
    missing = sorted(described - asked)
    assert not missing, f"never with a success: {', '.join(missing)}"


def configuration(tenants: Tenants, event: str | None, seed: int, examples: int) -> str:
    """Half of the ids that are asked for are of the other tenant, where two have such."""
    ours, theirs = tenants.ours.ids, tenants.theirs.ids
    values = {name: [*ours[name], *theirs[name]] for name in ours}
    if event is not None:
        values |= dict.fromkeys(("event", "had"), values[event])
    tables = [bound("parameters", {name: name for name in NAMED} | {"body.function": "function"})]
    for operations, dictionaries in TOGETHER:
        tables += ["[[operations]]", f"include-name-regex = {json.dumps(operations)}"]
        tables.append(bound("operations.parameters", dictionaries, 0.9))
    known = (values | WORDS).items()
    words = [f"{name} = {{ values = {json.dumps(some)} }}" for name, some in known]
    return CONFIG.format(
        seed=seed,
        hooks=HOOKS,
        examples=examples,
        parameters="\n".join(tables),
        dictionaries="\n".join(["[dictionaries]", *words]),
    )


def bound(table: str, dictionaries: dict[str, str], probability: float = 0.7) -> str:
    """Parameters that mostly take a word of a dictionary."""
    lines = [
        f'"{parameter}" = {{ dictionary = "{name}", probability = {probability} }}'
        for parameter, name in dictionaries.items()
    ]
    return "\n".join([f"[{table}]", *lines])


def fuzz(deployment: Deployment, key: str, config: Path, *options: str) -> int:
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config)]
    command += ["run", f"{deployment.url}/openapi.json", "-H", f"Authorization: Bearer {key}"]
    command += [word for path in ENDLESS for word in ("--exclude-path", path)] + [*options]
    environment = {name: text for name, text in os.environ.items() if "proxy" not in name.lower()}
    environment["LIVEPATH_CONTRACT_SUCCESSES"] = str(deployment.successes)
    return subprocess.run(command, cwd=config.parent, env=environment, check=False).returncode
