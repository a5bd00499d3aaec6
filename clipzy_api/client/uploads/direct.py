"""A file straight to the S3 service, in parts; the front end begins and completes it."""

from clipzy_api.client.errors import ClipzyError
from clipzy_api.client.outages import Outage
from clipzy_api.client.paths import DIRECT_UPLOADS, direct_upload_path
from clipzy_api.client.transport import Request, Transport, parsed
from clipzy_api.client.uploads.background_digest import BackgroundDigest
from clipzy_api.client.uploads.memory import Unfinished
from clipzy_api.client.uploads.method import STALLED_SECONDS, InProgress, may_pass
from clipzy_api.client.uploads.parts import PartTransfer
from clipzy_api.client.uploads.source import Source
from clipzy_api.schemas import DirectUpload, SignedParts, Video


class DirectUploads:
    """A ``ResumableMethod``. Raises ``UploadFailed`` if the S3 service cannot be reached."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def begin(self, source: Source, *, idempotency_key: str) -> Unfinished:
        name = source.path.name.encode("utf-8", "replace").decode()
        content = {"filename": name, "size_bytes": source.size_bytes}
        request = Request.with_json(DIRECT_UPLOADS, content, headers={"Idempotency-Key": idempotency_key})
        begun = parsed(DirectUpload, self._transport.call(request))
        unfinished = Unfinished.begun("s3", begun.upload_id, source)
        unfinished.part_size_bytes = begun.part_size_bytes
        unfinished.signed = SignedParts(parts=begun.parts, expires_at=begun.expires_at)
        return unfinished

    def complete(self, upload: InProgress) -> Video:
        with BackgroundDigest(upload.source) as digest:
            for is_last in (False, True):
                PartTransfer(self._transport, upload).run()
                upload.source.check_unchanged()  # a part that has arrived earlier may be of another version
                try:
                    return self._completed(upload.unfinished, sha256=digest.hexdigest())
                except ClipzyError as error:
                    if is_last or error.field != "parts":  # the service has other parts than are remembered
                        raise
                upload.unfinished.etags.clear()
        raise AssertionError("the last time returns or raises")

    def remove(self, unfinished: Unfinished) -> None:
        path = direct_upload_path(unfinished.upload_id)
        self._transport.call(Request("DELETE", path, done_if_repeated=404))

    def _completed(self, unfinished: Unfinished, *, sha256: str) -> Video:
        parts = [{"number": number, "etag": etag} for number, etag in sorted(unfinished.etags.items())]
        request = Request.with_json(
            direct_upload_path(unfinished.upload_id, "/complete"), {"parts": parts, "sha256": sha256}, headers={}
        )
        outage = Outage(self._transport, seconds=STALLED_SECONDS)
        while True:
            try:
                return parsed(Video, self._transport.send(request))
            except ClipzyError as error:
                outage.bridge(error, may_pass=may_pass(error))
