"""The uploaded file of a video, so that a player can show it."""

from flask import Blueprint, Response, request

from clipzy_api.callers import UNKNOWN
from clipzy_api.links import check_signature, signed_name_of, video_link
from clipzy_api.openapi.operations import FILE_ANSWERS, FILE_REQUEST_HEADERS, Answer, described
from clipzy_api.problems import video_not_found
from clipzy_api.result_indexes import PublishedFile
from clipzy_api.schemas import json_response
from clipzy_api.services import caller, services
from clipzy_api.views.files import send_file
from clipzy_api.views.videos import find_video
from clipzy_storage.models.answers import ResultLink
from clipzy_storage.models.records import Video

video_files = Blueprint("video_files", __name__)


@video_files.get("/videos/<video_id>/file")
@described(
    "Fetch an uploaded file",
    [*FILE_ANSWERS, Answer(302, "On S3: a redirect to a freshly signed URL.", headers=("Location",))],
    problems=["RANGE_NOT_SATISFIABLE", "STORAGE_UNAVAILABLE", "OVERLOADED"],
    headers=FILE_REQUEST_HEADERS,
)
def show_uploaded(video_id: str) -> Response:
    """As it was uploaded. On S3 the answer is a redirect to a freshly signed URL.

    Where keys are asked for, a player, which cannot send one, opens it by the video's link.
    """
    video = _find(video_id)
    if services().storage.kind != "local":
        return Response(status=302, headers={"Location": video_link(video).url, "Cache-Control": "no-store"})
    # Written once, so its id is as good an entity tag as the digest, which may not be known yet.
    file = PublishedFile(video.key, video.size_bytes, video.video_id)
    return send_file(file, why_missing=video_not_found, filename=video.filename)


@video_files.get("/videos/<video_id>/link")
@described("Link to an uploaded file", [Answer(200, "Where it is now.", ResultLink)], problems=["STORAGE_UNAVAILABLE"])
def show_link(video_id: str) -> Response:
    """For a player, which cannot send a key: the link is signed where keys are asked for, and pre-signed on S3."""
    link = video_link(find_video(video_id))
    return json_response(ResultLink(storage_url=link.url, expires_at=link.expires_at))


def _find(video_id: str) -> Video:
    """Raises ``ApiError`` 401, 403 or 404."""
    if caller() is not UNKNOWN:
        return find_video(video_id)
    check_signature(signed_name_of(video_id), request.args)
    return find_video(video_id, has_link=True)
