"""What counts as taken away by a change of the API's description, and what the routes took."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.control import openapi_docs
from infra.control.openapi_changes import UnknownKeyword, breaks

DOCS = Path(__file__).parents[4] / "docs"
Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
NULL: Schema = {"type": "null"}
TIME: Schema = {"type": "string", "format": "date-time"}


def fields(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def any_of(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def content(schema: Schema, kind: str = "application/json") -> Schema:
    return {"content": {kind: {"schema": schema}}}


def operation(**changes: Any) -> Schema:
    return {"responses": {"200": content(fields())}, **changes}


def asked(schema: Schema) -> Schema:
    """A description with one operation that takes this."""
    return described(operation(requestBody=content(schema)))


def answered(schema: Schema) -> Schema:
    return described(operation(responses={"200": content(schema)}))


def described(post: Schema, **schemas: Schema) -> Schema:
    return {"paths": {"/v1/x": {"post": post}}, "components": {"schemas": schemas}}


def parameter(name: str, schema: Schema = TEXT, *, required: bool = False) -> Schema:
    return {"in": "query", "name": name, "required": required, "schema": schema}


def test_nothing_was_taken_away_since_the_release_but_what_is_listed() -> None:
    released = json.loads((DOCS / "openapi-baseline.json").read_text(encoding="utf-8"))
    lines = (DOCS / "openapi-breaks.txt").read_text(encoding="utf-8").splitlines()
    intended = sorted(line for line in lines if line and not line.startswith("#"))
    found = breaks(released, json.loads(openapi_docs.render()))
    assert found == intended, "docs/control-api.md, 'Compatible changes', says what to do"


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (fields(a=TEXT), fields(), ["body: no longer takes a"]),
        (fields(a=TEXT), fields("a", a=TEXT), ["body: must have a now"]),
        (fields(), fields("a", a=TEXT), ["body: must have a now"]),
        (fields(a=NUMBER), fields(a=WHOLE), ["body.a: no longer takes number"]),
        (TEXT, TIME, ["body: no longer takes string"]),
        (any_of(TEXT, NULL), TEXT, ["body: no longer takes null"]),
        ({"type": ["string", "null"]}, TEXT, ["body: no longer takes null"]),
        (TEXT | {"enum": ["a", "b"]}, TEXT | {"enum": ["b"]}, ['body: no longer takes "a"']),
        (TEXT, TEXT | {"enum": ["a"]}, ["body: takes only some values now"]),
        (TEXT | {"const": "a"}, TEXT | {"const": "b"}, ['body: no longer takes "a"']),
        (TEXT | {"maxLength": 9}, TEXT | {"maxLength": 8}, ["body: maxLength is 8 now"]),
        (TEXT, TEXT | {"maxLength": 8}, ["body: maxLength is 8 now"]),
        (WHOLE | {"minimum": 0}, WHOLE | {"minimum": 1}, ["body: minimum is 1 now"]),
        (TEXT, TEXT | {"pattern": "^a"}, ["body: another pattern"]),
        (WHOLE | {"default": 1}, WHOLE | {"default": 2}, ["body: another default"]),
        (
            {"type": "array", "items": any_of(TEXT, NULL)},
            {"type": "array", "items": TEXT},
            ["body[]: no longer takes null"],
        ),
        (
            {"type": "object", "additionalProperties": NUMBER},
            {"type": "object", "additionalProperties": TEXT},
            ["body{}: no longer takes number"],
        ),
        (
            fields(),
            fields() | {"additionalProperties": False},
            ["body: takes no other fields now"],
        ),
    ],
)
def test_a_request_that_was_taken_is_taken(old: Schema, new: Schema, found: list[str]) -> None:
    assert breaks(asked(old), asked(new)) == [f"POST /v1/x {one}" for one in found]
    assert breaks(asked(old), asked(old)) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (fields("a", a=TEXT), fields(), ["200: no longer has a"]),
        (fields("a", a=TEXT), fields(a=TEXT), ["200: may be without a"]),
        (fields(a=WHOLE), fields(a=NUMBER), ["200.a: may be number"]),
        (TEXT, any_of(TEXT, NULL), ["200: may be null"]),
        (TIME, TEXT, ["200: may be string"]),
    ],
)
def test_an_answer_has_what_it_had(old: Schema, new: Schema, found: list[str]) -> None:
    assert breaks(answered(old), answered(new)) == [f"POST /v1/x {one}" for one in found]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (asked(fields()), asked(fields(a=TEXT))),
        (asked(TEXT), asked(any_of(NULL, TEXT))),
        (asked(WHOLE), asked(NUMBER)),
        (asked(fields(a=TEXT)), asked({})),
        (asked(TEXT | {"enum": ["a"]}), asked(TEXT | {"enum": ["a", "b"]})),
        (asked(TEXT | {"maxLength": 8}), asked(TEXT | {"maxLength": 9})),
        (asked(WHOLE | {"minimum": 1}), asked(WHOLE | {"minimum": 0})),
        (answered(fields()), answered(fields("a", a=TEXT))),
        (answered(any_of(TEXT, NULL)), answered(TEXT)),
        (answered(TEXT | {"enum": ["a"]}), answered(TEXT | {"enum": ["a", "b"]})),
        (answered(TEXT | {"title": "A"}), answered(TEXT | {"title": "B"})),
    ],
)
def test_what_is_only_added_is_no_break(old: Schema, new: Schema) -> None:
    assert breaks(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ([parameter("a")], [], "no longer takes query a"),
        ([parameter("a")], [parameter("a", required=True)], "must have query a now"),
        ([], [parameter("a", required=True)], "must have query a now"),
        ([parameter("a", TEXT)], [parameter("a", WHOLE)], "query a: no longer takes string"),
    ],
)
def test_parameters(old: list[Schema], new: list[Schema], found: str) -> None:
    place = "POST /v1/x" if found.startswith("query") else "POST /v1/x:"
    before, after = described(operation(parameters=old)), described(operation(parameters=new))
    assert breaks(before, after) == [f"{place} {found}"]
    assert breaks(described(operation()), described(operation(parameters=[parameter("a")]))) == []


def test_paths_and_operations() -> None:
    before = described(operation())
    before["paths"]["/v1/x"]["get"] = operation()
    before["paths"]["/v1/y"] = {"get": operation()}
    assert breaks(before, described(operation())) == ["GET /v1/x: is gone", "GET /v1/y: is gone"]
    assert breaks(described(operation()), before) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({}, {"requestBody": content(TEXT) | {"required": True}}, [": must have a body now"]),
        (
            {"requestBody": content(TEXT)},
            {"requestBody": content(TEXT, "text/plain")},
            [" body: is no longer application/json"],
        ),
        (
            {"responses": {"201": {}, "404": {}}},
            {"responses": {"202": {}}},
            [": no longer answers 201"],
        ),
        ({"security": [{"Key": ["a"]}]}, {"security": [{"Key": []}]}, []),
        ({"security": [{"Key": ["a"]}]}, {}, []),
        ({"security": [{"Key": ["a"]}]}, {"security": [{"Token": []}, {"Key": ["a"]}]}, []),
        ({}, {"security": [{"Key": []}]}, [": asks for other credentials"]),
        (
            {"security": [{"Key": ["a"]}]},
            {"security": [{"Key": ["a", "b"]}]},
            [": asks for other credentials"],
        ),
    ],
)
def test_bodies_answers_and_credentials(old: Schema, new: Schema, found: list[str]) -> None:
    before, after = described(operation(**old)), described(operation(**new))
    assert breaks(before, after) == [f"POST /v1/x{one}" for one in found]


def test_a_schema_with_a_name_is_told_once_by_it() -> None:
    """However often it is used, in itself as well."""
    reference = {"$ref": "#/components/schemas/Tree"}
    post = operation(
        responses={"200": content(reference), "201": content(fields(tree=reference))},
        requestBody=content(reference),
    )

    def tree(**more: Schema) -> Schema:
        child = any_of(reference, NULL)
        return described(post, Tree=fields(child=child, **more))

    found = breaks(tree(leaf=TEXT), tree())
    assert found == ["Tree: no longer has leaf", "Tree: no longer takes leaf"]


def test_another_name_for_the_same_is_no_break() -> None:
    post = operation(responses={"200": content({"$ref": "#/components/schemas/A"})})
    other = operation(responses={"200": content({"$ref": "#/components/schemas/B"})})
    one = fields("a", a=TEXT)
    assert breaks(described(post, A=one), described(other, B=one)) == []
    assert breaks(described(post, A=one), answered(one)) == []


def test_what_cannot_be_compared_is_said() -> None:
    with pytest.raises(UnknownKeyword, match="a schema has allOf"):
        breaks(asked({"allOf": [TEXT]}), asked(TEXT))
