"""Refuses a field by the first mistake that pydantic finds, so that the answer names it as a programmer would."""

import json

from pydantic import ValidationError

from clipzy_api.problems import ApiError, shown


def refused(error: ValidationError, *, root: str = "") -> ApiError:
    """422 with the path of the field below ``root``, such as ``config.shots.sensitivity`` or ``config.analyses[0]``."""
    mistake = error.errors(include_url=False)[0]
    path = root + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in mistake["loc"])
    field, value = shown(path.removeprefix(".")), shown(json.dumps(mistake["input"], ensure_ascii=False))
    if mistake["type"] == "missing":
        return ApiError("MISSING_FIELD", detail=f"The field `{field}` is missing.", members={"field": field})
    is_unknown = mistake["type"] == "extra_forbidden"
    message = mistake["msg"].removeprefix("Value error, ")  # of our own checks
    found = "unknown; it should be left out" if is_unknown else f"{value}. {message}"
    detail = f"The field `{field}` is {found}."
    return ApiError("INVALID_FIELD", detail=detail, members={"field": field})
