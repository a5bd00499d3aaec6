"""Decoded colours to those of a standard screen: sRGB levels of BT.709 primaries, white at 203 cd/m².

High dynamic range is decoded by the curves of SMPTE ST 2084 (PQ) and ITU-R BT.2100 (HLG, with its system gamma on the
luminance). Luminance is then compressed by the EETF of ITU-R BT.2390 from 1000 cd/m² to the reference white of BT.2408,
and the channels by the same factor, so that hues stay. Colours outside of BT.709 are moved towards the grey of their
luminance until they fit. Standard range is decoded and encoded by the curve of a reference display (ITU-R BT.1886).
"""

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysers.base import Pixels

# Code points of ITU-T H.273.
TRANSFER_SRGB, TRANSFER_PQ, TRANSFER_HLG = 13, 16, 18
PRIMARIES_BT2020, PRIMARIES_DCI_P3, PRIMARIES_DISPLAY_P3 = 9, 11, 12

Light = NDArray[np.float32]
Curve = NDArray[np.float64]

_REFERENCE_WHITE_NITS = 203.0
_PEAK_NITS = 1000.0
"""What the brightest part of a scene is mastered for, if no more is known; HLG defines it."""
_HLG_SYSTEM_GAMMA = 1.2
_DISPLAY_GAMMA = 2.4
_STEPS = 1 << 16
_TINY = np.float32(1e-6)

