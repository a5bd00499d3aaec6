"""Loaded by schemathesis: what it cannot know of our files."""

import os
from typing import Any

import schemathesis
from hypothesis import strategies
from schemathesis.transport.serialization import Binary

from tests.api.forms import MP4_HEAD

# A schema cannot say that a file has to be a video, so that anything else would be refused although it fits.
schemathesis.openapi.format("binary", strategies.binary(max_size=2000).map(lambda tail: Binary(MP4_HEAD + tail)))


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    is_positive = case.meta is not None and case.meta.generation.mode.is_positive
    if case.operation.path == "/storage/{key}" and is_positive:  # no dictionary may hold a slash
        case.path_parameters["key"] = os.environ["STORED_KEY"]
    if any(str(value).endswith(".json") for value in case.path_parameters.values()):
        # A part of a JSON file is called JSON, as it has to be (RFC 9110, 15.3.7), and cannot be read as such.
        for name in [name for name in case.headers if name.lower() == "range"]:
            del case.headers[name]
