"""Validates the ``webhook_url`` of a submission, as far as that can be done without asking a name server."""

from typing import Any

from clipzy_api.inputs.outbound_url import checked_url
from clipzy_api.problems import invalid_field
from clipzy_api.services import services
from clipzy_storage.outbound.target_url import MAX_URL_LENGTH

NAME = "webhook_url"


def read_webhook_url(text: bytes) -> str:
    """The ``webhook_url`` of a form. Raises ``ApiError`` 422."""
    return checked_webhook_url(text.decode(errors="replace"))


def checked_webhook_url(value: Any) -> str:
    """The same value, if it is a URL to which events may go. Raises ``ApiError`` 422."""
    require_secrets()
    if not isinstance(value, str):
        raise invalid_field(NAME, expects=f"a URL of at most {MAX_URL_LENGTH} characters, as a string")
    checked_url(value)
    return value


def require_secrets() -> None:
    """For whatever leads to a delivery. Raises ``ApiError`` 422 if there is nothing to sign it with."""
    if not services().settings.webhook_secrets:
        raise invalid_field(NAME, expects="left out until the operator sets WEBHOOK_SECRETS, to sign events with")
