"""The poster of a clip: the picture that represents it best, chosen while it is rendered."""

from fractions import Fraction
from functools import partial
from pathlib import Path

from av.video.frame import VideoFrame

from clipzy_worker.analysers.base import Frame
from clipzy_worker.analysers.images.jpeg import write_jpeg
from clipzy_worker.analysers.images.poster import Poster
from clipzy_worker.decode.geometry import Geometry
from clipzy_worker.decode.scaling import ANALYSED_PIXELS, FrameScaler

_MAX_SIDE = 1280


class ClipPoster:
    """Takes every picture in order, as it is encoded; all have one size. ``write`` writes the best."""

    def __init__(self) -> None:
        self._scaler = FrameScaler()
        self._poster: Poster | None = None
        self._geometry = Geometry(1, 1, Fraction(1))
        self._count = 0

    def add(self, picture: VideoFrame, seconds: float, until_seconds: float) -> None:
        if self._poster is None:
            self._geometry = Geometry(picture.width, picture.height, Fraction(1))
            self._poster = Poster(self._geometry.fitted(side=_MAX_SIDE))
        scaled = partial(
            self._scaler.shown, picture, self._geometry.reduced(ANALYSED_PIXELS), self._geometry, fast=True
        )
        show = partial(self._scaler.shown, picture, geometry=self._geometry)
        self._poster.process(Frame(self._count, seconds, until_seconds, scaled, show))
        self._count += 1

    def write(self, path: Path) -> None:
        """Nothing is written without a picture. Raises ``OSError``."""
        if self._poster is not None and self._poster.draft is not None:
            write_jpeg(path, self._poster.draft.pixels)
