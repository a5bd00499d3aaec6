"""How a file gets to the front end. Each way is an ``UploadMethod``; ``method_for`` chooses the best one offered."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from clipzy_api.client.errors import TRANSIENT_STATUSES
from clipzy_api.client.paths import JOBS, VIDEOS
from clipzy_api.client.transport import Request, Transport, parsed
from clipzy_api.client.upload_form import FileForm, OnProgress
from clipzy_api.schemas import Job, Video

# A large file is not sent again for an error that may be permanent.
UPLOAD_TRANSIENT_STATUSES = TRANSIENT_STATUSES - {500}


@dataclass(frozen=True)
class Upload:
    """A file to be uploaded, under the caller's name for this request."""

    path: Path
    idempotency_key: str
    on_progress: OnProgress | None = None


class UploadMethod(Protocol):
    """One way to upload a file. Both methods create once, however often the file is sent, and raise ``ClipzyError``."""

    def submit(self, upload: Upload, options: Mapping[str, Any]) -> Job:
        """The file as a new job with these ``options``: ``config`` and ``queue``, where they are not the defaults."""

    def upload(self, upload: Upload) -> Video:
        """The file as a video without a job."""


def method_for(transport: Transport) -> UploadMethod:
    """The best method that the front end offers."""
    return FormUpload(transport)


def submit_video(transport: Transport, video_id: str, options: Mapping[str, Any], *, idempotency_key: str) -> Job:
    """A new job on a video that was uploaded, with these ``options``. Raises ``ClipzyError``."""
    fields = {"video_id": video_id, **options}
    headers = {"Idempotency-Key": idempotency_key}
    return parsed(Job, transport.call(Request.with_json(JOBS, fields, headers=headers)))


class FormUpload:
    """The whole file in one form, which every front end takes; sent again from its beginning if it is broken off."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(self, upload: Upload, options: Mapping[str, Any]) -> Job:
        fields = {name: _text(value) for name, value in options.items()}
        return parsed(Job, self._transport.call(_request(JOBS, upload, fields)))

    def upload(self, upload: Upload) -> Video:
        return parsed(Video, self._transport.call(_request(VIDEOS, upload, {})))


def _request(path: str, upload: Upload, fields: Mapping[str, str]) -> Request:
    form = FileForm(upload.path, fields=fields, on_progress=upload.on_progress)
    headers = {
        "Content-Type": form.content_type,
        "Content-Length": str(len(form)),
        "Idempotency-Key": upload.idempotency_key,
    }
    return Request("POST", path, headers, form, transient_statuses=UPLOAD_TRANSIENT_STATUSES)


def _text(value: Any) -> str:
    """As a field of a form."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)
