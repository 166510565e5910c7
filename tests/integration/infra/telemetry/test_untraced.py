"""What a process loads that does not trace: nothing of OpenTelemetry's SDK, in any role."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration
PROGRAM = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*sorted(name for name in sys.modules if name.startswith(("opentelemetry.sdk.", "requests"))))
"""
ROLES = {
    "media": ("hotpath.__main__", "hotpath.node.app"),
    "uploader": ("hotpath.__main__", "hotpath.hls.uploader"),
    "control": ("infra.__main__",),
    "worker": ("coldpath.__main__", "coldpath.worker", "coldpath.dispatch"),
    "command line": ("infra.cli",),
}


@pytest.mark.parametrize("role", ROLES)
def test_nothing_is_loaded_for_tracing(role: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *ROLES[role]], capture_output=True, text=True, check=True
    )
    # The one name that says that there is none.
    assert set(done.stdout.split()) <= {"opentelemetry.sdk.metrics"}
