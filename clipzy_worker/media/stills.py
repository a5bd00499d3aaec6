"""What is shown of a film: poster, thumbnails, contact sheet, sprites."""

from typing import Any

from clipzy_worker.analyse.contact_sheet import write_contact_sheet
from clipzy_worker.analyse.jpeg import write_jpeg
from clipzy_worker.analyse.poster import Draft
from clipzy_worker.media.analysers import Analysers
from clipzy_worker.media.repaint import repainted
from clipzy_worker.media.request import MediaRequest

_POSTER = "poster.jpg"
_CONTACT_SHEET = "contact-sheet.jpg"


def write_stills(analysers: Analysers, request: MediaRequest) -> list[dict[str, Any]]:
    """Write what is not written yet, and list all. Raises ``OSError``."""
    artifacts = []
    if analysers.poster.draft is not None:
        _write_poster(analysers.poster.draft, request)
        artifacts.append({"file": _POSTER, "kind": "poster", "content_type": "image/jpeg"})
    if analysers.thumbnails is not None and (written := analysers.thumbnails.written):
        artifacts += [thumbnail.artifact() for thumbnail in written]
        write_contact_sheet(request.out_folder, _CONTACT_SHEET, written)
        artifacts.append({"file": _CONTACT_SHEET, "kind": "contact_sheet", "content_type": "image/jpeg"})
    return artifacts + (analysers.sprites.artifacts if analysers.sprites else [])


def _write_poster(draft: Draft, request: MediaRequest) -> None:
    height, width = draft.pixels.shape[:2]
    careful = repainted(request, draft.seconds, (width, height))
    write_jpeg(request.out_folder / _POSTER, draft.pixels if careful is None else careful)
