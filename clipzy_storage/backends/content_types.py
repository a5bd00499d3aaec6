"""The headers with which clients get a stored file. Only its key decides them, never an upload or an index."""

from pathlib import PurePosixPath

_CONTENT_TYPES = {
    "json": "application/json",
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "avi": "video/x-msvideo",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "vtt": "text/vtt; charset=utf-8",
    "srt": "text/plain; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}


def content_type_of(key: str) -> str:
    """The ``Content-Type``, by the extension; ``application/octet-stream`` for one that is not known."""
    return _CONTENT_TYPES.get(PurePosixPath(key).suffix[1:].lower(), "application/octet-stream")


def content_disposition_of(key: str) -> str:
    """The ``Content-Disposition``: inline for images and videos, which cannot run anything, otherwise attachment."""
    disposition = "inline" if content_type_of(key).startswith(("image/", "video/")) else "attachment"
    return f'{disposition}; filename="{PurePosixPath(key).name}"'  # no character of a key needs escaping
