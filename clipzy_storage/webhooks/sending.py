"""One attempt to announce the end of a job: a signed ``POST`` to a vetted address."""

import json
import time
from contextlib import suppress
from datetime import UTC, datetime

from clipzy_storage.access.file_links import FileLinks
from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import ServerUnreachable, UrlRefused
from clipzy_storage.models import answers
from clipzy_storage.models.deliveries import DeliveryAttempt
from clipzy_storage.models.records import Job, rfc3339
from clipzy_storage.outbound.addresses import AddressPolicy
from clipzy_storage.outbound.request import OutboundRequest
from clipzy_storage.outbound.target_url import TargetUrl
from clipzy_storage.webhooks.schedule import retry_after_seconds
from clipzy_storage.webhooks.signatures import secrets_of, signed_headers

TIMEOUT_SECONDS = 5.0
KEPT_RESPONSE_BYTES = 500


class WebhookSender:
    """Sends events with the secrets, and to the addresses, of ``settings``."""

    def __init__(self, settings: Settings, links: FileLinks, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """``timeout_seconds`` is for all of an attempt."""
        self._secrets = settings.webhook_secrets
        self._policy = AddressPolicy(settings.allow_private_addresses)
        self._links = links
        self._timeout_seconds = timeout_seconds

    def send(self, job: Job, delivery_id: str) -> tuple[DeliveryAttempt, float | None]:
        """Announce a finished job once. Returns what came of it, and for how many seconds the receiver wants to rest.

        Links to the result are signed anew. Raises ``StorageError`` if the secret for that cannot be read.
        """
        body = self._body(job)
        now, began_at = datetime.now(UTC), time.monotonic()
        headers = signed_headers(delivery_id, body, secrets=secrets_of(job.owner, self._secrets), now=now)
        status_code, error, response, asked_seconds = None, None, b"", None
        try:
            status_code, response, retry_after = self._post(str(job.webhook_url), body, headers)
            asked_seconds = retry_after_seconds(retry_after, now=datetime.now(UTC))
        except UrlRefused as refusal:
            error = f"the URL is refused: {refusal}"
        except ServerUnreachable as failure:
            error = str(failure)
        attempt = DeliveryAttempt(
            attempted_at=now,
            duration_seconds=round(time.monotonic() - began_at, 3),
            status_code=status_code,
            error=error,
            response=response.decode(errors="replace"),
        )
        return attempt, asked_seconds

    def _body(self, job: Job) -> bytes:
        """The event of the specification; its ``data`` is the job as ``GET /jobs/{id}`` shows it."""
        data = answers.Job.of(job, self._links.to_result_of(job)).model_dump(mode="json")
        event = {"type": f"job.{job.status}", "timestamp": rfc3339(job.finished_at), "data": data}
        return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()

    def _post(self, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, str | None]:
        """Status, the beginning of the body, and ``Retry-After``. Raises ``UrlRefused``, ``ServerUnreachable``."""
        request = OutboundRequest(
            TargetUrl.parse(url),
            self._policy,
            headers={"Content-Type": "application/json", **headers},
            read_timeout_seconds=self._timeout_seconds,
            total_timeout_seconds=self._timeout_seconds,
            body=body,
        )
        try:
            answer = request.open()
            return answer.status, _beginning(request), answer.headers.get("Retry-After")
        finally:
            request.close()


def _beginning(request: OutboundRequest) -> bytes:
    """As much of the answer's body as is kept, or has come in time: the status is what counts."""
    found = b""
    with suppress(ServerUnreachable):
        while len(found) < KEPT_RESPONSE_BYTES and (block := request.read1(KEPT_RESPONSE_BYTES - len(found))):
            found += block
    return found[:KEPT_RESPONSE_BYTES]  # a chunk of a malformed length may be read as longer than was asked for
