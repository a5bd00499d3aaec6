"""sRGB to CIELAB with 8 bits per channel and back.

The arithmetic is that of OpenCV's conversion, which would compute tables for 0.07 s first: as long as it takes to
measure the colours of two minutes of video.
"""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.base import Pixels

Levels = NDArray[np.uint8]
Lab = tuple[Levels, Levels, Levels]
"""L* in steps of 100/255, a* and b* with 128 for 0."""

# Of D65 white.
_XYZ_OF_RGB = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_WHITE = np.array([0.950456, 1.0, 1.088754])
# Linear light is counted in steps, coefficients in 4096ths, and f in 32768ths.
_STEPS, _ONE, _ONE_F = 255 * 8, 1 << 12, 1 << 15
_LINEAR_BELOW, _SLOPE, _OFFSET = 0.008856, 7.787, 16 / 116


def lab_of(pixels: Pixels) -> Lab:
    """Of each BGR pixel, one after the other."""
    light, to_steps, roots, lightness = _tables()
    steps = cv2.transform(cv2.LUT(pixels, light), to_steps).astype(np.uint16).reshape(-1, 3)
    x, y, z = (roots[steps[:, axis]] for axis in range(3))
    return lightness[steps[:, 1]], _rounded(500 * (x - y)), _rounded(200 * (y - z))


def bgr_of(lab: NDArray[np.float64]) -> tuple[int, int, int]:
    """The nearest levels of one colour, given in the units of ``Lab``."""
    y = (lab[0] / 2.55 + 16) / 116
    f = np.array([y + (lab[1] - 128) / 500, y, y - (lab[2] - 128) / 200])
    light = np.where(f > _LINEAR_BELOW * _SLOPE + _OFFSET, f**3, (f - _OFFSET) / _SLOPE) * _WHITE
    rgb = np.clip(np.linalg.solve(_XYZ_OF_RGB, light), 0, 1)
    signal = np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)
    red, green, blue = (round(255 * float(level)) for level in signal)
    return blue, green, red


def _rounded(difference: NDArray[np.int32]) -> Levels:
    return ((difference + 128 * _ONE_F + _ONE_F // 2) >> 15).astype(np.uint8)


@cache
def _tables() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32], Levels]:
    """Linear light of a level; the matrix from that of BGR to steps of X, Y and Z; f and L* of each step."""
    signal = np.arange(256) / 255
    light = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    coefficients = np.round(_ONE * _XYZ_OF_RGB[:, ::-1] / _WHITE[:, None]) / _ONE
    to_steps = np.concatenate([coefficients, np.full((3, 1), 0.5)], axis=1)  # so that they are rounded
    relative = np.arange(_STEPS * 3 // 2) / _STEPS
    f = np.where(relative < _LINEAR_BELOW, relative * _SLOPE + _OFFSET, np.cbrt(relative))
    roots = np.round(_ONE_F * f).astype(np.int32)
    lightness = (296 * roots - 1336934 + _ONE_F // 2) >> 15  # 116 f - 16, of 255
    levels = lightness.clip(0, 255).astype(np.uint8)
    return np.round(_STEPS * light).astype(np.float32), to_steps.astype(np.float32), roots, levels
