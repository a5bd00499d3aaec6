"""The contact sheet: the film's thumbnails on one page, each with its time."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from clipzy_worker.analysers.base import Pixels
from clipzy_worker.analysers.images.jpeg import write_jpeg
from clipzy_worker.analysers.images.thumbnails import Thumbnail

_COLUMNS, _MAX_ROWS = 5, 8
_TILE = (240, 180)  # the largest; pictures keep their shape in it
_GAP, _CAPTION = 8, 20  # pixels
_PAPER, _INK = 24, (210, 210, 210)


def write_contact_sheet(out_folder: Path, name: str, thumbnails: Sequence[Thumbnail]) -> None:
    """Forty thumbnails at the most, at even steps. Raises ``OSError``."""
    count = min(len(thumbnails), _COLUMNS * _MAX_ROWS)
    chosen = [thumbnails[index * len(thumbnails) // count] for index in range(count)]
    pictures = [_fitted(out_folder / one.file) for one in chosen]
    width, height = pictures[0].shape[1], pictures[0].shape[0]
    columns = min(count, _COLUMNS)
    rows = -(-count // columns)
    step_x, step_y = width + _GAP, height + _CAPTION + _GAP
    page = np.full((rows * step_y + _GAP, columns * step_x + _GAP, 3), _PAPER, np.uint8)
    for index, (one, picture) in enumerate(zip(chosen, pictures, strict=True)):
        x, y = _GAP + index % columns * step_x, _GAP + index // columns * step_y
        page[y : y + height, x : x + width] = cv2.resize(picture, (width, height))
        _caption(page, _label(one.seconds), (x, y + height + 15))
    write_jpeg(out_folder / name, page)


def _fitted(path: Path) -> Pixels:
    picture = cv2.imread(str(path))
    if picture is None:
        raise OSError(f"the thumbnail {path.name} cannot be read back")
    height, width = picture.shape[:2]
    scale = min(_TILE[0] / width, _TILE[1] / height)
    return np.asarray(cv2.resize(picture, (max(1, round(width * scale)), max(1, round(height * scale)))), np.uint8)


def _caption(page: Pixels, text: str, at: tuple[int, int]) -> None:
    cv2.putText(page, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)


def _label(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes) // 60}:{int(minutes) % 60:02}:{rest:04.1f}"
