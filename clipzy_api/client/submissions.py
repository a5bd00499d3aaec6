"""What a submission is sent with, checked before anything is."""

import json
import re
from collections.abc import Mapping
from typing import Any

from clipzy_api.client.errors import ClipzyError
from clipzy_storage.models.job_config import JobConfig
from clipzy_storage.models.records import Queue

Config = JobConfig | Mapping[str, Any]


def options_of(config: Config | None, queue: Queue | str, webhook_url: str | None) -> dict[str, Any]:
    """The fields of a submission that are not the defaults. Raises ``ClipzyError`` if the config is not JSON."""
    content = (
        config.model_dump(mode="json", exclude_unset=True) if isinstance(config, JobConfig) else dict(config or {})
    )
    try:
        json.dumps(content, allow_nan=False)
    except (TypeError, ValueError) as error:
        detail = f"The config is not JSON: {error}."
        raise ClipzyError(detail, code="INVALID_FIELD", status=422, field="config") from error
    chosen = {} if queue == Queue.INTERACTIVE else {"queue": str(queue)}
    webhook = {} if webhook_url is None else {"webhook_url": webhook_url}
    return {**({"config": content} if content else {}), **chosen, **webhook}


def checked_key(idempotency_key: str | None) -> str | None:
    """A caller's own key, before a file is sent under it. Raises ``ClipzyError`` as a front end refuses it."""
    if idempotency_key is None or re.fullmatch("[!-~]{1,255}", idempotency_key):
        return idempotency_key
    detail = "The Idempotency-Key is wrong; it should be 1 to 255 visible ASCII characters."
    raise ClipzyError(detail, code="INVALID_FIELD", status=422, field="Idempotency-Key")
