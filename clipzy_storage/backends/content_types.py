"""What a client is told of a stored file. It goes by the file's own name: no upload and no index chooses another."""

from pathlib import PurePosixPath

_CONTENT_TYPES = {
    "json": "application/json",
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "vtt": "text/vtt; charset=utf-8",
    "srt": "text/plain; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}


def content_type_of(key: str) -> str:
    return _CONTENT_TYPES.get(PurePosixPath(key).suffix[1:].lower(), "application/octet-stream")


def content_disposition_of(key: str) -> str:
    """Shown in place where that cannot run anything, else downloaded."""
    disposition = "inline" if content_type_of(key).startswith(("image/", "video/")) else "attachment"
    return f'{disposition}; filename="{PurePosixPath(key).name}"'  # a key has no character to escape
