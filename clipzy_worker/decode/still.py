"""Paints one picture anew with all of the decoder's care, which the pass over the film spares itself."""

from fractions import Fraction

import av.error

from clipzy_worker.analysers.base import Pixels
from clipzy_worker.decode.picture import Geometry, Painter, quarter_turns
from clipzy_worker.decode.source import Source, open_source
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.request import MediaRequest

_MOST_PICTURES = 50  # to decode from the key picture before it: for one still, no more
_TOLERANCE = Fraction(1, 1000)


def repainted(request: MediaRequest, seconds: float, size: tuple[int, int]) -> Pixels | None:
    """The picture that is shown at ``seconds``, at ``size`` (width, height); ``None`` where it is not found again.

    Raises ``StorageUnavailable`` where the file cannot be read any more.
    """
    try:
        with open_source(request, hasty=False) as source:
            return _painted(source, source.origin + Fraction(seconds).limit_denominator(1_000_000), size)
    except (av.error.FFmpegError, InvalidMedia):
        return None


def _painted(source: Source, at: Fraction, size: tuple[int, int]) -> Pixels | None:
    time_base = Fraction(source.video.time_base or 0)
    if not time_base:
        return None
    source.container.seek(int(at / time_base), stream=source.video)
    for count, frame in enumerate(source.container.decode(source.video)):
        if frame.pts is None or count > _MOST_PICTURES:
            return None
        if frame.pts * time_base >= at - _TOLERANCE:
            geometry = Geometry(frame.width, frame.height, source.pixel_aspect, quarter_turns(frame))
            return Painter().shown(frame, size, geometry)
    return None
