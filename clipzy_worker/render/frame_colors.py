"""What the colours of decoded frames are, also where the file does not say so, and what has to be done with them."""

from dataclasses import dataclass

from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc

from clipzy_worker.decode.color_conversion import is_of_standard_screen

OUTPUT_FORMAT = "yuv420p"

_HD_HEIGHT = 720
# Matrices of ITU-T H.273. Those that FFmpeg's scaler knows, which takes one for another with the same numbers.
_RGB, _BT709, _BT601, _BT2020 = 0, 1, 6, 9
_KNOWN = {1: 1, 4: 4, 5: 5, 6: 6, 7: 7, 9: _BT2020, 10: _BT2020}


@dataclass(frozen=True)
class FrameColors:
    """Numbers are code points of ITU-T H.273; ``range`` is FFmpeg's."""

    format: str
    matrix: int
    range: int
    transfer: int
    primaries: int

    @property
    def needs_cube(self) -> bool:
        """Whether they are of high dynamic range, or a wide gamut."""
        return not is_of_standard_screen(transfer=self.transfer, primaries=self.primaries)

    @property
    def are_those_of_output(self) -> bool:
        """Whether there is nothing to convert."""
        is_tagged_so = self.matrix == _BT709 and self.range == ColorRange.MPEG
        return is_tagged_so and self.format == OUTPUT_FORMAT and not self.needs_cube


def colors_of(frame: VideoFrame) -> FrameColors:
    """Players take large frames without a matrix for BT.709, and small ones for BT.601."""
    name = frame.format.name
    if frame.format.is_rgb:
        matrix, full = _RGB, True
    else:
        by_height = _BT709 if frame.height >= _HD_HEIGHT else _BT601
        matrix = _KNOWN.get(frame.colorspace, by_height)
        full = frame.color_range == ColorRange.JPEG or name.startswith("yuvj")
    color_range = int(ColorRange.JPEG if full else ColorRange.MPEG)
    return FrameColors(name, matrix, color_range, frame.color_trc, frame.color_primaries)


def tag_with_output_colors(frame: VideoFrame) -> None:
    frame.colorspace, frame.color_range = _BT709, ColorRange.MPEG
    frame.color_primaries, frame.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
