"""The API's own description (OpenAPI 3.1), made from the routes of the application and what stands beside each view."""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from werkzeug.routing import Rule

from clipzy_api.openapi.operations import (
    JSON,
    REQUEST_ID,
    SECONDS,
    Answer,
    Call,
    Fragment,
    Header,
    View,
    description_of,
    path_parameter,
)
from clipzy_api.problems import CODES
from clipzy_api.problems import CONTENT_TYPE as PROBLEM_JSON
from clipzy_api.schemas import Problem

INTRODUCTION = """\
Upload a video, follow its job, fetch what was found.

Every `GET` also answers `HEAD`, with the same headers and no body. Errors are `application/problem+json` with a `code`;
an unknown address answers 404 `NOT_FOUND`, a method that an address does not know 405 `METHOD_NOT_ALLOWED`.
"""

PROBLEM_HEADERS: Mapping[int, tuple[Header, ...]] = {
    405: (Header("Allow", "The methods that are known here."),),
    409: (
        Header(
            "Retry-After",
            "With `JOB_NOT_FINISHED` and `VIDEO_IN_USE`: when to ask again.",
            always=False,
            schema=SECONDS,
        ),
    ),
    415: (Header("Accept", "The media types that are taken."),),
    416: (Header("Content-Range", "`bytes */` and the size of the file."),),
    503: (Header("Retry-After", "Seconds to wait before trying again.", schema=SECONDS),),
}

_IMPLIED_METHODS = frozenset({"HEAD", "OPTIONS"})  # Flask answers them for every route
_REF = "#/components/schemas/{model}"
_VARIABLE = re.compile(r"<(?:\w+:)?(\w+)>")


def describe(app: Flask, *, servers: Sequence[str]) -> Fragment:
    """The document. A route whose view is not described is not in it."""
    paths: dict[str, Fragment] = defaultdict(dict)
    tags = {}
    for rule, view, call in _described(app):
        tag, _, operation_id = rule.endpoint.partition(".")
        tags[tag] = (inspect.getdoc(inspect.getmodule(view)) or "").partition("\n")[0]
        named = {
            "tags": [tag],
            "operationId": operation_id,
            "summary": call.summary,
            "description": inspect.getdoc(view),
        }
        for method in (rule.methods or set()) - _IMPLIED_METHODS:
            paths[_VARIABLE.sub(r"{\1}", rule.rule)][method.lower()] = named | _operation(rule, call)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Clipzy",
            "version": version("clipzy"),
            "description": INTRODUCTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": server} for server in servers],
        "tags": [{"name": tag, "description": says} for tag, says in tags.items()],
        "paths": dict(paths),
        "components": {
            "schemas": _schemas([call for _, _, call in _described(app)]),
            "responses": {"MethodNotAllowed": _problem(405, ["METHOD_NOT_ALLOWED"], Problem)},
        },
    }


def _described(app: Flask) -> Iterator[tuple[Rule, View, Call]]:
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if (call := description_of(view)) is not None:
            yield rule, view, call


def _schemas(calls: Sequence[Call]) -> Fragment:
    """Of all models that ``_ref`` may name: a client may leave out what has a default, an answer of ours never does."""
    wanted: dict[type[BaseModel], JsonSchemaMode] = {Problem: "validation"}
    for call in calls:
        wanted |= dict.fromkeys((*call.takes.values(), *call.problem_models.values()), "validation")
        wanted |= {answer.body: "serialization" for answer in call.answers if isinstance(answer.body, type)}
    schemas: Fragment = models_json_schema(list(wanted.items()), ref_template=_REF)[1]["$defs"]
    return schemas


def _ref(model: type[BaseModel]) -> Fragment:
    return {"$ref": _REF.format(model=model.__name__)}


def _operation(rule: Rule, call: Call) -> Fragment:
    parameters = [*map(path_parameter, _VARIABLE.findall(rule.rule)), *_query(call.query), *call.headers]
    operation: Fragment = {"parameters": parameters, "responses": _responses(call)}
    if call.takes:
        content = {media_type: {"schema": _ref(model)} for media_type, model in call.takes.items()}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _query(model: type[BaseModel] | None) -> list[Fragment]:
    properties = model.model_json_schema(ref_template=_REF)["properties"] if model else {}
    return [
        {"name": name, "in": "query", "allowEmptyValue": True, "schema": schema} for name, schema in properties.items()
    ]


def _responses(call: Call) -> Fragment:
    responses = {str(answer.status): _answer(answer) for answer in call.answers}
    codes = sorted({*call.problems, "INTERNAL"}, key=list(CODES).index)
    for status in {CODES[code].status for code in codes}:
        model = call.problem_models.get(status, Problem)
        responses[str(status)] = _problem(status, [code for code in codes if CODES[code].status == status], model)
    return dict(sorted(responses.items()))


def _answer(answer: Answer) -> Fragment:
    said: Fragment = {"description": answer.says, "headers": _headers(answer.headers)}
    if isinstance(answer.body, type):
        said["content"] = {JSON: {"schema": _ref(answer.body)}}
    elif answer.body is not None:
        said["content"] = {media_type: {"schema": schema} for media_type, schema in answer.body.items()}
    return said


def _problem(status: int, codes: Sequence[str], model: type[Problem]) -> Fragment:
    says = "\n\n".join(f"`{code}`: {CODES[code].when}" for code in codes)
    schema = {"allOf": [_ref(model), {"properties": {"status": {"const": status}, "code": {"enum": list(codes)}}}]}
    content = {PROBLEM_JSON: {"schema": schema, "examples": examples_of(codes)}}
    return {"description": says, "headers": _headers(PROBLEM_HEADERS.get(status, ())), "content": content}


def _headers(headers: Sequence[Header]) -> Fragment:
    return {header.name: header.fragment() for header in (REQUEST_ID, *headers)}


def examples_of(codes: Sequence[str]) -> Fragment:
    return {code: {"value": _example(code)} for code in codes}


def _example(code: str) -> Fragment:
    status, when = CODES[code].status, CODES[code].when
    return {"title": HTTPStatus(status).phrase, "status": status, "detail": when, "code": code}
