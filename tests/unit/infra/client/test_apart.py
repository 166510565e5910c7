"""The package knows nothing of the server and stands on two libraries."""

import ast
import sys
from pathlib import Path

import infra.client

HOME = Path(infra.client.__file__).parent


def imported(source: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert node.module is not None
            names.add(node.module)
    return names


def test_nothing_else_is_imported() -> None:
    every = {name for source in HOME.rglob("*.py") for name in imported(source)}
    foreign = {
        name
        for name in every
        if name.split(".")[0] not in sys.stdlib_module_names
        and not f"{name}.".startswith("infra.client.")
    }
    assert foreign == {"httpx2", "pydantic"}
