"""Validates the ``config`` of a submission."""

import json
from typing import Any

from pydantic import ValidationError

from clipzy_api.inputs import strict_json
from clipzy_api.inputs.validation import refused
from clipzy_api.problems import ApiError, invalid_field
from clipzy_storage.models.job_config import MAX_CONFIG_BYTES, JobConfig

NAME = "config"


def read_config(text: bytes) -> dict[str, Any]:
    """The ``config`` of a form, which is JSON text. Raises ``ApiError`` 422."""
    if len(text) > MAX_CONFIG_BYTES:
        raise config_too_long()
    try:
        value = strict_json.parse(text)
    except ValueError as error:
        raise invalid_field(NAME, expects=f"a JSON object ({error})") from error
    return checked_config(value)


def checked_config(value: Any) -> dict[str, Any]:
    """The same value, if it is a valid ``JobConfig``. Raises ``ApiError`` 422."""
    if not isinstance(value, dict):
        raise invalid_field(NAME, expects="a JSON object")
    if len(json.dumps(value, ensure_ascii=False).encode()) > MAX_CONFIG_BYTES:
        raise config_too_long()
    try:
        JobConfig.model_validate(value)
    except ValidationError as error:
        raise refused(error, root=NAME) from error
    return value


def config_too_long() -> ApiError:
    return invalid_field(NAME, expects=f"JSON of at most {MAX_CONFIG_BYTES >> 10} KiB")
