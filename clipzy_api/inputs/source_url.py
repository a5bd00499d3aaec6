"""Validates the ``source_url`` of a submission, as far as that can be done without asking a name server."""

from typing import Any
from urllib.parse import unquote

from clipzy_api.inputs.outbound_url import checked_url
from clipzy_api.inputs.received_file import clean_filename
from clipzy_api.problems import ApiError, invalid_field
from clipzy_api.services import owner, services
from clipzy_storage import keys
from clipzy_storage.models.records import VideoToImport
from clipzy_storage.outbound.target_url import TargetUrl

NAME = "source_url"
UNNAMED = "video"


def video_at(value: Any) -> VideoToImport:
    """A new video that is to be fetched from this URL. Raises ``ApiError`` 422."""
    if not isinstance(value, str):
        raise invalid_field(NAME, expects="the URL of a video, as a string")
    if not services().settings.allow_url_import:
        raise ApiError("URL_REFUSED", detail="This service does not import videos by URL (ALLOW_URL_IMPORT).")
    return VideoToImport(owner(), keys.new_id("vid"), _filename(checked_url(value)), value)


def _filename(url: TargetUrl) -> str:
    """The end of the path if it is a file's name: what has no extension may be a secret, and is not shown."""
    name = clean_filename(unquote(url.last_segment))
    stem, dot, extension = name.rpartition(".")
    is_name = stem and dot and extension.isascii() and extension.isalnum() and len(extension) <= 5
    return name if is_name else UNNAMED
