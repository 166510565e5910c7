"""What a description of the API takes away from programs that were written by an older one.

    python -m infra.control.openapi_changes OLD.json NEW.json

Invariant: what is only added is no break. Of a request everything must be taken that was, and no
more be asked for; of an answer everything must be there that was, of the same types. So a value
that is new in an `enum` breaks nobody in an answer, and one that is gone breaks who sends it.

Pure but for `main`. Upstream: `infra.control.openapi_docs`; downstream: the unit tests, which
compare with the last release. A keyword of JSON Schema that is not known here raises.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

Node = Mapping[str, Any]

_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_COMPARED = frozenset({
    *("$ref", "anyOf", "oneOf", "type", "format", "enum", "const", "default", "pattern"),
    *("uniqueItems", "items", "properties", "required", "patternProperties", "propertyNames"),
    *("additionalProperties", *_UPPER, *_LOWER),
})  # fmt: skip
_WORDS = frozenset({"title", "description", "examples", "discriminator", "deprecated", "readOnly"})
_NOTHING: Node = {}


class Way(StrEnum):
    """Who writes what a schema describes."""

    REQUEST = "request"
    ANSWER = "answer"


class UnknownKeyword(ValueError):
    """A schema says something that cannot be compared."""


def breaks(old: Node, new: Node) -> list[str]:
    """Each once, in the order of the alphabet; raises `UnknownKeyword`."""
    return sorted(set(_Comparison(old, new).found()))


class _Comparison:
    def __init__(self, old: Node, new: Node) -> None:
        self._old, self._new = old, new
        self._met: set[tuple[str, str, Way]] = set()
        """Schemas with names that were compared, or are being."""

    def found(self) -> Iterator[str]:
        for path, methods in self._old["paths"].items():
            for method, operation in methods.items():
                place = f"{method.upper()} {path}"
                other = self._new["paths"].get(path, _NOTHING).get(method)
                if other is None:
                    yield f"{place}: is gone"
                    continue
                yield from self._parameters(place, operation, other)
                yield from self._body(place, operation, other)
                yield from self._answers(place, operation, other)
                if not _opens(operation.get("security", []), other.get("security", [])):
                    yield f"{place}: asks for other credentials"

    def _parameters(self, place: str, old: Node, new: Node) -> Iterator[str]:
        before, after = _parameters_of(old), _parameters_of(new)
        for name, parameter in after.items():
            if parameter.get("required") and not before.get(name, _NOTHING).get("required"):
                yield f"{place}: must have {name} now"
        for name, parameter in before.items():
            if name not in after:
                yield f"{place}: no longer takes {name}"
                continue
            there = after[name]["schema"]
            yield from self._schema(f"{place} {name}", parameter["schema"], there, Way.REQUEST)

    def _body(self, place: str, old: Node, new: Node) -> Iterator[str]:
        before = old.get("requestBody", _NOTHING)
        after = new.get("requestBody", _NOTHING)
        if after.get("required") and not before.get("required"):
            yield f"{place}: must have a body now"
        yield from self._content(f"{place} body", before, after, Way.REQUEST)

    def _answers(self, place: str, old: Node, new: Node) -> Iterator[str]:
        for status, answer in old["responses"].items():
            other = new["responses"].get(status)
            if other is not None:
                yield from self._content(f"{place} {status}", answer, other, Way.ANSWER)
            elif status < "4":
                yield f"{place}: no longer answers {status}"

    def _content(self, place: str, old: Node, new: Node, way: Way) -> Iterator[str]:
        after = new.get("content", _NOTHING)
        for kind, described in old.get("content", _NOTHING).items():
            if kind not in after:
                yield f"{place}: is no longer {kind}"
                continue
            before, now = described.get("schema", _NOTHING), after[kind].get("schema", _NOTHING)
            yield from self._schema(place, before, now, way)

    def _schema(self, place: str, old: Node, new: Node, way: Way) -> Iterator[str]:
        if way is Way.REQUEST and "default" in old and old["default"] != new.get("default"):
            yield f"{place}: another default"
        before, after = _choices(self._old, old), _choices(self._new, new)
        narrow, wide = (before, after) if way is Way.REQUEST else (after, before)
        for name, choice in narrow:
            match = _wider(name, choice, wide)
            if match is None:
                verb = "no longer takes" if way is Way.REQUEST else "may be"
                yield f"{place}: {verb} {_kind(choice)}"
                continue
            pair = ((name, choice), match)
            (called, one), (now, other) = pair if way is Way.REQUEST else reversed(pair)
            if called and (called, now, way) in self._met:
                continue
            self._met.add((called, now, way))
            yield from self._choice(called or place, one, other, way)

    def _choice(self, place: str, old: Node, new: Node, way: Way) -> Iterator[str]:
        if not (new if way is Way.REQUEST else old).keys() & _COMPARED:
            return  # Anything goes there.
        if way is Way.REQUEST:
            yield from _narrowed(place, old, new)
        yield from self._fields(place, old, new, way)
        for keyword, suffix in (("items", "[]"), ("additionalProperties", "{}")):
            if isinstance(old.get(keyword), Mapping) and isinstance(new.get(keyword), Mapping):
                yield from self._schema(f"{place}{suffix}", old[keyword], new[keyword], way)

    def _fields(self, place: str, old: Node, new: Node, way: Way) -> Iterator[str]:
        must_old, must_new = set(old.get("required", ())), set(new.get("required", ()))
        if way is Way.REQUEST:
            yield from (f"{place}: must have {name} now" for name in must_new - must_old)
        verb = "no longer takes" if way is Way.REQUEST else "no longer has"
        for keyword in ("properties", "patternProperties"):
            after = new.get(keyword, _NOTHING)
            for name, field in old.get(keyword, _NOTHING).items():
                if name not in after:
                    yield f"{place}: {verb} {name}"
                    continue
                if way is Way.ANSWER and name in must_old - must_new:
                    yield f"{place}: may be without {name}"
                yield from self._schema(f"{place}.{name}", field, after[name], way)


def _parameters_of(operation: Node) -> dict[str, Node]:
    """By where they are and how they are called."""
    return {f"{one['in']} {one['name']}": one for one in operation.get("parameters", ())}


def _opens(old: Sequence[Node], new: Sequence[Node]) -> bool:
    """Whether each of the ways in is one still, with what had to be had then at most."""
    if not new:
        return True
    return bool(old) and all(any(_within(other, one) for other in new) for one in old)


def _within(new: Node, old: Node) -> bool:
    return all(name in old and set(scopes) <= set(old[name]) for name, scopes in new.items())


def _choices(document: Node, schema: Node, name: str = "") -> list[tuple[str, Node]]:
    """What may stand there, each of one type: the schema's name, if it has one, and itself."""
    if unknown := schema.keys() - _COMPARED - _WORDS:
        raise UnknownKeyword(f"{name or 'a schema'} has {', '.join(sorted(unknown))}")
    if reference := schema.get("$ref"):
        name = str(reference).rpartition("/")[2]
        return _choices(document, document["components"]["schemas"][name], name)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return [found for one in schema[keyword] for found in _choices(document, one)]
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return [(name, {**schema, "type": kind}) for kind in kinds]
    return [(name, schema)]


