"""Every key in storage and in Redis, and the ids they are made of. Pure: nothing here touches either."""

import hashlib
import os
import re
import time
from pathlib import PurePosixPath

from clipzy_storage.errors import BadKey

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_ID = re.compile(r"(?:job|vid)_[0-9a-hjkmnp-tv-z]{26}")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]{1,100}")
_TOP_FOLDERS = frozenset({"uploads", "jobs", "results", ".clipzy"})
MAX_KEY_LENGTH = 400

STORAGE_ID = ".clipzy/storage-id"
INCOMING = ".clipzy/incoming"
PROBE = ".clipzy/probe"

# One prefix for our own keys, one below it for the Celery broker, so that both can share a database with others.
REDIS_PREFIX = "clipzy:"
BROKER_PREFIX = "clipzy:mq:"


def new_id(prefix: str) -> str:
    """``job_…`` or ``vid_…``: 48 bits of milliseconds, so that ids sort by age, then 80 random bits."""
    return _id(prefix, (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big"))


def job_id_under(owner: str, key: str, *, storage_id: str) -> str:
    """The one id of the job that is asked for under this Idempotency-Key; no stranger to the storage can tell it."""
    digest = hashlib.sha256("\n".join((storage_id, owner, key)).encode()).digest()
    return _id("job", int.from_bytes(digest[:16], "big"))


def _id(prefix: str, number: int) -> str:
    return f"{prefix}_" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def is_job_id(text: str) -> bool:
    return text.startswith("job_") and _ID.fullmatch(text) is not None


def is_video_id(text: str) -> bool:
    return text.startswith("vid_") and _ID.fullmatch(text) is not None


def upload(video_id: str, extension: str) -> str:
    """The source file; ``extension`` is the container that was recognised, never the client's."""
    return f"uploads/{video_id}/source.{extension}"


def video_record(video_id: str) -> str:
    return f"uploads/{video_id}/video.json"


def open_job(job_id: str) -> str:
    return f"jobs/open/{job_id}.json"


def done_job(job_id: str) -> str:
    return f"jobs/done/{job_id}.json"


def cancellation_request(job_id: str) -> str:
    """Somebody wants this unfinished job cancelled."""
    return f"jobs/cancel/{job_id}.json"


def result_prefix(job_id: str) -> str:
    return f"results/{job_id}/"


def result_index(job_id: str) -> str:
    return f"results/{job_id}/output.json"


def expired_result(job_id: str) -> str:
    """The marker of a result that was kept as long as it was to be; it outlasts it."""
    return f"results/{job_id}/expired.json"


def attempt_prefix(job_id: str, attempt: int, nonce: str) -> str:
    """Where one attempt writes, alone: nothing under it counts before the attempt is committed."""
    return f"results/{job_id}/attempts/{attempt}-{nonce}/"


def segments_of(key: str) -> list[str]:
    """The segments of a key that is for everyone. Raises ``BadKey``."""
    if key.startswith(f"{INCOMING}/"):
        raise BadKey("unfinished files have no key")
    return checked(key).split("/")


def folder_of(prefix: str) -> list[str]:
    """The segments of a folder of keys, which ends in a slash. Raises ``BadKey``."""
    if not prefix.endswith("/"):
        raise BadKey(f"{prefix[:80]!r} is not a folder of the storage, which ends in /")
    return segments_of(f"{prefix}_")[:-1]


def checked(key: str) -> str:
    """The key itself, if it is of the allowed form.

    Raises:
        BadKey: it is not: an unknown top folder, an empty or dotted segment, another character, too long.
    """
    segments = key.split("/")
    if (
        len(key) > MAX_KEY_LENGTH
        or len(segments) < 2
        or segments[0] not in _TOP_FOLDERS
        or any(_SEGMENT.fullmatch(segment) is None or segment in {".", ".."} for segment in segments)
    ):
        raise BadKey(f"{key[:80]!r} is not a storage key")
    return str(PurePosixPath(key))
