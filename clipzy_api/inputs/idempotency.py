"""``Idempotency-Key``: a client's name for one request, under which it may be repeated without creating twice."""

import hashlib
import json
import re
from typing import Any

from flask import request

from clipzy_api.problems import invalid_field
from clipzy_storage import keys
from clipzy_storage.jobs.types import IdempotencyKey

HEADER = "Idempotency-Key"
REPLAYED = {"Idempotent-Replayed": "true"}
MAX_LENGTH = 255
PATTERN = f"[!-~]{{1,{MAX_LENGTH}}}"

_KEY = re.compile(PATTERN)


def sent_key() -> str | None:
    """The key of this request. Raises ``ApiError`` 422 if it is malformed."""
    text = request.headers.get(HEADER)
    if text is not None and not _KEY.fullmatch(text):
        raise invalid_field(HEADER, expects=f"1 to {MAX_LENGTH} visible ASCII characters")
    return text


def keyed_upload_id(owner: str, *, storage_id: str) -> str | None:
    """The id of an upload over several requests that is begun under the key of this request; None without one."""
    text = sent_key()
    return keys.video_id_for_key(owner, text, storage_id=storage_id) if text else None


def fingerprinted(text: str | None, call: str, **sent: Any) -> IdempotencyKey | None:
    """The key with a digest of the request: the call, and every input that it depends on."""
    if text is None:
        return None
    canonical = json.dumps({"call": call, **sent}, sort_keys=True, separators=(",", ":"))
    return IdempotencyKey(text, hashlib.sha256(canonical.encode()).hexdigest())