def _wider(name: str, schema: Node, others: list[tuple[str, Node]]) -> tuple[str, Node] | None:
    """The one that takes this one's place; that of the same name rather than another."""
    able = [one for one in others if _covers(one[1], schema)]
    return next((one for one in able if one[0] == name), able[0] if able else None)


def _covers(wide: Node, narrow: Node) -> bool:
    """Whether all of one type are of the other; details aside."""
    kinds = wide.get("type"), narrow.get("type")
    if kinds[0] is not None and kinds[0] != kinds[1] and kinds != ("number", "integer"):
        return False
    return wide.get("format") in (None, narrow.get("format"))


def _kind(schema: Node) -> str:
    named = str(schema.get("type", "anything"))
    return f"{named} ({schema['format']})" if "format" in schema else named


def _narrowed(place: str, old: Node, new: Node) -> Iterator[str]:
    """What is refused now that was taken."""
    if (allowed := _values(new)) is not None:
        before = _values(old)
        if before is None:
            yield f"{place}: takes only some values now"
        yield from (f"{place}: no longer takes {one}" for one in before or () if one not in allowed)
    for keyword in (*_UPPER, *_LOWER):
        if _tighter(keyword, old.get(keyword), new.get(keyword)):
            yield f"{place}: {keyword} is {new[keyword]} now"
    for keyword in ("pattern", "uniqueItems", "propertyNames"):
        if new.get(keyword) and new[keyword] != old.get(keyword):
            yield f"{place}: another {keyword}"
    if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
        yield f"{place}: takes no other fields now"


def _tighter(keyword: str, old: float | None, new: float | None) -> bool:
    if new is None or old is None:
        return new is not None
    return new < old if keyword in _UPPER else new > old


def _values(schema: Node) -> list[str] | None:
    """As JSON."""
    if "const" in schema:
        return [json.dumps(schema["const"])]
    return [json.dumps(one) for one in schema["enum"]] if "enum" in schema else None


def main() -> int:
    """1 if there are any."""
    old, new = (json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:3])
    found = breaks(old, new)
    sys.stdout.writelines(f"{one}\n" for one in found)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
