"""The conversion of a video's colours to those of a standard screen, as a table that FFmpeg interpolates."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipzy_worker.decode.color_conversion import is_hdr, signal_on_standard_screen

_POINTS_OF_HDR, _POINTS = 65, 33
_NAME = "colors.cube"


def color_cube(*, transfer: int, primaries: int) -> NDArray[np.float32]:
    """Red, green and blue for a grid of coded colours from 0 to 1, shape (blue, green, red, 3)."""
    points = _POINTS_OF_HDR if is_hdr(transfer) else _POINTS
    axis = np.linspace(0, 1, points, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)  # blue, green, red
    converted = signal_on_standard_screen(
        grid.reshape(points * points, points, 3), transfer=transfer, primaries=primaries
    )
    return converted.reshape(points, points, points, 3)[..., ::-1]


@contextmanager
def cube_file(directory: Path, *, transfer: int, primaries: int) -> Iterator[Path]:
    """The same as a file in the format of Adobe, which is removed after the block. Raises ``OSError``."""
    cube = color_cube(transfer=transfer, primaries=primaries)
    path = directory / _NAME
    try:
        rows = "%.6f %.6f %.6f\n" * (cube.size // 3) % tuple(cube.ravel().tolist())
        path.write_text(f"LUT_3D_SIZE {len(cube)}\n{rows}")
        yield path
    finally:
        path.unlink(missing_ok=True)
