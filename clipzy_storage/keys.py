"""Every key in storage and the prefixes of those in Redis, and the ids they are made of. Pure."""

import hashlib
import os
import re
import secrets
import string
import time
from datetime import date, datetime
from typing import NamedTuple

from clipzy_storage.errors import BadKey

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_ID_TAIL = "[0-9a-hjkmnp-tv-z]{26}"
_ID = re.compile(f"(?:job|vid)_{_ID_TAIL}")
_ARTIFACT = "(?:[a-z0-9][a-z0-9_-]{0,63}/)?[a-z0-9][a-z0-9_-]{0,63}[.][a-z0-9]{1,8}"
_OURS = re.compile(
    f"uploads/(vid_{_ID_TAIL})/(?:video[.]json|sha256[.]json|source[.](?:mp4|mov|avi|mkv|webm))"
    f"|jobs/(?:open|done|cancel|deliveries)/(job_{_ID_TAIL})[.]json"
    f"|jobs/by-day/[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}/(job_{_ID_TAIL})"
    f"|results/(job_{_ID_TAIL})/(?:output[.]json|expired[.]json|attempts/[0-9]+-[0-9a-z]+/{_ARTIFACT})"
)
_UPLOAD_STATE = re.compile(f"[.]clipzy/uploads/(vid_{_ID_TAIL})/(?:upload[.]json|data|multipart[.]json|tail-[0-9]+)")
_SEGMENT_NAME = "[0-9a-f]{16}-[0-9]{5}"
_SEGMENT = re.compile(f"[.]clipzy/segments/(job_{_ID_TAIL})/({_SEGMENT_NAME})-([0-9a-f]{{64}})[.]mp4")
CONTAINERS = ("mp4", "mov", "avi", "mkv", "webm")
"""The extensions of uploaded videos."""
KEY_ID_LENGTH = 12
_KEY_RECORD = re.compile(f"access/(?:keys|revoked)/([0-9A-Za-z]{{{KEY_ID_LENGTH}}})[.]json")
_OWNER = re.compile("[a-z0-9][a-z0-9_-]{0,63}")
_BASE62 = string.digits + string.ascii_letters
_TEMPORARY = re.compile("[.]clipzy/(?:incoming|probe)/[0-9a-z]*[0-9a-f]{16}(?:[.][0-9a-z]+)?")
_KEY = re.compile(r"(?:uploads|jobs|results|access|\.clipzy)(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]{1,100})+")
MAX_KEY_LENGTH = 400

API_KEYS = "access/keys/"
"""The prefix of the API keys that are accepted unless they have expired."""
REVOKED_KEYS = "access/revoked/"
"""The prefix of the API keys that were revoked."""
LINK_SECRET = ".clipzy/link-secret"
"""What links to local storage were signed with at first."""
ROTATED_LINK_SECRETS = ".clipzy/link-secrets/"
"""The prefix of what they have been signed with since; the last one signs."""
STORAGE_ID = ".clipzy/storage-id"
"""The identity of the storage, written once by the first process that prepares it."""
INCOMING = ".clipzy/incoming"
"""The prefix of unfinished files and of the markers of multipart uploads; no key of a caller."""
UPLOADS_IN_PROGRESS = ".clipzy/uploads/"
"""The prefix of uploads over several requests that are not whole yet."""
SEGMENTS = ".clipzy/segments/"
"""The prefix of the finished parts of videos that unfinished jobs render."""
DAY_INDEX = "jobs/by-day/"
"""The prefix of the day index."""
DAY_INDEX_COMPLETE = "jobs/by-day/complete"
"""Exists once every done record of an older version has an entry in the day index."""
DELIVERIES = "jobs/deliveries/"
"""The prefix of what was delivered to the webhooks of jobs, and of what is still to be."""
PROBE = ".clipzy/probe"
"""The prefix of the files with which a process verifies the storage."""

REDIS_PREFIX = "clipzy:"
"""The prefix of all our keys in Redis, which can share a database with others."""
BROKER_PREFIX = "clipzy:mq:"
"""The prefix of the Celery broker's keys; older versions had no further one."""


class StoredSegment(NamedTuple):
    """What the key of a segment says. ``name`` is its plan and its number."""

    job_id: str
    name: str
    sha256: str


def broker_prefix(storage_id: str) -> str:
    """The prefix of all keys and channels of the Celery broker, which several deployments may share."""
    return f"{BROKER_PREFIX}{storage_id}:"


