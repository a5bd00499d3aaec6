"""Reads the query of a request by its model. Pure."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import MultiDict

from clipzy_api.inputs.validation import refused
from clipzy_api.problems import invalid_field

Query = TypeVar("Query", bound=BaseModel)


def checked_query(model: type[Query], args: MultiDict[str, str]) -> Query:
    """An empty parameter has its default. Raises ``ApiError`` 422 if one is unknown, repeated or out of range."""
    for name, values in args.lists():
        if len(values) > 1:
            raise invalid_field(name, expects="given once")
    known = model.model_fields
    try:
        return model.model_validate({name: text for name, text in args.items() if text or name not in known})
    except ValidationError as error:
        raise refused(error) from error
