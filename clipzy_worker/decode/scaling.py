"""Decoded frames as arrays: scaled, upright, in standard dynamic range."""

from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from clipzy_worker.analysers.base import Pixels, reduced_size
from clipzy_worker.decode.color_conversion import on_standard_screen

ANALYSED_PIXELS = 320 * 180
"""About how many a frame has when it is analysed."""

_HD_HEIGHT = 720
_UNSPECIFIED_COLORSPACE = 2


@dataclass(frozen=True)
class Geometry:
    """How stored frames are displayed: pixel aspect ratio first, then quarter turns counter-clockwise."""

    stored_width: int
    stored_height: int
    pixel_aspect: Fraction
    quarter_turns: int

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height as displayed."""
        width, height = max(1, round(self.stored_width * self.pixel_aspect)), self.stored_height
        return (height, width) if self.quarter_turns % 2 else (width, height)

    def reduced(self, pixels: int) -> tuple[int, int]:
        """The displayed size, reduced to about this many pixels; never enlarged."""
        return reduced_size(*self.shown_size, pixels=pixels)

    def fitted(self, *, width: int | None = None, side: int | None = None) -> tuple[int, int]:
        """The displayed size, reduced to this width or to this longer side; never enlarged."""
        shown = self.shown_size
        scale = Fraction(width, shown[0]) if width else Fraction(side or max(shown), max(shown))
        scale = min(scale, Fraction(1))
        return max(1, round(shown[0] * scale)), max(1, round(shown[1] * scale))


def quarter_turns(frame: VideoFrame) -> int:
    """Number of quarter turns to the left, 0 to 3, that display the frame upright."""
    return round(frame.rotation / 90) % 4


class FrameScaler:
    """Converts decoded frames to arrays. Keeps the scaler's tables between frames of one size."""

    def __init__(self) -> None:
        self._scaler = VideoReformatter()

    def stored(self, frame: VideoFrame, size: tuple[int, int], *, fast: bool = False) -> Pixels:
        """The frame as stored, scaled to ``size`` (width, height): BGR, shape (height, width, 3).

        High dynamic range is tone-mapped; the two fields of an interlaced frame are blended.
        """
        height = min(size[1], frame.height // 2) if frame.interlaced_frame else size[1]
        scaled = self._scaler.reformat(
            frame,
            width=size[0],
            height=max(1, height),
            format="bgr24",
            src_colorspace=_colorspace(frame),
            interpolation=Interpolation.FAST_BILINEAR if fast else Interpolation.AREA,
            threads=1,
        )
        pixels = np.asarray(scaled.to_ndarray(), dtype=np.uint8)
        pixels = on_standard_screen(pixels, transfer=frame.color_trc, primaries=frame.color_primaries)
        return pixels if pixels.shape[0] == size[1] else np.asarray(cv2.resize(pixels, size), dtype=np.uint8)

    def shown(self, frame: VideoFrame, size: tuple[int, int], geometry: Geometry, *, fast: bool = False) -> Pixels:
        """The frame as displayed, at ``size`` (width, height) after rotation."""
        stored_size = (size[1], size[0]) if geometry.quarter_turns % 2 else size
        pixels = self.stored(frame, stored_size, fast=fast)
        return np.ascontiguousarray(np.rot90(pixels, geometry.quarter_turns)) if geometry.quarter_turns else pixels


def _colorspace(frame: VideoFrame) -> int | None:
    # Players assume BT.709 for unspecified large frames; the scaler would assume BT.601.
    unspecified = frame.colorspace == _UNSPECIFIED_COLORSPACE and frame.height >= _HD_HEIGHT
    return Colorspace.ITU709 if unspecified else None
