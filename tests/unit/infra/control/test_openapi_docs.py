"""The API's description: committed as it is, and fit to be read and to make clients from."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from infra.control import openapi_docs

FILE = Path(__file__).parents[4] / "docs" / "openapi.json"
Operation = tuple[str, dict[str, Any]]


@cache
def render() -> str:
    return openapi_docs.render()


@cache
def document() -> dict[str, Any]:
    return dict(json.loads(render()))


def operations() -> Iterator[Operation]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_the_file_is_what_the_routes_say() -> None:
    assert FILE.read_text(encoding="utf-8") == render(), "run `make docs` and look at the change"


def test_it_is_valid() -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(document()).iter_errors()] == []


def test_operations_have_names_and_words_of_their_own() -> None:
    ids = Counter(operation["operationId"] for _, operation in operations())
    assert max(ids.values()) == 1
    for name, operation in operations():
        assert operation["summary"], name
        assert not operation["summary"].endswith("."), name
        assert operation["tags"], name
    described = {tag["name"] for tag in document()["tags"]}
    assert {tag for _, operation in operations() for tag in operation["tags"]} == described


def test_every_parameter_is_explained() -> None:
    for name, operation in operations():
        named = re.findall(r"\{(\w+)\}", name)
        parameters = operation.get("parameters", [])
        assert {p["name"] for p in parameters if p["in"] == "path"} == set(named), name
        for parameter in parameters:
            assert parameter.get("description"), f"{name}: {parameter['name']}"


def test_answers_have_bodies_and_problems_are_problems() -> None:
    for name, operation in operations():
        for status, answer in operation["responses"].items():
            assert answer["description"], f"{name}: {status}"
            content = answer.get("content", {})
            if status >= "400":
                assert "application/problem+json" in content, f"{name}: {status}"
            elif status not in ("204", "304"):
                assert content, f"{name}: {status}"


@pytest.mark.parametrize("word", ["$defs", "HTTPValidationError"])
def test_nothing_of_the_framework_is_left(word: str) -> None:
    assert f'"{word}"' not in render()
    assert f"/{word}" not in render()


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', render()))
    assert names == document()["components"]["schemas"].keys()
