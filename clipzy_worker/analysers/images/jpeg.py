"""JPEG files."""

from pathlib import Path

import cv2

from clipzy_worker.analysers.base import Pixels

_QUALITY = 85


def write_jpeg(path: Path, pixels: Pixels) -> None:
    """Raises ``OSError`` if the file cannot be written."""
    _done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    path.write_bytes(data.tobytes())
