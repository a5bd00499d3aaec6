"""What a view says of itself, and what several of them say alike: parameters, headers, answers with a file in them.

Nothing here touches a request or an answer: bodies are streamed, and nothing between may read them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel

from clipzy_api.inputs import idempotency
from clipzy_api.schemas import Problem
from clipzy_storage.jobs.events import EVENT_ID
from clipzy_storage.keys import MAX_KEY_LENGTH

Fragment = dict[str, Any]  # a piece of the document
View = Callable[..., Any]
_View = TypeVar("_View", bound=View)
_BESIDE = "described"

JSON = "application/json"
ANY_FILE = {"*/*": {"description": "The bytes of the file."}}


@dataclass(frozen=True)
class Header:
    """A header of an answer; ``always`` says that no such answer comes without it."""

    name: str
    says: str
    always: bool = True
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})

    def fragment(self) -> Fragment:
        return {"description": self.says, "required": self.always, "schema": dict(self.schema)}


@dataclass(frozen=True)
class Answer:
    """One answer that is not an error. The body is of a model, or has schemas by media type; it may have none."""

    status: int
    says: str
    body: type[BaseModel] | Mapping[str, Fragment] | None = None
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a view says of itself, beside its docstring.

    ``takes`` are models by media type, ``problem_models`` by status: those with more members than others.
    """

    summary: str
    answers: Sequence[Answer]
    problems: Sequence[str] = ()
    problem_models: Mapping[int, type[Problem]] = field(default_factory=dict)
    takes: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    query: type[BaseModel] | None = None
    headers: Sequence[Fragment] = ()


def described(call: Call) -> Callable[[_View], _View]:
    """Put the description beside the view; the view itself stays as it is."""

    def keep(view: _View) -> _View:
        vars(view)[_BESIDE] = call
        return view

    return keep


def description_of(view: View) -> Call | None:
    found: Call | None = vars(view).get(_BESIDE)
    return found


def path_parameter(name: str) -> Fragment:
    return {"name": name, "in": "path", "required": True, **_PATH_PARAMETERS[name]}


def request_header(name: str, says: str) -> Fragment:
    """One that may be left out, and counts for nothing where it is not understood."""
    return {"name": name, "in": "header", "description": says, "schema": {"type": "string"}}


def _id(prefix: str, says: str) -> Fragment:
    return {"description": says, "schema": {"type": "string", "pattern": f"^{prefix}_[0-9a-hjkmnp-tv-z]{{26}}$"}}


_A_KEY = {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH}
_PATH_PARAMETERS: Mapping[str, Fragment] = {
    "job_id": _id("job", "The `job_id` of the answer to its submission."),
    "video_id": _id("vid", "The `video_id` of an upload or a job."),
    "name": {"description": "A `name` among the result's artifacts, or `output.json`.", "schema": _A_KEY},
    "key": {"description": "The key of a file, as a `storage_url` has it.", "schema": _A_KEY},
    "asset": {"description": "A file that the page names.", "schema": _A_KEY},
}

SECONDS = {"type": "integer", "minimum": 1}
REQUEST_ID = Header(
    "X-Request-ID", "The request's own id where it gave a sane one, else a new one; the log has it too."
)
LOCATION = Header("Location", "The address of what was made.", schema={"type": "string", "format": "uri-reference"})
IDEMPOTENCY_KEY: Fragment = {
    "name": idempotency.HEADER,
    "in": "header",
    "description": "Your own name for this request, kept for a day: sent again under it, the same request makes nothing"
    " new and is answered with what was made first.",
    "schema": {"type": "string", "pattern": f"^{idempotency.PATTERN}$"},
}
REPLAYED = Header("Idempotent-Replayed", "`true`, where this was made before, under the same key.", always=False)
REFUSED_FIELDS = (
    "TRUNCATED_UPLOAD",
    "FILE_TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE",
    "INVALID_FIELD",
    "OVERLOADED",
)  # of a call that takes no fields
POLL_WHILE_UNFINISHED = Header(
    "Retry-After", "While the job is not finished: seconds to wait before asking again.", always=False, schema=SECONDS
)
ETAG = Header("ETag", "For `If-None-Match`.")
CACHE_CONTROL = Header("Cache-Control", "Whether and how long the answer may be kept.")

IF_NONE_MATCH = request_header("If-None-Match", "The `ETag` of an answer that is known: it is not sent again.")
FILE_REQUEST_HEADERS = (
    request_header("Range", "One part, such as `bytes=0-1023`; anything else is answered with the whole file."),
    request_header("If-Range", "The `ETag` of which `Range` is wanted; the whole file comes where it has changed."),
    IF_NONE_MATCH,
)

LAST_EVENT_ID = request_header("Last-Event-ID", "The `id` of the last event that is known: what came after it follows.")
LAST_EVENT_ID["schema"] = {"type": "string", "pattern": f"^{EVENT_ID}$"}
UNBUFFERED = Header("X-Accel-Buffering", "`no`: a proxy passes each event on as it comes.")
EVENT_STREAM = {
    "text/event-stream": {
        "schema": {"type": "string"},
        "example": 'id: 1790000000000-0\nevent: status\ndata: {"job_id":"job_…","status":"queued",…}\n\n',
    }
}

DELETED = Answer(204, "It is gone.")
NOT_MODIFIED = Answer(304, "What is known is still true.", headers=(ETAG,))
_FILE_HEADERS = (
    ETAG,
    CACHE_CONTROL,
    Header("Accept-Ranges", "`bytes`"),
    Header("Content-Disposition", "`inline` for pictures and films, `attachment` for the rest, with the file's name."),
    Header("X-Content-Type-Options", "`nosniff`"),
)
_CONTENT_RANGE = Header("Content-Range", "Which bytes these are, and of how many.")
FILE_ANSWERS = (
    Answer(200, "The file.", ANY_FILE, _FILE_HEADERS),
    Answer(206, "The part that was asked for.", ANY_FILE, (*_FILE_HEADERS, _CONTENT_RANGE)),
    NOT_MODIFIED,
)
