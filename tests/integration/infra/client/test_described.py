"""The client says what the API's own description says: no operation is missing, none is made up.

The operations come from `/openapi.json` and from the client's groups. A new route needs a method,
or an entry here when it is not for the programs of a project's owner.
"""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from infra.client import AsyncClient
from infra.client.calls import Call, Wait, prepare
from infra.client.following import PATH
from infra.client.groups import Group, listing, operation, waiting
from infra.client.models import Model, Page
from tests.integration.infra.control.conftest import Deployment

pytestmark = pytest.mark.integration

NOT_FOR_OWNERS = {
    ("GET", "/v1/playback/{event}"),
    ("GET", "/v1/playback/{event}/access"),
    ("GET", "/v1/playback/{event}/recording"),
    ("POST", "/v1/playback/{event}/clips"),
    ("GET", "/v1/playback/{event}/clips/{clip}"),
    ("GET", "/v1/publish/{event}"),
}
"""For viewers and publishers, with tokens of theirs."""
BY_ITSELF = {("GET", PATH)}
"""The stream is no call with one answer."""
FOR_PAGES = {("GET", "/v1/readings/stream")}
"""It may miss readings; programs ask for the list."""
IGNORED = {"If-None-Match", "Livepath-Project", "Last-Event-ID", "Idempotency-Key"}
"""Headers that a client sends for all calls, or has no use for."""
WHEN = datetime(2030, 6, 1, 18, tzinfo=UTC)
EXAMPLES: Mapping[Any, Any] = {
    str: "word",
    int: 7,
    float: 1.5,
    bool: True,
    datetime: WHEN,
    list: ["word"],
    dict: {"word": "word"},
}


def example(hint: Any) -> Any:
    """A value of this kind that is not None."""
    choices = [one for one in get_args(hint) if one is not type(None)]
    origin = get_origin(hint)
    if origin is None:
        return EXAMPLES[hint]
    name = getattr(origin, "__name__", "")
    if name == "Callable":
        return print
    if name in ("Sequence", "Iterable"):
        return ["word"]
    return {"word": "word"} if name == "Mapping" else example(choices[0])


@dataclass(frozen=True)
class Method:
    """A method of a group, called with everything that it takes."""

    name: str
    call: Call[Any]

    @property
    def place(self) -> tuple[str, str]:
        return self.call.method, self.call.path


def given(describe: Any) -> tuple[list[Any], dict[str, Any]]:
    hints = get_type_hints(describe)
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for name, parameter in list(inspect.signature(describe).parameters.items())[1:]:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            positional.append("word")
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            (fields,) = get_args(hints[name])
            assert is_typeddict(fields)
            named |= {one: example(hint) for one, hint in get_type_hints(fields).items()}
        elif parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            named[name] = example(hints[name])
        else:
            positional.append(example(hints[name]))
    return positional, named


def methods(client: AsyncClient) -> Iterator[Method]:
    groups = {name: one for name, one in vars(client).items() if isinstance(one, Group)}
    for group_name, group in groups.items():
        for name, described in vars(type(group)).items():
            if isinstance(described, operation | listing | waiting):
                positional, named = given(described.describe)
                made = described.describe(group, *positional, **named)
                call = made.call if isinstance(made, Wait) else made
                yield Method(f"{group_name}.{name}", call)