def new_id(prefix: str) -> str:
    """A new id ``job_…`` or ``vid_…``: 48 bits of milliseconds, so that ids sort by age, then 80 random bits."""
    return _id(prefix, (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big"))


def first_id(prefix: str, moment: datetime) -> str:
    """The lowest id that ``new_id`` makes at that moment: ids from before sort before it. None is from before 1970."""
    return _id(prefix, max(int(moment.timestamp() * 1000), 0) << 80)


def job_id_for_key(owner: str, key: str, *, storage_id: str) -> str:
    """The only id of the job that is submitted with this Idempotency-Key; not predictable without the storage id."""
    digest = hashlib.sha256("\n".join((storage_id, owner, key)).encode()).digest()
    return _id("job", int.from_bytes(digest[:16], "big"))


def video_id_for_key(owner: str, key: str, *, storage_id: str) -> str:
    """The only id of the upload over several requests that is begun with this Idempotency-Key; as unpredictable.

    It does not tell when that was. It sorts after ``FIRST_KEYED_VIDEO_ID``, as no other id does before the year 6429.
    """
    digest = hashlib.sha256("\n".join((storage_id, "upload", owner, key)).encode()).digest()
    return _id("vid", int.from_bytes(digest[:16], "big") | _KEYED)


def delivery_id_for(job_id: str, finished_at: datetime) -> str:
    """The only id of the event that the job ended then: the same for every attempt to deliver it."""
    digest = hashlib.sha256(f"{job_id}\n{int(finished_at.timestamp() * 1000)}".encode()).digest()
    return _id("dlv", int.from_bytes(digest[:16], "big"))


def _id(prefix: str, number: int) -> str:
    return f"{prefix}_" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


_KEYED = 1 << 127
FIRST_KEYED_VIDEO_ID = _id("vid", _KEYED)


def new_key_id() -> str:
    """A new id of an API key; 71 random bits."""
    return random_base62(KEY_ID_LENGTH)


def random_base62(length: int) -> str:
    """Random digits and letters, of 5.95 bits each, which cannot be predicted."""
    return "".join(secrets.choice(_BASE62) for _ in range(length))


def is_key_id(text: str) -> bool:
    """Whether the text has the form of the id of an API key, whether or not there is such a key."""
    return len(text) == KEY_ID_LENGTH and text.isascii() and text.isalnum()


def is_owner(text: str) -> bool:
    """Whether the text may be the name of an owner, which becomes part of keys in Redis."""
    return _OWNER.fullmatch(text) is not None


def is_job_id(text: str) -> bool:
    """Whether the text has the form of a job id, whether or not there is such a job."""
    return text.startswith("job_") and _ID.fullmatch(text) is not None


def is_video_id(text: str) -> bool:
    """Whether the text has the form of a video id, whether or not there is such a video."""
    return text.startswith("vid_") and _ID.fullmatch(text) is not None


def upload(video_id: str, extension: str) -> str:
    """The uploaded video; ``extension`` is that of the container that was recognised, never the client's."""
    return f"uploads/{video_id}/source.{extension}"


def video_record(video_id: str) -> str:
    """The ``Video`` next to its file."""
    return f"uploads/{video_id}/video.json"


def video_digest(video_id: str) -> str:
    """The digest of a video whose record lacks it, once a worker has computed it."""
    return f"uploads/{video_id}/sha256.json"


def upload_prefix(video_id: str) -> str:
    """All that is kept of a video."""
    return f"uploads/{video_id}/"


def container_of(key: str) -> str:
    """The container of the video under this key, which is its extension."""
    return key.rpartition(".")[2]


def upload_state(upload_id: str, name: str) -> str:
    """What is kept of an upload in progress: its record, and what the storage has of its file."""
    return f"{UPLOADS_IN_PROGRESS}{upload_id}/{name}"


def segments(job_id: str) -> str:
    """The prefix of the segments that attempts at this job have finished."""
    return f"{SEGMENTS}{job_id}/"


def segment(job_id: str, name: str, sha256: str) -> str:
    """One segment: its name, and the digest of its bytes, which two attempts may have encoded differently."""
    return f"{SEGMENTS}{job_id}/{name}-{sha256}.mp4"


def open_job(job_id: str) -> str:
    """The durable record of an unfinished job."""
    return f"jobs/open/{job_id}.json"


def done_job(job_id: str) -> str:
    """The durable record of a finished job."""
    return f"jobs/done/{job_id}.json"


def day_entry(day: date, job_id: str) -> str:
    """The entry in the day index of a job that finished on that day, in UTC."""
    return f"{DAY_INDEX}{day.isoformat()}/{job_id}"


def cancellation_request(job_id: str) -> str:
    """The cancellation request for an unfinished job."""
    return f"jobs/cancel/{job_id}.json"


def deliveries(job_id: str) -> str:
    """The ``DeliveryRecord`` of a finished job; absent until the first attempt."""
    return f"{DELIVERIES}{job_id}.json"


def result_prefix(job_id: str) -> str:
    """The prefix of the job's attempts and of its index."""
    return f"results/{job_id}/"


def result_index(job_id: str) -> str:
    """The index of a completed job."""
    return f"results/{job_id}/output.json"


def expired_result(job_id: str) -> str:
    """The marker of a result whose retention has ended; it remains when the result is deleted."""
    return f"results/{job_id}/expired.json"


def attempt_prefix(job_id: str, attempt: int, nonce: str) -> str:
    """Where one attempt alone writes: nothing under it counts before the attempt is committed."""
    return f"results/{job_id}/attempts/{attempt}-{nonce}/"


def api_key(key_id: str) -> str:
    """The record of an API key that is not revoked."""
    return f"{API_KEYS}{key_id}.json"


def revoked_key(key_id: str) -> str:
    """The record of an API key that was revoked."""
    return f"{REVOKED_KEYS}{key_id}.json"


def rotated_link_secret(now: datetime) -> str:
    """The secret that signs links from now on: keys sort by time."""
    return f"{ROTATED_LINK_SECRETS}{int(now.timestamp() * 1_000_000):020}.json"


def key_id_in(key: str) -> str | None:
    """The id of the API key whose record this is; None for every other file."""
    found = _KEY_RECORD.fullmatch(key)
    return found and found[1]


def upload_id_in(key: str) -> str | None:
    """The id of the upload in progress that this file belongs to; None for every other file."""
    found = _UPLOAD_STATE.fullmatch(key)
    return found and found[1]


def is_segment_name(text: str) -> bool:
    """Whether the text is the name of a segment: 16 hexadecimal digits of its plan, and five digits of its number."""
    return re.fullmatch(_SEGMENT_NAME, text) is not None


def segment_in(key: str) -> StoredSegment | None:
    """The segment that has this key; None for every other file."""
    found = _SEGMENT.fullmatch(key)
    return StoredSegment(*found.groups()) if found else None


def id_in(key: str) -> str | None:
    """The id of the job or video whose file has this key; None for every file that Clipzy did not write.

    Foreign files may lie anywhere in a storage. They are neither read nor deleted. The files of one attempt are known
    by the form of their names alone.
    """
    found = _OURS.fullmatch(key)
    return found and found[found.lastindex or 0]


def is_foreign(key: str) -> bool:
    """Whether a key under ``jobs/``, ``results/`` or ``uploads/`` is of no file that Clipzy wrote."""
    return id_in(key) is None and key != DAY_INDEX_COMPLETE


def is_temporary(key: str) -> bool:
    """Whether a key under ``INCOMING`` or ``PROBE`` is one of ours: its name ends in a random part."""
    return _TEMPORARY.fullmatch(key) is not None


def is_source(key: str) -> bool:
    """Whether the key of one of our files is that of an uploaded video."""
    return key.startswith("uploads/") and not key.endswith(".json")


def is_upload(text: str) -> bool:
    """Whether the text is a key under ``uploads/``."""
    try:
        return text.startswith("uploads/") and checked(text) == text
    except BadKey:
        return False


def segments_of(key: str) -> list[str]:
    """The segments of a key that callers may use. Raises ``BadKey``, also for a key under ``INCOMING``."""
    if key.startswith(f"{INCOMING}/"):
        raise BadKey("unfinished files have no key")
    return checked(key).split("/")


def prefix_segments_of(prefix: str) -> list[str]:
    """The segments of a prefix, which ends in a slash. Raises ``BadKey``."""
    if not prefix.endswith("/"):
        raise BadKey(f"{prefix[:80]!r} is not a prefix of storage keys, which ends in /")
    return segments_of(f"{prefix}_")[:-1]


def checked(key: str) -> str:
    """The key itself, if it is of the allowed form.

    Raises:
        BadKey: an unknown top prefix, an empty or dotted segment, a character that is not allowed, or too long.
    """
    if len(key) > MAX_KEY_LENGTH or _KEY.fullmatch(key) is None:
        raise BadKey(f"{key[:80]!r} is not a storage key")
    return key
