"""Decoded pictures as arrays: scaled, upright, and as JPEG."""

from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from clipzy_worker.analysers.base import Pixels, reduced_size
from clipzy_worker.decode.hdr import as_shown

_HD_HEIGHT = 720
_UNSPECIFIED_COLORSPACE = 2


@dataclass(frozen=True)
class Geometry:
    """How stored pictures are to be shown: pixel shape first, then turned by quarters, counter-clockwise."""

    stored_width: int
    stored_height: int
    pixel_aspect: Fraction
    quarter_turns: int

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height as a viewer sees them."""
        width, height = max(1, round(self.stored_width * self.pixel_aspect)), self.stored_height
        return (height, width) if self.quarter_turns % 2 else (width, height)

    def reduced(self, pixels: int) -> tuple[int, int]:
        """The shown size, reduced to about so many pixels, whatever its shape; never enlarged."""
        return reduced_size(*self.shown_size, pixels=pixels)

    def fitted(self, *, width: int | None = None, side: int | None = None) -> tuple[int, int]:
        """The shown size, reduced to this width or to this largest side; never enlarged."""
        shown = self.shown_size
        scale = Fraction(width, shown[0]) if width else Fraction(side or max(shown), max(shown))
        scale = min(scale, Fraction(1))
        return max(1, round(shown[0] * scale)), max(1, round(shown[1] * scale))


def quarter_turns(frame: VideoFrame) -> int:
    """How often the picture is to be turned left, 0 to 3."""
    return round(frame.rotation / 90) % 4


class Painter:
    """Makes arrays of decoded frames. Keeps the scaler's tables between pictures of one size."""

    def __init__(self) -> None:
        self._scaler = VideoReformatter()

    def stored(self, frame: VideoFrame, size: tuple[int, int], *, fast: bool = False) -> Pixels:
        """The picture as it is stored, scaled to ``size`` (width, height): BGR, shape (height, width, 3).

        High dynamic range is made ordinary; the two fields of an interlaced picture are blended.
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
        pixels = as_shown(pixels, transfer=frame.color_trc, primaries=frame.color_primaries)
        return pixels if pixels.shape[0] == size[1] else np.asarray(cv2.resize(pixels, size), dtype=np.uint8)

    def shown(self, frame: VideoFrame, size: tuple[int, int], geometry: Geometry, *, fast: bool = False) -> Pixels:
        """The picture as a viewer sees it, at ``size`` (width, height) after turning."""
        stored_size = (size[1], size[0]) if geometry.quarter_turns % 2 else size
        return np.ascontiguousarray(np.rot90(self.stored(frame, stored_size, fast=fast), geometry.quarter_turns))


def _colorspace(frame: VideoFrame) -> int | None:
    # Where a file does not say, players take large pictures for BT.709; the scaler would take them for BT.601.
    unsaid = frame.colorspace == _UNSPECIFIED_COLORSPACE and frame.height >= _HD_HEIGHT
    return Colorspace.ITU709 if unsaid else None
