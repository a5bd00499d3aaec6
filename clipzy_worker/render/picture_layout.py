"""How frames fill the picture that is rendered: its size, what of the video it shows, and where. Pure."""

from dataclasses import dataclass
from fractions import Fraction

from clipzy_storage.models.clip_options import RenditionOptions
from clipzy_storage.models.clips import Reframe
from clipzy_worker.decode.geometry import Geometry

Size = tuple[int, int]
"""Width and height."""

_MOST_ENLARGED = 2
_SHAPES = {"16:9": Fraction(16, 9), "9:16": Fraction(9, 16), "1:1": Fraction(1), "4:5": Fraction(4, 5)}
# Rather than to be scaled by so little: less than two pixels are cut off.
_CUT_PIXELS = 2


@dataclass(frozen=True)
class Placement:
    """What is done with frames of one geometry: the middle of the stored frame, ``cropped`` from it, is scaled to
    ``scaled``, both as stored; then it is turned upright and placed into the middle of the picture."""

    cropped: Size
    offset: Size
    scaled: Size


@dataclass(frozen=True)
class Layout:
    """The picture that is rendered: ``size`` is even, ``window`` the middle part of the video that it shows, in pixels
    of the video as displayed. With ``is_fit`` the picture is larger than the video, and filled around it."""

    shown_size: Size
    size: Size
    window: tuple[Fraction, Fraction]
    is_fit: bool

    @property
    def reframe(self) -> Reframe:
        if self.is_fit:
            return Reframe(mode="fit", subject=None, kept_percent=100)
        kept = self.window[0] * self.window[1] / (self.shown_size[0] * self.shown_size[1])
        if kept == 1:
            return Reframe(mode="none", subject=None, kept_percent=100)
        return Reframe(mode="still", subject="picture", kept_percent=round(float(100 * kept), 2))

    def placement(self, geometry: Geometry) -> Placement:
        """Frames of another shape than most are fitted into the video, as players show them."""
        part, scaled = self._fitted(geometry) if self.is_fit else self._windowed(geometry)
        stored = geometry.stored_width, geometry.stored_height
        if geometry.is_turned:
            part, scaled = part[::-1], scaled[::-1]
        cropped = tuple(_cropped(*axis) for axis in zip(stored, part, scaled, strict=True))
        offset = tuple((whole - kept) // 4 * 2 for whole, kept in zip(stored, cropped, strict=True))
        return Placement((cropped[0], cropped[1]), (offset[0], offset[1]), scaled)

    def _windowed(self, geometry: Geometry) -> tuple[tuple[Fraction, Fraction], Size]:
        """Which part of the frame is shown, and its size in the picture, as displayed."""
        inside = geometry.within(self.shown_size)
        visible = min(self.window[0], Fraction(inside[0])), min(self.window[1], Fraction(inside[1]))
        size = tuple(
            whole if seen == window else min(_even(seen * whole / window), whole)
            for seen, window, whole in zip(visible, self.window, self.size, strict=True)
        )
        return (visible[0] / inside[0], visible[1] / inside[1]), (size[0], size[1])

    def _fitted(self, geometry: Geometry) -> tuple[tuple[Fraction, Fraction], Size]:
        width, height = geometry.shown_size
        scale = min(Fraction(self.size[0], width), Fraction(self.size[1], height), Fraction(_MOST_ENLARGED))
        return (Fraction(1), Fraction(1)), (_even(width * scale), _even(height * scale))


def layout(options: RenditionOptions, shown_size: Size) -> Layout:
    """That of a rendition of a video which is displayed at ``shown_size``."""
    width, height = Fraction(shown_size[0]), Fraction(shown_size[1])
    if options.shape == "source":
        scale = min(Fraction(1), Fraction(options.long_side, max(shown_size)))
        return Layout(shown_size, _even_size(width, height, scale), (width, height), is_fit=False)
    shape = _SHAPES[options.shape]
    is_fit = options.reframe == "fit" and shape != width / height
    if is_fit:
        window = width, height
        box = max(width, height * shape), max(height, width / shape)
    else:
        box = window = min(width, height * shape), min(height, width / shape)
    scale = min(Fraction(_MOST_ENLARGED), options.long_side / max(box))
    return Layout(shown_size, _even_size(*box, scale), window, is_fit)


def _even_size(width: Fraction, height: Fraction, scale: Fraction) -> Size:
    if scale == 1:
        return max(int(width) // 2 * 2, 2), max(int(height) // 2 * 2, 2)
    return _even(width * scale), _even(height * scale)


def _even(length: Fraction) -> int:
    return max(2 * round(length / 2), 2)


def _cropped(stored: int, part: Fraction, scaled: int) -> int:
    """How many pixels of a side are kept."""
    kept = stored * part
    if 0 <= kept - scaled < _CUT_PIXELS:
        return scaled
    return stored if part == 1 else min(_even(kept), stored)