@dataclass(frozen=True)
class Described:
    """The API's description of itself."""

    document: Mapping[str, Any]

    @property
    def operations(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        return {
            (method.upper(), path): said
            for path, methods in self.document["paths"].items()
            for method, said in methods.items()
            if path.startswith("/v1/")
        }

    def schema(self, said: Mapping[str, Any]) -> Mapping[str, Any]:
        """The object that a schema is or refers to."""
        for one in said.get("anyOf", [said]):
            if "$ref" in one:
                name = one["$ref"].rsplit("/", 1)[1]
                return self.schema(self.document["components"]["schemas"][name])
            if "properties" in one:
                return dict(one)
        return {"properties": {}}

    def body(self, said: Mapping[str, Any]) -> Mapping[str, Any]:
        content = said.get("requestBody", {}).get("content", {})
        return self.schema(content.get("application/json", {}).get("schema", {}))

    def answer(self, said: Mapping[str, Any]) -> Mapping[str, Any]:
        """One, although it may come with several statuses."""
        good = [told for code, told in said["responses"].items() if code.startswith("2")]
        schemas = [
            told.get("content", {}).get("application/json", {}).get("schema", {}) for told in good
        ]
        assert all(schema == schemas[0] for schema in schemas)
        return self.schema(schemas[0])


@pytest.fixture
def described(deployment: Deployment) -> Described:
    return Described(deployment.app.openapi())


def test_every_operation_of_an_owner_has_a_method(
    client: AsyncClient, described: Described
) -> None:
    offered = {method.place for method in methods(client)} | BY_ITSELF
    assert described.operations.keys() - offered == NOT_FOR_OWNERS | FOR_PAGES
    assert offered - described.operations.keys() == set()


def test_methods_send_what_the_operations_take_and_can_send_all_of_it(
    client: AsyncClient, described: Described
) -> None:
    wrong = {}
    for method in methods(client):
        said = described.operations[method.place]
        sent = prepare(method.call, "req", "key")
        parameters = [(one["in"], one["name"].lower()) for one in said.get("parameters", ())]
        has = {
            "path": set(method.call.ids),
            "query": {name.lower() for name, _ in sent.query} | ({"after"} & _query(parameters)),
            "header": {name.lower() for name in method.call.headers},
            "body": set(method.call.body or {}),
        }
        takes = {
            "path": {name for where, name in parameters if where == "path"},
            "query": _query(parameters),
            "header": {name for where, name in parameters if where == "header"}
            - {name.lower() for name in IGNORED},
            "body": set(described.body(said)["properties"]),
        }
        if has != takes:
            wrong[method.name] = {part: has[part] ^ takes[part] for part in has}
    assert wrong == {}


def test_results_have_the_fields_of_the_answers(client: AsyncClient, described: Described) -> None:
    wrong = {}
    for method in methods(client):
        answer = described.answer(described.operations[method.place])
        found = _differences(method.call.result, answer, described)
        if found:
            wrong[method.name] = found
    assert wrong == {}


def _differences(
    model: type[Model], schema: Mapping[str, Any], described: Described
) -> dict[str, set[str]]:
    """Fields that only one side has, and fields that must be there and may be missing."""
    if issubclass(model, Page):
        (item,) = model.__pydantic_generic_metadata__["args"]
        return _differences(
            item, described.schema(schema["properties"]["items"]["items"]), described
        )
    properties = schema["properties"]
    must = {name for name, one in model.model_fields.items() if one.is_required()}
    unknown = set(properties) - set(model.model_fields)
    missing = must - set(properties)
    found = {"unknown": unknown, "missing": missing}
    for name in set(properties) & set(model.model_fields):
        inner = _model_in(model.model_fields[name].annotation)
        said = properties[name]
        if inner is not None:
            below = described.schema(_inside(said))
            for kind, names in _differences(inner, below, described).items():
                found[kind] |= {f"{name}.{one}" for one in names}
    return {kind: names for kind, names in found.items() if names}


def _inside(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a list or a map is of, null or not; else the schema itself."""
    for one in said.get("anyOf", [said]):
        for held in (one.get("items"), one.get("additionalProperties")):
            if isinstance(held, Mapping):
                return dict(held)
    return said


def _model_in(hint: Any) -> type[Model] | None:
    if isinstance(hint, type) and issubclass(hint, Model):
        return hint
    return next((found for one in get_args(hint) if (found := _model_in(one))), None)


def _query(parameters: list[tuple[str, str]]) -> set[str]:
    return {name for where, name in parameters if where == "query"}
