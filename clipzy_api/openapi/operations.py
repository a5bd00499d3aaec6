"""What a view declares about its operation, and the parts that several operations share.

Nothing here touches a request or a response: both are streamed, and only the view may read or write them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel

from clipzy_api.exports.files import CONTENT_TYPES
from clipzy_api.inputs import idempotency
from clipzy_api.schemas import Problem
from clipzy_storage.jobs.events import EVENT_ID

Fragment = dict[str, Any]  # part of the document
View = Callable[..., Any]
_View = TypeVar("_View", bound=View)
_ATTRIBUTE = "operation"

JSON = "application/json"
# The content type of a file is its own. Generators know only the first of these.
FILE_CONTENT: Mapping[str, Fragment] = {"application/octet-stream": {"type": "string", "format": "binary"}, "*/*": {}}
EXPORT_CONTENT: Mapping[str, Fragment] = {
    media_type: {} if media_type == "application/json" else {"type": "string"}
    for media_type in sorted(set(CONTENT_TYPES.values()))
}
METRICS_TEXT: Mapping[str, Fragment] = {
    "text/plain": {"type": "string"},
    "application/openmetrics-text": {"type": "string"},
}
EVENT_STREAM: Mapping[str, Fragment] = {
    "text/event-stream": {
        "examples": ['id: 1790000000000-0\nevent: status\ndata: {"job_id":"job_…","status":"queued",…}\n\n']
    }
}


def _header(description: str, *, required: bool = True, **schema: Any) -> Fragment:
    return {"description": description, "required": required, "schema": {"type": "string"} | schema}


HEADERS: Mapping[str, Fragment] = {
    "Accept": _header("The supported media types."),
    "Accept-Ranges": _header("`bytes`"),
    "Allow": _header("The supported methods."),
    "Content-Disposition": _header("`inline` for images and videos, else `attachment`; with the file's name."),
    "Content-Range": _header("The range of bytes, and the size of the file."),
    "ETag": _header("For `If-None-Match`."),
    "Idempotent-Replayed": _header("`true` if the same key created this before.", required=False),
    "Link": _header("The previous and the next page, as `rel=prev` and `rel=next`.", required=False),
    "Location": _header("The address of the new job or video.", format="uri-reference"),
    "Upload-Expires": _header("When the upload is removed if nothing more comes.", required=False),
    "Upload-Length": _header("The size of the file in bytes."),
    "Upload-Offset": _header("How many bytes of the file have arrived."),
    "WWW-Authenticate": _header("`Bearer`, with an `error` if a key was sent."),
    "Retry-After": _header(
        "Seconds to wait before the next request; absent if none is needed.", required=False, type="integer", minimum=1
    ),
}
NEW_JOB_HEADERS = ("Location", "Retry-After", "Idempotent-Replayed")
FILE_HEADERS = ("ETag", "Accept-Ranges", "Content-Disposition")


@dataclass(frozen=True)
class Answer:
    """One answer that is not an error.

    ``body`` is a model, or has a schema by media type. ``headers`` are those of ``HEADERS`` which not every answer has.
    """

    status: int
    description: str
    body: type[BaseModel] | Mapping[str, Fragment] | None = None
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class described:  # a decorator
    """Declares the operation of a view, which stays as it is; its docstring is the description.

    ``takes`` has the model, models or schema of request bodies by media type, ``headers`` the request headers.
    ``problems`` are codes, but for ``INTERNAL`` and those that follow from the path. ``problem_models`` has the models
    of problems with further members, by status.
    """

    summary: str
    answers: Sequence[Answer]
    problems: Sequence[str] = ()
    problem_models: Mapping[int, type[Problem]] = field(default_factory=dict)
    takes: Mapping[str, type[BaseModel] | tuple[type[BaseModel], ...] | Fragment] = field(default_factory=dict)
    query: type[BaseModel] | None = None
    headers: Sequence[Fragment] = ()

    def __call__(self, view: _View) -> _View:
        vars(view)[_ATTRIBUTE] = self
        return view


def operation_of(view: View) -> described | None:
    operation: described | None = vars(view).get(_ATTRIBUTE)
    return operation


def _request_header(name: str, description: str, *, required: bool = False, **schema: Any) -> Fragment:
    fragment = {"name": name, "in": "header", "description": description, "schema": {"type": "string"} | schema}
    return fragment | ({"required": True} if required else {})


IDEMPOTENCY_KEY = _request_header(
    idempotency.HEADER,
    "A name of your choice for this request, kept for a day: the same request under the same key creates nothing and is"
    " answered with what the first one created.",
    pattern=f"^{idempotency.PATTERN}$",
)
CONTENT_DIGEST = _request_header(
    "Content-Digest",
    "`sha-256=:…:` with the digest of the body in base64 (RFC 9530), which what arrives is compared with. For a file as"
    " the body; one without a `Content-Length` needs it.",
    pattern="^sha-256=:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=:$",
)
CONTENT_DISPOSITION = _request_header(
    "Content-Disposition", 'For a file as the body: `attachment; filename="…"`, unless the query has its name.'
)
CHUNK_BODY: Fragment = {"type": "string", "format": "binary"}
TUS_RESUMABLE = _request_header("Tus-Resumable", "The version of the protocol.", pattern="^1[.]0[.]0$", required=True)
UPLOAD_LENGTH = _request_header(
    "Upload-Length", "The size of the file in bytes.", pattern="^[1-9][0-9]{0,17}$", required=True
)
UPLOAD_OFFSET = _request_header(
    "Upload-Offset", "After how many bytes of the file the body begins.", pattern="^[0-9]{1,18}$", required=True
)
UPLOAD_METADATA = _request_header(
    "Upload-Metadata",
    "Keys with values in base64, separated by commas. `filename` is the name of the file.",
    pattern="^(?:[!-+.-~]+(?: (?:[A-Za-z0-9+/]{4})+)?(?:,[!-+.-~]+(?: (?:[A-Za-z0-9+/]{4})+)?)*)?$",
    maxLength=4096,
)
UPLOAD_CHECKSUM = _request_header(
    "Upload-Checksum",
    "`sha256 …` or `sha1 …` with the digest of the body in base64, which what arrives is compared with.",
    pattern="^(?:sha256 [A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=|sha1 [A-Za-z0-9+/]{26}[AEIMQUYcgkosw048]=)$",
)
IF_NONE_MATCH = _request_header("If-None-Match", "The `ETag` of an earlier answer, which is not sent again.")
LAST_EVENT_ID = _request_header(
    "Last-Event-ID", "The `id` of the last event received; the stream continues after it.", pattern=f"^{EVENT_ID}$"
)
FILE_REQUEST_HEADERS = (
    _request_header("Range", "One range, such as `bytes=0-1023`; anything else is answered with the whole file."),
    _request_header("If-Range", "The `ETag` that `Range` belongs to; a file that has changed is sent whole."),
    IF_NONE_MATCH,
)

DELETED = Answer(204, "It is deleted.")
NOT_MODIFIED = Answer(304, "The earlier answer is still valid.", headers=("ETag",))
FILE_ANSWERS = (
    Answer(200, "The file.", FILE_CONTENT, FILE_HEADERS),
    Answer(206, "The requested range.", FILE_CONTENT, (*FILE_HEADERS, "Content-Range")),
    NOT_MODIFIED,
)
NO_FIELDS_PROBLEMS = ("TRUNCATED_UPLOAD", "FILE_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE", "INVALID_FIELD", "OVERLOADED")
