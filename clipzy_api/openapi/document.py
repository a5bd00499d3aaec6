"""Builds the OpenAPI 3.1 document from the routes of the application and what is declared at their views.

Client generators read it. A property with a ``default`` they make required, or send unasked, and an ``allOf`` with a
constant they drop; so defaults are words of the description, and every model is one component of its name.
"""

import inspect
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from flask import Flask
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from clipzy_api.callers import is_open, takes_signature
from clipzy_api.exports import FormatName
from clipzy_api.openapi.operations import HEADERS, JSON, Answer, Fragment, View, described, operation_of
from clipzy_api.problems import CODES
from clipzy_api.problems import CONTENT_TYPE as PROBLEM_JSON
from clipzy_api.schemas import DeliveryId, FileKey, JobId, Problem, VideoId

INTRODUCTION = """\
Upload a video, poll or follow its job, fetch the result.

Every `GET` also answers `HEAD`, with the same headers and no body. Every answer has an `X-Request-ID`, which the log
has too: the one of the request if it sent one. Errors are `application/problem+json` with a `code`; an unknown address
is answered with 404 `NOT_FOUND`, a method that an address does not support with 405 `METHOD_NOT_ALLOWED`, a request
without a well-formed `Host` with 400 `BAD_REQUEST`, one under a name that is not the server's with 421 `WRONG_HOST`, a
change from a foreign web page with 403 `CROSS_SITE`. Where the server asks for API keys, a call without a valid one is
answered with 401 `UNAUTHORIZED`, one that the key does not allow with 403 `FORBIDDEN`: reading needs the scope `read`,
everything else `write`, and `/metrics` the scope `metrics`. What belongs to another owner is answered as what does not
exist.
"""

_IMPLIED_METHODS = frozenset({"HEAD", "OPTIONS"})  # Flask answers them for every route
_REF = "#/components/schemas/{model}"
_VARIABLE = re.compile(r"<(?:\w+:)?(\w+)>")
_ANSWERED_ANYWHERE = {
    "BadRequest": "BAD_REQUEST",
    "CrossSite": "CROSS_SITE",
    "Forbidden": "FORBIDDEN",
    "MethodNotAllowed": "METHOD_NOT_ALLOWED",
    "Unauthorized": "UNAUTHORIZED",
    "WrongHost": "WRONG_HOST",
}
_SECURITY_SCHEMES = {
    "apiKey": {"type": "http", "scheme": "bearer", "description": "As `clipzy keys create` prints it."}
}
_PROBLEM_HEADERS = {401: "WWW-Authenticate", 405: "Allow", 415: "Accept", 416: "Content-Range"}


def _path_parameter(name: str, kind: Any, description: str) -> Fragment:
    schema = TypeAdapter(kind).json_schema()
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


# By the name of the variable in the route: the parameter, and the code if there is nothing of that name.
_PATH_PARAMETERS: Mapping[str, tuple[Fragment, str]] = {
    "job_id": (_path_parameter("job_id", JobId, "The `job_id` from the answer to the submission."), "JOB_NOT_FOUND"),
    "upload_id": (
        _path_parameter("upload_id", VideoId, "The end of its `Location`: the id of the video that it becomes."),
        "UPLOAD_NOT_FOUND",
    ),
    "video_id": (_path_parameter("video_id", VideoId, "The `video_id` of an upload or a job."), "VIDEO_NOT_FOUND"),
    "delivery_id": (
        _path_parameter("delivery_id", DeliveryId, "A `delivery_id` among the job's deliveries."),
        "DELIVERY_NOT_FOUND",
    ),
    "format": (_path_parameter("format", FormatName, "The format of the file."), "NOT_FOUND"),
    "name": (
        _path_parameter("name", FileKey, "A `name` among the result's artifacts, or `output.json`."),
        "FILE_NOT_FOUND",
    ),
    "key": (_path_parameter("key", FileKey, "The key of a file, as in its `storage_url`."), "FILE_NOT_FOUND"),
}


def describe(app: Flask, *, servers: Sequence[str], asks_for_keys: bool) -> Fragment:
    """The document. A route whose view declares no operation is left out."""
    paths: dict[str, Fragment] = defaultdict(dict)
    tags = {}
    for rule, view, operation in _declared(app):
        tags[rule.endpoint.partition(".")[0]] = (inspect.getdoc(inspect.getmodule(view)) or "").partition("\n")[0]
        methods = rule.methods or set()
        for method in methods - _IMPLIED_METHODS or methods & {"HEAD"}:
            paths[_VARIABLE.sub(r"{\1}", rule.rule)][method.lower()] = _operation(
                rule, view, operation, asks_for_keys=asks_for_keys
            )
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Clipzy",
            "version": version("clipzy"),
            "description": INTRODUCTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": server} for server in servers],
        "tags": [{"name": tag, "description": description} for tag, description in tags.items()],
        "paths": dict(paths),
        "components": {
            "schemas": _schemas([operation for _, _, operation in _declared(app)]),
            "responses": {
                name: _problem(CODES[code].status, [code], Problem) for name, code in _ANSWERED_ANYWHERE.items()
            },
            **({"securitySchemes": _SECURITY_SCHEMES} if asks_for_keys else {}),
        },
    }


