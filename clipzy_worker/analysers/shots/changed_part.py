"""Which part of the frame changes at a cut: all of it, or the half in which a video plays. Pure."""

import cv2
import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.base import Signature

COLUMNS, ROWS = 16, 9
WHOLE = (slice(0, ROWS), slice(0, COLUMNS))

# A cell has changed from this part of the largest change on.
_MIN_CHANGE_RATIO = 0.1
_MIN_CHANGE_LEVELS = 1.5
_MIN_AREA_RATIO = 0.3
# Of the cells within the part; and outside of it, so many may have changed.
_MIN_FILLED_RATIO = 0.75
_MAX_OUTSIDE_RATIO = 0.05

Part = tuple[slice, slice]


def changed_part(before: Signature, after: Signature) -> Part:
    """Rows and columns of the signature's grid: all, unless the rest of the frame stays exactly as it is.

    A part reaches over the whole height or the whole width of the frame: what lies within it is a title or an object.
    """
    change = np.abs(after - before).reshape(ROWS, COLUMNS, 3).max(axis=2)
    changed = change >= max(_MIN_CHANGE_LEVELS, _MIN_CHANGE_RATIO * float(np.sqrt(np.mean(np.square(change)))))
    rows, columns = (_longest_run(changed.mean(axis=axis) >= _MIN_FILLED_RATIO / 2) for axis in (1, 0))
    if rows is None or columns is None:
        return WHOLE
    spans = rows.stop - rows.start == ROWS, columns.stop - columns.start == COLUMNS
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    inside = int(changed[rows, columns].sum())
    outside = int(changed.sum()) - inside
    is_part = (
        spans[0] != spans[1]
        and area >= _MIN_AREA_RATIO * changed.size
        and inside >= _MIN_FILLED_RATIO * area
        and outside <= _MAX_OUTSIDE_RATIO * (changed.size - area) + 1
    )
    return (rows, columns) if is_part else WHOLE


def of_signature(signature: Signature, part: Part) -> Signature:
    return np.asarray(signature.reshape(ROWS, COLUMNS, 3)[part]).ravel()


def area_ratio(part: Part) -> float:
    rows, columns = part
    return float((rows.stop - rows.start) * (columns.stop - columns.start) / (ROWS * COLUMNS))


def of_picture(picture: NDArray[np.uint8], part: Part) -> NDArray[np.uint8]:
    """That part of a larger picture, enlarged to the size of the whole."""
    rows, columns = part
    height, width = picture.shape[:2]
    cut = picture[
        rows.start * height // ROWS : rows.stop * height // ROWS,
        columns.start * width // COLUMNS : columns.stop * width // COLUMNS,
    ]
    return np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _longest_run(flags: NDArray[np.bool_]) -> slice | None:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    runs = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    if not runs:
        return None
    first, last = max(runs, key=lambda run: run[1] - run[0])
    return slice(first, last)
