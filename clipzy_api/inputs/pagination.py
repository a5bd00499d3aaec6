"""Reads the query of a listing. Pure."""

from werkzeug.datastructures import MultiDict

from clipzy_api.inputs.query import checked_query
from clipzy_api.problems import invalid_field
from clipzy_api.request_schemas import JobsQuery
from clipzy_storage.jobs.listing import Cursor


def requested_page(args: MultiDict[str, str]) -> JobsQuery:
    """Raises ``ApiError`` 422."""
    query = checked_query(JobsQuery, args)
    if query.cursor and query.page:
        raise invalid_field("cursor", expects="sent without `page`")
    return query


def cursor_of(text: str) -> Cursor:
    """Raises ``ApiError`` 422."""
    try:
        return Cursor.parse(text)
    except ValueError:
        raise invalid_field("cursor", expects="the `next_cursor` of an earlier page") from None