# Chromaticities of red, green, blue and white, by H.273.
_D65, _DCI_WHITE = (0.3127, 0.3290), (0.314, 0.351)
_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_BT709 = (0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65
_WIDE = {
    PRIMARIES_BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    PRIMARIES_DCI_P3: (*_P3, _DCI_WHITE),
    PRIMARIES_DISPLAY_P3: (*_P3, _D65),
}


def is_of_standard_screen(*, transfer: int, primaries: int) -> bool:
    """Whether colours are of standard range and gamut, and need no conversion."""
    return not is_hdr(transfer) and primaries not in _WIDE


def is_hdr(transfer: int) -> bool:
    return transfer in (TRANSFER_PQ, TRANSFER_HLG)


def on_standard_screen(pixels: Pixels, *, transfer: int, primaries: int) -> Pixels:
    """A BGR frame in sRGB. One of standard range and gamut is returned unchanged."""
    if is_of_standard_screen(transfer=transfer, primaries=primaries):
        return pixels
    light = np.asarray(cv2.LUT(pixels, _light_of(transfer)), dtype=np.float32)
    return _levels(by_srgb=_is_srgb(transfer))[_step_of(_displayed(light, transfer, primaries))]


def signal_on_standard_screen(signal: Light, *, transfer: int, primaries: int) -> Light:
    """The same for channels from 0 to 1, shape (height, width, 3), without the steps of 8 bits."""
    light = _linear(signal.astype(np.float64), transfer).astype(np.float32)
    displayed = np.clip(_displayed(light, transfer, primaries), 0, 1)
    return _signal(displayed.astype(np.float64), by_srgb=_is_srgb(transfer)).astype(np.float32)


def _is_srgb(transfer: int) -> bool:
    """Whether the curve of the result is that of sRGB, not of BT.1886."""
    return is_hdr(transfer) or transfer == TRANSFER_SRGB


def _displayed(light: Light, transfer: int, primaries: int) -> Light:
    """Linear light of a standard screen, in its gamut; ``light`` is changed."""
    if is_hdr(transfer):
        luminance = cv2.transform(light, _luminance_weights(primaries))
        light *= _compression(transfer)[_step_of(luminance)][..., None]
    if primaries in _WIDE:
        light = np.asarray(cv2.transform(light, _to_bt709(primaries)), dtype=np.float32)
    return _fitted(light)


def _fitted(light: Light) -> Light:
    """Colours with a channel outside of 0 to 1 are moved towards the grey of their luminance until it is inside."""
    channels = cv2.split(light)
    most, least = cv2.max(cv2.max(*channels[:2]), channels[2]), cv2.min(cv2.min(*channels[:2]), channels[2])
    outside = (most > 1) | (least < 0)
    if outside.any():
        color, most, least = light[outside], most[outside], least[outside]
        grey = np.clip(color @ _luminance_weights(None)[0], 0, 1)
        over, under = (1 - grey) / np.maximum(most - grey, _TINY), grey / np.maximum(grey - least, _TINY)
        saturation = np.minimum(np.minimum(over, under), 1)
        light[outside] = grey[:, None] + (color - grey[:, None]) * saturation[:, None]
    return light


def _step_of(values: Any) -> NDArray[np.uint16]:
    return np.asarray(np.clip(values * np.float32(_STEPS - 1), 0, _STEPS - 1), dtype=np.uint16)


@cache
def _light_of(transfer: int) -> Light:
    """``_linear`` for each of 256 levels."""
    return _linear(np.linspace(0, 1, 256), transfer).astype(np.float32)


def _linear(signal: Curve, transfer: int) -> Curve:
    """Linear light: 1 is reference white, for PQ the peak, for HLG the scene's."""
    match transfer:
        case _ if transfer == TRANSFER_PQ:
            return np.minimum(_pq_nits(signal) / _PEAK_NITS, 1)
        case _ if transfer == TRANSFER_HLG:
            return _hlg_scene(signal)
        case _ if transfer == TRANSFER_SRGB:
            return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    return np.asarray(signal**_DISPLAY_GAMMA)


@cache
def _compression(transfer: int) -> Light:
    """The factor from ``_light_of`` to light relative to reference white, for each step of its luminance."""
    luminance = (np.arange(_STEPS) + 0.5) / _STEPS
    exponent = _HLG_SYSTEM_GAMMA if transfer == TRANSFER_HLG else 1.0
    displayed = _eetf(_PEAK_NITS * luminance**exponent) / _REFERENCE_WHITE_NITS
    return np.asarray(displayed / luminance, dtype=np.float32)


def _eetf(nits: Curve) -> Curve:
    """The electrical-electrical transfer function of BT.2390, section 5.4, without a lift of black."""
    peak = _pq_signal(np.array(_PEAK_NITS))
    signal, most = _pq_signal(nits) / peak, _pq_signal(np.array(_REFERENCE_WHITE_NITS)) / peak
    knee = 1.5 * most - 0.5
    t = np.clip((signal - knee) / (1 - knee), 0, 1)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    return _pq_nits(np.where(signal < knee, signal, spline) * peak)


_M1, _M2, _C1, _C2, _C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128


def _pq_nits(signal: Curve) -> Curve:
    """cd/m², by the EOTF of ST 2084."""
    root = signal ** (1 / _M2)
    return np.asarray(10_000 * (np.maximum(root - _C1, 0) / (_C2 - _C3 * root)) ** (1 / _M1))


def _pq_signal(nits: Curve) -> Curve:
    power = (nits / 10_000) ** _M1
    return np.asarray(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def _hlg_scene(signal: Curve) -> Curve:
    """Scene light from 0 to 1, by the inverse OETF of BT.2100."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


@cache
def _levels(*, by_srgb: bool) -> Pixels:
    """The 8-bit level for each step of linear light."""
    return np.asarray(np.round(255 * _signal(np.linspace(0, 1, _STEPS), by_srgb=by_srgb)), dtype=np.uint8)


def _signal(light: Curve, *, by_srgb: bool) -> Curve:
    """By the curve of sRGB or of BT.1886."""
    if by_srgb:
        return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(light ** (1 / _DISPLAY_GAMMA))


@cache
def _to_bt709(primaries: int) -> Light:
    """For columns of blue, green, red."""
    matrix = np.linalg.inv(_to_xyz(*_BT709)) @ _to_xyz(*_WIDE[primaries])
    return np.asarray(matrix[::-1, ::-1], dtype=np.float32)


@cache
def _luminance_weights(primaries: int | None) -> Light:
    """A row for columns of blue, green, red."""
    chromaticities = _BT709 if primaries is None else _WIDE.get(primaries, _BT709)
    return np.asarray(_to_xyz(*chromaticities)[1:2, ::-1], dtype=np.float32)


def _to_xyz(*chromaticities: tuple[float, float]) -> Curve:
    """The matrix from linear red, green, blue to CIE XYZ; white becomes that of D65, so that greys stay grey."""
    red, green, blue, white = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in chromaticities)
    columns = np.stack([red, green, blue], axis=1)
    return columns * np.linalg.solve(columns, white)
