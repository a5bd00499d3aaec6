"""Whether two frames show one view, although the camera jolted, the light changed or the page was scrolled. Pure."""

import cv2
import numpy as np

from clipzy_worker.analysers.base import Pixels

THUMBNAIL_SIZE = (64, 36)

# The centre of a thumbnail, which stays in the frame during a small jolt.
_COARSE_SIZE = (48, 27)
_CENTRE = (slice(6, 21), slice(10, 38))
_MIN_CENTRE_CORRELATION = 0.9
# Patches of one frame are searched in the other: those of one view are displaced alike.
_PATCH_WIDTH, _PATCH_HEIGHT = 16, 8
_STEP_X, _STEP_Y = 8, 4
_MIN_PATCH_SPREAD_LEVELS = 5.0
_MIN_PATCH_CORRELATION = 0.85
# Of two patches of one view. A view that turns or is seen from another place is not displaced evenly.
_MAX_DISPLACEMENT_ERROR = 2.0
_MIN_ALIKE = 6
_MIN_ALIKE_RATIO = 0.14


def thumbnail(luma: Pixels) -> Pixels:
    return np.asarray(cv2.resize(luma, THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def is_same_view(one: Pixels, other: Pixels) -> bool:
    """Of two thumbnails, whatever the light."""
    return _centre_is_found(one, other) or _patches_are_found(one, other)


def _centre_is_found(one: Pixels, other: Pixels) -> bool:
    coarse = [cv2.resize(each, _COARSE_SIZE, interpolation=cv2.INTER_AREA) for each in (one, other)]
    fits = (cv2.matchTemplate(b, a[_CENTRE], cv2.TM_CCOEFF_NORMED).max() for a, b in (coarse, coarse[::-1]))
    return bool(max(fits) >= _MIN_CENTRE_CORRELATION)


def _patches_are_found(one: Pixels, other: Pixels) -> bool:
    height, width = one.shape
    displacements, textured = [], 0
    for y in range(0, height - _PATCH_HEIGHT + 1, _STEP_Y):
        for x in range(0, width - _PATCH_WIDTH + 1, _STEP_X):
            patch = one[y : y + _PATCH_HEIGHT, x : x + _PATCH_WIDTH]
            if cv2.meanStdDev(patch)[1][0, 0] < _MIN_PATCH_SPREAD_LEVELS:
                continue
            textured += 1
            _low, fit, _where, (found_x, found_y) = cv2.minMaxLoc(cv2.matchTemplate(other, patch, cv2.TM_CCOEFF_NORMED))
            if fit >= _MIN_PATCH_CORRELATION:
                displacements.append((found_x - x, found_y - y))
    if len(displacements) < max(_MIN_ALIKE, _MIN_ALIKE_RATIO * textured):
        return False
    places = np.array(displacements)
    apart = np.abs(places[:, None] - places[None]).max(axis=2)
    alike = int((apart <= _MAX_DISPLACEMENT_ERROR).sum(axis=1).max())
    return alike >= max(_MIN_ALIKE, _MIN_ALIKE_RATIO * textured)
