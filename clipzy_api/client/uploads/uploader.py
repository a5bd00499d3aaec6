"""Which method a file is uploaded by, and what is remembered of it."""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from clipzy_api.client.errors import ClipzyError, UnusableFile, UploadFailed
from clipzy_api.client.paths import JOBS
from clipzy_api.client.transport import Request, Transport, parsed
from clipzy_api.client.uploads.direct import DirectUploads
from clipzy_api.client.uploads.form import FormUpload
from clipzy_api.client.uploads.memory import Entry, Unfinished, UploadMemory
from clipzy_api.client.uploads.method import InProgress, Method, ResumableMethod
from clipzy_api.client.uploads.source import OnProgress, Source
from clipzy_api.client.uploads.tus import TusUpload
from clipzy_api.schemas import Job, Video

FORM_BYTES = 8 << 20
"""Smaller files take one request, which costs least."""
NOT_OFFERED_STATUSES = frozenset({404, 405})
"""Of an older front end."""
REMOVED_CODES = frozenset({"UNSUPPORTED_FORMAT", "FILE_TOO_LARGE"})
"""With which the front end has removed the upload."""


@dataclass(frozen=True)
class Upload:
    """A file to be uploaded."""

    path: Path
    idempotency_key: str | None = None
    """The caller's own name for it."""
    on_progress: OnProgress | None = None
    method: Method | None = None
    """None for the best one."""

    @cached_property
    def source(self) -> Source:
        """Raises ``UnusableFile``."""
        return Source.of(self.path)

    def report(self, done_bytes: int, total_bytes: int) -> None:
        if self.on_progress:
            self.on_progress(done_bytes, total_bytes)


class Uploader:
    """Uploads of one client. Methods raise ``ClipzyError``."""

    def __init__(self, transport: Transport, memory: UploadMemory) -> None:
        self._transport, self._memory = transport, memory
        self._form = FormUpload(transport)
        self._resumable: dict[Method, ResumableMethod] = {
            "s3": DirectUploads(transport),
            "tus": TusUpload(transport),
        }
        self._is_bucket_unreachable = False

    def submit(self, upload: Upload, options: Mapping[str, Any]) -> Job:
        """The file as a new job with these ``options``: the fields that are not the defaults."""
        if self._is_resumable(upload):
            with self._entry(upload) as entry:
                if video := self._arrived(upload, entry):
                    key = upload.idempotency_key or _job_key(entry, options)
                    fields = {"video_id": video.video_id, **options}
                    job = new_job(self._transport, fields, idempotency_key=key)
                    self._end(upload, entry)
                    return job
        key = upload.idempotency_key or new_key()
        return self._form.submit(upload.path, options, idempotency_key=key, on_progress=upload.on_progress)

    def upload(self, upload: Upload) -> Video:
        """The file as a video without a job."""
        if self._is_resumable(upload):
            with self._entry(upload) as entry:
                if video := self._arrived(upload, entry):
                    self._end(upload, entry)
                    return video
        key = upload.idempotency_key or new_key()
        return self._form.upload(upload.path, idempotency_key=key, on_progress=upload.on_progress)

    def _is_resumable(self, upload: Upload) -> bool:
        return upload.method != "form" if upload.method else upload.source.size_bytes >= FORM_BYTES

    def _entry(self, upload: Upload) -> AbstractContextManager[Entry]:
        return self._memory.entry(upload.source, idempotency_key=upload.idempotency_key)

    def _arrived(self, upload: Upload, entry: Entry) -> Video | None:
        """The video of the file, continued if the entry has its upload; None if only a form can be sent."""
        self._forget_other(upload, entry)
        methods = self._methods_for(upload)
        while True:
            is_continued = entry.unfinished is not None
            unfinished = entry.unfinished or self._begun(upload, methods)
            if unfinished is None:
                return None
            entry.keep(unfinished)
            try:
                in_progress = InProgress(upload.source, unfinished, entry.keep, upload.report)
                return self._resumable[unfinished.method].complete(in_progress)
            except ClipzyError as error:
                methods = self._methods_after(error, upload, entry, methods if is_continued else None)

    def _methods_for(self, upload: Upload) -> list[Method]:
        """From the best one on."""
        if upload.method:
            return [upload.method]
        return ["tus"] if self._is_bucket_unreachable else ["s3", "tus"]

    def _begun(self, upload: Upload, methods: Sequence[Method]) -> Unfinished | None:
        """By the first of these methods that is offered."""
        for method in methods:
            try:
                return self._resumable[method].begin(upload.source, idempotency_key=_upload_key(upload, method))
            except ClipzyError as error:
                is_offered = error.code != "NOT_OFFERED" and error.status not in NOT_OFFERED_STATUSES
                if is_offered or upload.method:
                    raise
        return None

    def _methods_after(
        self, error: ClipzyError, upload: Upload, entry: Entry, methods: list[Method] | None
    ) -> list[Method]:
        """Those by which the upload can be begun anew after this error; raises it if there are none.

        ``methods``: those to choose from if the upload was one that is remembered, and is known no more.
        """
        etags = entry.unfinished.etags if entry.unfinished else {}
        if error.status == 404 or error.code in REMOVED_CODES or isinstance(error, UnusableFile):
            self._remove(entry)
            if error.status == 404 and methods:
                return methods
        elif isinstance(error, UploadFailed) and not etags and not upload.method:
            self._remove(entry)
            self._is_bucket_unreachable = True
            return ["tus"]
        elif error.status == 403 and not isinstance(error, UploadFailed) and not upload.method:
            self._remove(entry)  # the key may not read, and so not ask what has arrived
            return []
        raise error

    def _forget_other(self, upload: Upload, entry: Entry) -> None:
        """An upload of another version of the file, or by another method than is wanted now, is ended."""
        found = entry.unfinished
        if found and not (found.is_of(upload.source) and upload.method in (None, found.method)):
            self._remove(entry)

    def _remove(self, entry: Entry) -> None:
        if found := entry.unfinished:
            entry.forget()
            with suppress(ClipzyError):  # otherwise it expires
                self._resumable[found.method].remove(found)

    def _end(self, upload: Upload, entry: Entry) -> None:
        """Under a key of the caller's own a repetition is answered as before, and sends nothing."""
        if not upload.idempotency_key:
            entry.forget()


def new_job(transport: Transport, fields: Mapping[str, Any], *, idempotency_key: str) -> Job:
    """A new job on a video that was uploaded, or is to be fetched. Raises ``ClipzyError``."""
    headers = {"Idempotency-Key": idempotency_key}
    return parsed(Job, transport.call(Request.with_json(JOBS, fields, headers=headers)))


def new_key() -> str:
    return secrets.token_urlsafe(24)


def _upload_key(upload: Upload, method: Method) -> str:
    """Under the caller's own key it is the same for the same file: the job under it must be on the same video."""
    if upload.idempotency_key is None:
        return new_key()
    content = json.dumps([upload.idempotency_key, method, upload.source.sha256, upload.path.name]).encode()
    return hashlib.sha256(content).hexdigest()


def _job_key(entry: Entry, options: Mapping[str, Any]) -> str:
    """The same for the same upload and options, also in another process."""
    canonical = json.dumps(options, sort_keys=True).encode()
    key = entry.unfinished.idempotency_key if entry.unfinished else new_key()
    return f"{key}-{hashlib.sha256(canonical).hexdigest()[:16]}"
