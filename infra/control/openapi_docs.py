"""Writes docs/openapi.json, the API's description: `python -m infra.control.openapi_docs [FILE]`.

The routes are the only place where the API is stated. The file makes every change of it a change
that a review sees; a test compares the two.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from infra.control.app import create_app

if TYPE_CHECKING:
    from infra.control.context import ControlContext


def render() -> str:
    """The whole file; keys are sorted, so that it changes only where the API does."""
    # The description follows from the routes; nothing is asked of the context.
    app = create_app(cast("ControlContext", None))
    return json.dumps(app.openapi(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> int:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if target is None:
        sys.stdout.write(render())
    else:
        target.write_text(render(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