def _declared(app: Flask) -> Iterator[tuple[Rule, View, described]]:
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if (operation := operation_of(view)) is not None:
            yield rule, view, operation


def _operation(rule: Rule, view: View, operation: described, *, asks_for_keys: bool) -> Fragment:
    tag, _, operation_id = rule.endpoint.partition(".")
    variables = [_PATH_PARAMETERS[name] for name in _VARIABLE.findall(rule.rule)]
    not_found = ["NOT_FOUND", *(code for _, code in variables)] if variables else []
    refusals = ["UNAUTHORIZED", "FORBIDDEN"] if asks_for_keys and not is_open(rule.rule) else []
    fragment: Fragment = {
        "tags": [tag],
        "operationId": operation_id,
        "summary": operation.summary,
        "description": inspect.getdoc(view),
        "parameters": [*(parameter for parameter, _ in variables), *_query(operation.query), *operation.headers],
        "responses": _responses(operation, {*operation.problems, *not_found, *refusals, "INTERNAL"}),
    }
    if asks_for_keys:
        fragment["security"] = _security(rule.rule)
    if operation.takes:
        content = {media_type: {"schema": _schema(body)} for media_type, body in operation.takes.items()}
        fragment["requestBody"] = {"required": True, "content": content}
    return fragment


def _security(path: str) -> list[Fragment]:
    """The ways to be let in, of which one is enough."""
    if is_open(path):
        return []
    key: Fragment = {name: [] for name in _SECURITY_SCHEMES}
    return [key, {}] if takes_signature(path) else [key]


def _query(model: type[BaseModel] | None) -> list[Fragment]:
    properties = _defaults_in_words(model.model_json_schema(ref_template=_REF))["properties"] if model else {}
    return [
        {"name": name, "in": "query", "allowEmptyValue": True, "schema": schema} for name, schema in properties.items()
    ]


def _responses(operation: described, problems: set[str]) -> Fragment:
    responses = {str(answer.status): _answer(answer) for answer in operation.answers}
    codes = [code for code in CODES if code in problems]
    for status in sorted({CODES[code].status for code in codes}):
        model = operation.problem_models.get(status, Problem)
        responses[str(status)] = _problem(status, [code for code in codes if CODES[code].status == status], model)
    return responses


def _answer(answer: Answer) -> Fragment:
    headers = {name: HEADERS[name] for name in answer.headers}
    fragment: Fragment = {"description": answer.description, "headers": headers}
    if isinstance(answer.body, type):
        fragment["content"] = {JSON: {"schema": _ref(answer.body)}}
    elif answer.body is not None:
        fragment["content"] = {media_type: {"schema": schema} for media_type, schema in answer.body.items()}
    return fragment


def _problem(status: int, codes: Sequence[str], model: type[Problem]) -> Fragment:
    headers = {name: HEADERS[name] for name in [_PROBLEM_HEADERS.get(status)] if name}
    retried = [CODES[code].retry_after_seconds is not None for code in codes]
    if any(retried):
        headers["Retry-After"] = HEADERS["Retry-After"] | {"required": all(retried)}
    # Keywords next to a $ref count in JSON Schema 2020-12; generators pass over them and see the model alone.
    schema = _ref(model) | {"properties": {"status": {"const": status}, "code": {"enum": list(codes)}}}
    return {
        "description": "\n\n".join(f"`{code}`: {CODES[code].when}" for code in codes),
        "headers": headers,
        "content": {PROBLEM_JSON: {"schema": schema}},
    }


def _schema(body: type[BaseModel] | tuple[type[BaseModel], ...] | Fragment) -> Fragment:
    if isinstance(body, tuple):
        return {"anyOf": [_ref(model) for model in body]}
    return _ref(body) if isinstance(body, type) else body


def _ref(model: type[BaseModel]) -> Fragment:
    return {"$ref": _REF.format(model=model.__name__)}


def _schemas(operations: Sequence[described]) -> Fragment:
    """Of all models that ``_ref`` may name."""
    models: dict[type[BaseModel], None] = {Problem: None}
    for operation in operations:
        answered = (answer.body for answer in operation.answers)
        taken = (one for body in operation.takes.values() for one in (body if isinstance(body, tuple) else (body,)))
        found = (*taken, *operation.problem_models.values(), *answered)
        models |= dict.fromkeys(body for body in found if isinstance(body, type))
    schemas: Fragment = models_json_schema([(model, "validation") for model in models], ref_template=_REF)[1]["$defs"]
    return {name: _defaults_in_words(schema) for name, schema in schemas.items()}


def _defaults_in_words(schema: Fragment) -> Fragment:
    for field in schema.get("properties", {}).values():
        default = field.pop("default", None)
        if default is not None and "$ref" not in field:
            field["description"] = f"{field.get('description', '')} Default: `{json.dumps(default)}`.".lstrip()
    return schema
