"""Decoded frames as arrays: scaled, upright, in standard dynamic range."""

from collections.abc import Mapping
from fractions import Fraction
from typing import cast

import cv2
import numpy as np
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from clipzy_worker.analysers.base import Pixels
from clipzy_worker.decode.color_conversion import on_standard_screen
from clipzy_worker.decode.geometry import UPRIGHT, Geometry, Orientation, orientation_of

ANALYSED_PIXELS = 320 * 180
"""About how many a frame has when it is analysed."""

_HD_HEIGHT = 720
_UNSPECIFIED_COLORSPACE = 2


class GeometryReader:
    """Tells how each decoded frame is displayed: size and display matrix may change from one to the next.

    To be asked of every frame in order, since what the codec says with a key frame holds until the next one. The pixel
    aspect ratio is that of the container, which players prefer to what the frames say.
    """

    def __init__(self, pixel_aspect: Fraction) -> None:
        self._pixel_aspect = pixel_aspect
        self._seen: tuple[int, int, int] | None = None
        self._geometry = Geometry(1, 1, pixel_aspect)

    def of(self, frame: VideoFrame) -> Geometry:
        # The matrix is only read where something changes: reading it keeps the frame in a reference cycle, and frames
        # that wait for the garbage collector may fill the memory.
        seen = frame.width, frame.height, frame.rotation
        says_nothing = self._seen is not None and seen == (*self._seen[:2], 0) and not frame.key_frame
        if seen != self._seen and not says_nothing:
            self._seen = seen
            self._geometry = Geometry(frame.width, frame.height, self._pixel_aspect, _orientation(frame))
        return self._geometry


def _orientation(frame: VideoFrame) -> Orientation:
    side_data = cast("Mapping[SideDataType, SideData]", frame.side_data)
    matrix = side_data.get(SideDataType.DISPLAYMATRIX)
    return UPRIGHT if matrix is None else orientation_of(bytes(matrix))


class FrameScaler:
    """Converts decoded frames to arrays. Keeps the scaler's tables between frames of one size."""

    def __init__(self) -> None:
        # To set one up for another size or quality costs half as much as a large still.
        self._fast, self._exact = VideoReformatter(), VideoReformatter()
        self._inside: dict[tuple[int, int], tuple[int, int]] = {}  # by whole size, for the last geometry
        self._geometry: Geometry | None = None

    def stored(self, frame: VideoFrame, size: tuple[int, int], *, fast: bool = False) -> Pixels:
        """The frame as stored, scaled to ``size`` (width, height): BGR, shape (height, width, 3).

        High dynamic range is tone-mapped; the two fields of an interlaced frame are blended.
        """
        height = min(size[1], frame.height // 2) if frame.interlaced_frame else size[1]
        scaled = (self._fast if fast else self._exact).reformat(
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
        """The frame as displayed, at ``size`` (width, height) after rotation.

        One of another shape is fitted into the middle, and the rest is black, as a player shows it.
        """
        inside = self._within(geometry, size)
        stored = self.stored(frame, inside[::-1] if geometry.is_turned else inside, fast=fast)
        orientation = geometry.orientation
        if orientation != UPRIGHT:
            stored = np.rot90(stored[:, ::-1] if orientation.is_mirrored else stored, orientation.quarter_turns)
            stored = np.ascontiguousarray(stored)
        return stored if inside == size else _centred(stored, size)

    def _within(self, geometry: Geometry, size: tuple[int, int]) -> tuple[int, int]:
        """``geometry.within``, which is slow, once for many frames."""
        if geometry is not self._geometry:
            self._geometry, self._inside = geometry, {}
        if size not in self._inside:
            self._inside[size] = geometry.within(size)
        return self._inside[size]


def _centred(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """In the middle of a black frame of this width and height."""
    height, width = pixels.shape[:2]
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    whole = np.zeros((size[1], size[0], 3), np.uint8)
    whole[top : top + height, left : left + width] = pixels
    return whole


def _colorspace(frame: VideoFrame) -> int | None:
    # Players assume BT.709 for unspecified large frames; the scaler would assume BT.601.
    unspecified = frame.colorspace == _UNSPECIFIED_COLORSPACE and frame.height >= _HD_HEIGHT
    return Colorspace.ITU709 if unspecified else None
