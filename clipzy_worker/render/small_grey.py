"""Small grey pictures, by which it is recognised whether two pictures show the same."""

import cv2
import numpy as np
from av.video.frame import VideoFrame

from clipzy_worker.analysers.base import Pixels, reduced_size

_PIXELS = 64 * 36


def small_grey(frame: VideoFrame) -> Pixels:
    """The luma of a picture in yuv420p, averaged to about 64x36 pixels."""
    plane = frame.planes[0]
    luma = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
    size = reduced_size(frame.width, frame.height, pixels=_PIXELS)
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.uint8)


def psnr_db(one: Pixels, other: Pixels) -> float:
    """How alike they are: over 30 for the same picture, encoded; 361 for equal ones."""
    return float(cv2.PSNR(one, other))
