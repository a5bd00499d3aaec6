"""The OpenAPI document, the routes of the application, and whether an answer is one that the document promises."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import requests
from flask import Flask

from clipzy_api.app import create_app
from clipzy_api.membership import Membership
from clipzy_api.task_queue import TaskQueue
from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.guard.guard import Guard
from clipzy_storage.redis_client import RedisDatabase
from tests.support.servers import FrontEnd

Document = dict[str, Any]


def unconnected_app(directory: Path, **settings: str) -> Flask:
    """The application, connected to nothing."""
    given = settings_from_env({"LOCAL_STORAGE_PATH": str(directory), "REDIS_URL": "redis://127.0.0.1:1/0", **settings})
    storage = LocalStorage(directory, shared=False)

    def new_guard() -> Guard:
        raise NotImplementedError

    redis = RedisDatabase(given.redis_url)
    return create_app(
        settings=given,
        storage=storage,
        redis=redis,
        broker=redis,
        queue=TaskQueue(given, storage_id=lambda: ""),
        membership=Membership(new_guard, storage),
    )


def routes_of(app: Flask) -> set[tuple[str, str]]:
    """Every method and path, but for the methods that Flask answers for every route."""
    return {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"} or {"HEAD"} & (rule.methods or set())
    }


def document_of(front_end: FrontEnd) -> Document:
    document: Document = front_end.get("/openapi.json").json()
    return document


def codes_of(document: Document) -> set[tuple[int, str]]:
    """Every status and code of a problem in the document."""
    answers = [
        answer
        for calls in document["paths"].values()
        for call in calls.values()
        for answer in call["responses"].values()
    ] + list(document["components"]["responses"].values())
    return {
        (schema["properties"]["status"]["const"], code)
        for answer in answers
        for schema in [answer.get("content", {}).get("application/problem+json", {}).get("schema")]
        if schema is not None
        for code in schema["properties"]["code"]["enum"]
    }


def assert_described(document: Document, path: str, answer: requests.Response) -> None:
    """Fail unless the document promises this answer for ``path``, a template as in it: status, headers, body."""
    call = document["paths"][path][str(answer.request.method).lower()]
    assert str(answer.status_code) in call["responses"], f"{answer.status_code} {answer.text[:300]}"
    promised = call["responses"][str(answer.status_code)]
    missing = [
        name for name, header in promised["headers"].items() if header["required"] and name not in answer.headers
    ]
    assert not missing, missing
    media_type = answer.headers.get("Content-Type", "").partition(";")[0]
    ranges = (media_type, media_type.partition("/")[0] + "/*", "*/*")
    content = promised.get("content", {})
    schema = next((content[name]["schema"] for name in ranges if name in content), None)
    assert schema is not None or not answer.content, f"{media_type} is not one of {list(content)}"
    if schema is not None and media_type.endswith("json") and answer.status_code != 206:
        whole = {"components": document["components"], "allOf": [schema]}
        jsonschema.Draft202012Validator(whole).validate(answer.json())
