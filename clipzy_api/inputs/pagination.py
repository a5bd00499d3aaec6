"""Reads the query of a listing. Pure."""

from pydantic import ValidationError
from werkzeug.datastructures import MultiDict

from clipzy_api.inputs.validation import refused
from clipzy_api.problems import invalid_field
from clipzy_api.request_schemas import JobsQuery
from clipzy_storage.jobs.listing import Cursor


def requested_page(args: MultiDict[str, str]) -> JobsQuery:
    """An empty parameter has its default. Raises ``ApiError`` 422 if one is unknown, repeated or out of range."""
    for name, values in args.lists():
        if len(values) > 1:
            raise invalid_field(name, expects="given once")
    known = JobsQuery.model_fields
    try:
        query = JobsQuery.model_validate({name: text for name, text in args.items() if text or name not in known})
    except ValidationError as error:
        raise refused(error) from error
    if query.cursor and query.page:
        raise invalid_field("cursor", expects="sent without `page`")
    return query


def cursor_of(text: str) -> Cursor:
    """Raises ``ApiError`` 422."""
    try:
        return Cursor.parse(text)
    except ValueError:
        raise invalid_field("cursor", expects="the `next_cursor` of an earlier page") from None
