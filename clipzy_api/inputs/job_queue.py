"""Validates the ``queue`` of a submission."""

from typing import Any

from clipzy_api.problems import ApiError, invalid_field
from clipzy_storage.models.records import Queue

NAME = "queue"


def read_queue(text: bytes) -> Queue:
    """The ``queue`` of a form. Raises ``ApiError`` 422."""
    return checked_queue(text.decode(errors="replace"))


def checked_queue(value: Any) -> Queue:
    """The queue of this name. Raises ``ApiError`` 422."""
    try:
        return Queue(value)
    except ValueError as error:
        raise no_queue() from error


def no_queue() -> ApiError:
    return invalid_field(NAME, expects=" or ".join(Queue))
