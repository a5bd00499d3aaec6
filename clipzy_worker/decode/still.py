"""Decodes one frame again with the loop filter, which the pass over the video skips."""

from fractions import Fraction

import av.error

from clipzy_worker.analysers.base import Pixels
from clipzy_worker.decode.scaling import FrameScaler, Geometry, quarter_turns
from clipzy_worker.decode.source import Source, open_source
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.request import MediaRequest

_MAX_FRAMES_AFTER_KEYFRAME = 50
_TOLERANCE_SECONDS = Fraction(1, 1000)


def decoded_again(request: MediaRequest, seconds: float, size: tuple[int, int]) -> Pixels | None:
    """The frame that is displayed at ``seconds``, at ``size`` (width, height); ``None`` if it is not found again.

    Raises ``StorageUnavailable`` if the file can no longer be read.
    """
    try:
        with open_source(request, skip_loop_filter=False) as source:
            return _frame_at(source, source.origin + Fraction(seconds).limit_denominator(1_000_000), size)
    except (av.error.FFmpegError, InvalidMedia):
        return None


def _frame_at(source: Source, at: Fraction, size: tuple[int, int]) -> Pixels | None:
    time_base = Fraction(source.video.time_base or 0)
    if not time_base:
        return None
    source.container.seek(int(at / time_base), stream=source.video)
    for count, frame in enumerate(source.container.decode(source.video)):
        if frame.pts is None or count > _MAX_FRAMES_AFTER_KEYFRAME:
            return None
        if frame.pts * time_base >= at - _TOLERANCE_SECONDS:
            geometry = Geometry(frame.width, frame.height, source.pixel_aspect, quarter_turns(frame))
            return FrameScaler().shown(frame, size, geometry)
    return None
