"""The ``config`` of a submission: taken as it was given, or refused by the path of the field that is wrong."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic import ValidationError

from clipzy_api.inputs import strict_json
from clipzy_api.problems import ApiError
from clipzy_storage.models.job_config import MAX_CONFIG_BYTES, JobConfig

NAME = "config"
MAX_SHOWN = 80  # characters of what a client sent

_Path = Sequence[str | int]
_Schema = dict[str, Any]


def read_config(text: bytes) -> dict[str, Any]:
    """The ``config`` of a form, which is JSON text. Raises ``ApiError`` 422."""
    if len(text) > MAX_CONFIG_BYTES:
        raise config_too_long()
    try:
        value = strict_json.parse(text.decode())
    except UnicodeDecodeError:
        raise _refused(NAME, "is no UTF-8 text", "a JSON object") from None
    except ValueError as error:
        raise _refused(NAME, f"is wrong: {error}", "a JSON object") from error
    return checked_config(value)


def checked_config(value: Any) -> dict[str, Any]:
    """The same value, if a job may have it. Raises ``ApiError`` 422."""
    if len(json.dumps(value, ensure_ascii=False).encode()) > MAX_CONFIG_BYTES:
        raise config_too_long()
    if not isinstance(value, dict):
        raise _refused(NAME, f"is {_shown(value)}", "a JSON object")
    try:
        JobConfig.model_validate(value)
    except ValidationError as error:
        raise _explained(error) from error
    return value


def config_too_long() -> ApiError:
    return _refused(NAME, "is too long", f"JSON of at most {MAX_CONFIG_BYTES >> 10} KiB")


def _explained(error: ValidationError) -> ApiError:
    """The first mistake, for a person."""
    mistake = error.errors(include_url=False)[0]
    path = mistake["loc"]
    field = _named(path)
    if mistake["type"] == "extra_forbidden":
        taken = ", ".join(_schema_at(path[:-1])["properties"])
        return _refused(field, "is unknown", f"left out. Taken: {taken}")
    return _refused(field, f"is {_shown(mistake['input'])}", _expected(_schema_at(path)))


def _refused(field: str, found: str, expects: str) -> ApiError:
    detail = f"The field `{field}` {found}; it should be {expects}."
    return ApiError("INVALID_FIELD", detail=detail, members={"field": field})


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _named(path: _Path) -> str:
    """As a programmer would write it: ``config.shots.sensitivity``, ``config.analyses[0]``."""
    text = NAME + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


@cache
def _schema() -> _Schema:
    return JobConfig.model_json_schema()


def _schema_at(path: _Path) -> _Schema:
    """What the field's own description says of it."""
    found = _schema()
    for part in path:
        found = found["items"] if isinstance(part, int) else found["properties"][part]
        if "$ref" in found:
            found = _schema()["$defs"][found["$ref"].rpartition("/")[2]]
    return found


def _expected(schema: _Schema) -> str:
    """What may stand there, in words."""
    if "enum" in schema:
        return f"one of {', '.join(map(json.dumps, schema['enum']))}"
    match schema["type"]:
        case "number" | "integer" as kind:
            number = "a number" if kind == "number" else "a whole number"
            return f"{number} from {schema['minimum']:g} to {schema['maximum']:g}"
        case "boolean":
            return "true or false"
        case "array":
            return f"a list, each entry {_expected(schema['items'])}"
    return "an object"
