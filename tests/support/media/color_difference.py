"""Colour differences by CIEDE2000 (Sharma, Wu, Dalal: Color Research and Application 30(1), 2005) and hue in CIELAB."""

import cv2
import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def lab_of(pixels: NDArray[np.uint8]) -> Numbers:
    """CIELAB (D65) of sRGB pixels, each blue, green, red; shape (n, 3)."""
    levels = pixels.reshape(1, -1, 3).astype(np.float32) / 255
    return np.asarray(cv2.cvtColor(levels, cv2.COLOR_BGR2Lab), np.float64).reshape(-1, 3)


def hue_difference_degrees(one: Numbers, other: Numbers) -> Numbers:
    """Between colours in CIELAB."""
    hues = [np.degrees(np.arctan2(lab[:, 2], lab[:, 1])) for lab in (one, other)]
    return np.asarray(np.abs((hues[1] - hues[0] + 180) % 360 - 180))


def ciede2000(one: Numbers, other: Numbers) -> Numbers:
    """Between colours in CIELAB, each a row."""
    (l1, a1, b1), (l2, a2, b2) = one.T, other.T
    grey = 0.5 * (1 - _saturating((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2))
    a1, a2 = a1 * (1 + grey), a2 * (1 + grey)
    chroma1, chroma2 = np.hypot(a1, b1), np.hypot(a2, b2)
    hue1, hue2 = (np.degrees(np.arctan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (hue2 - hue1 + 180) % 360 - 180
    turn = np.where(chroma1 * chroma2 == 0, 0, turn)
    lightness, chroma, hue = (l1 + l2) / 2, (chroma1 + chroma2) / 2, (hue1 + turn / 2) % 360
    weight = 1 - 0.17 * _cos(hue - 30) + 0.24 * _cos(2 * hue) + 0.32 * _cos(3 * hue + 6) - 0.2 * _cos(4 * hue - 63)
    by_lightness = (l2 - l1) / (1 + 0.015 * (lightness - 50) ** 2 / np.sqrt(20 + (lightness - 50) ** 2))
    by_chroma = (chroma2 - chroma1) / (1 + 0.045 * chroma)
    by_hue = 2 * np.sqrt(chroma1 * chroma2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * weight)
    rotation = -2 * _saturating(chroma) * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    return np.asarray(np.sqrt(by_lightness**2 + by_chroma**2 + by_hue**2 + rotation * by_chroma * by_hue))


def _saturating(chroma: Numbers) -> Numbers:
    return np.asarray(np.sqrt(chroma**7 / (chroma**7 + 25.0**7)))


def _cos(degrees: Numbers) -> Numbers:
    return np.asarray(np.cos(np.radians(degrees)))
