"""Exports: the shots or clips of a completed job as files for editing programs, spreadsheets and players."""

from contextlib import nullcontext
from hashlib import sha256
from urllib.parse import quote

from flask import Blueprint, Response, request

from clipzy_api import exports as files
from clipzy_api import large_answers
from clipzy_api.exports import ExportFile, TooManySections, document_of
from clipzy_api.inputs.query import checked_query
from clipzy_api.openapi.operations import EXPORT_CONTENT, IF_NONE_MATCH, NOT_MODIFIED, Answer, described
from clipzy_api.problems import ApiError, shown
from clipzy_api.request_schemas import ExportQuery
from clipzy_api.views.jobs import NO_RESULT, UNAVAILABLE, result_index_of

exports = Blueprint("exports", __name__)


@exports.get("/jobs/<job_id>/export/<format>")
@described(
    "Export shots or clips",
    [Answer(200, "The file.", EXPORT_CONTENT, ("ETag", "Content-Disposition")), NOT_MODIFIED],
    problems=[*NO_RESULT, "INVALID_FIELD", *UNAVAILABLE, "OVERLOADED"],
    query=ExportQuery,
    headers=[IF_NONE_MATCH],
)
def show_export(job_id: str, format: str) -> Response:
    """Made of the job's `output.json` when it is asked for, of every completed job: also of one that has no clips."""
    name = _format_named(format)
    query = checked_query(ExportQuery, request.args)
    index = result_index_of(job_id).index
    with large_answers.reserved() if len(index) > large_answers.WHOLE_ANSWER_BYTES else nullcontext():
        try:
            file = files.exported(document_of(index), name, query.of, media=query.media or "")
        except TooManySections as error:
            raise ApiError("INVALID_FIELD", detail=str(error), members={"field": "format"}) from error
    return _answer(file)


def _format_named(text: str) -> files.FormatName:
    """Raises ``ApiError`` 404."""
    for name in files.FORMAT_NAMES:
        if name == text:
            return name
    known = ", ".join(files.FORMAT_NAMES)
    raise ApiError("NOT_FOUND", detail=f"There is no export as `{shown(text)}`. Formats: {known}.")


def _answer(file: ExportFile) -> Response:
    answer = Response(file.content, content_type=file.content_type)
    answer.headers["Content-Disposition"] = _disposition(file.name)
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.set_etag(sha256(file.content).hexdigest())
    answer.make_conditional(request.environ)
    return answer


def _disposition(name: str) -> str:
    """With the name by RFC 6266, and one in ASCII for programs that know no other."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    text = f'attachment; filename="{plain}"'
    return text if plain == name else f"{text}; filename*=UTF-8''{quote(name, safe='')}"
