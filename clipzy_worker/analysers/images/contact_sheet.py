"""The contact sheet: the thumbnails on one page, each with its time."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from clipzy_worker.analysers.base import Pixels
from clipzy_worker.analysers.images.jpeg import write_jpeg
from clipzy_worker.analysers.images.thumbnails import Thumbnail

_COLUMNS, _MAX_ROWS = 5, 8
_MAX_TILE_SIZE = (240, 180)  # thumbnails keep their aspect ratio in it
_GAP_PIXELS, _CAPTION_PIXELS = 8, 20
_BACKGROUND_LEVEL, _TEXT_BGR = 24, (210, 210, 210)


def write_contact_sheet(out_directory: Path, name: str, thumbnails: Sequence[Thumbnail]) -> None:
    """At most forty thumbnails, evenly selected. Raises ``OSError``."""
    count = min(len(thumbnails), _COLUMNS * _MAX_ROWS)
    chosen = [thumbnails[index * len(thumbnails) // count] for index in range(count)]
    tiles = [_fitted(out_directory / one.file) for one in chosen]
    width, height = tiles[0].shape[1], tiles[0].shape[0]
    columns = min(count, _COLUMNS)
    rows = -(-count // columns)
    step_x, step_y = width + _GAP_PIXELS, height + _CAPTION_PIXELS + _GAP_PIXELS
    page = np.full((rows * step_y + _GAP_PIXELS, columns * step_x + _GAP_PIXELS, 3), _BACKGROUND_LEVEL, np.uint8)
    for index, (one, tile) in enumerate(zip(chosen, tiles, strict=True)):
        x, y = _GAP_PIXELS + index % columns * step_x, _GAP_PIXELS + index // columns * step_y
        page[y : y + height, x : x + width] = cv2.resize(tile, (width, height))
        _caption(page, _label(one.seconds), (x, y + height + 15))
    write_jpeg(out_directory / name, page)


def _fitted(path: Path) -> Pixels:
    tile = cv2.imread(str(path))
    if tile is None:
        raise OSError(f"the thumbnail {path.name} cannot be read back")
    height, width = tile.shape[:2]
    scale = min(_MAX_TILE_SIZE[0] / width, _MAX_TILE_SIZE[1] / height)
    return np.asarray(cv2.resize(tile, (max(1, round(width * scale)), max(1, round(height * scale)))), np.uint8)


def _caption(page: Pixels, text: str, at: tuple[int, int]) -> None:
    cv2.putText(page, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, _TEXT_BGR, 1, cv2.LINE_AA)


def _label(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes) // 60}:{int(minutes) % 60:02}:{rest:04.1f}"
