"""Decodes one frame again with the loop filter, which the pass over the video skips."""

from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import av.error
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from clipzy_worker.analysers.base import Pixels
from clipzy_worker.decode.decoded_pixels import DecodedPixels
from clipzy_worker.decode.scaling import FrameScaler, Geometry, quarter_turns
from clipzy_worker.decode.source import Source, open_source
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.request import MediaRequest

_MAX_FRAMES_AFTER_KEYFRAME = 50
_TOLERANCE_SECONDS = Fraction(1, 1000)


def decoded_again(
    request: MediaRequest, at: Fraction, size: tuple[int, int], *, decoded: DecodedPixels
) -> Pixels | None:
    """The frame of the time ``at``, in seconds of the container's clock; ``None`` if it is not found again.

    ``size`` is the width and height that it is displayed at.

    ``decoded`` is the count of the pass before; ``None`` is returned also if this would be too much.
    Raises ``StorageUnavailable`` if the file can no longer be read.
    """
    try:
        with open_source(request, skip_loop_filter=False, decoded=decoded) as source:
            return _frame_at(source, at, size)
    except (av.error.FFmpegError, InvalidMedia):
        return None


def _frame_at(source: Source, at: Fraction, size: tuple[int, int]) -> Pixels | None:
    time_base = Fraction(source.video.time_base or 0)
    if not time_base:
        return None
    source.container.seek(int(at / time_base), stream=source.video)
    for count, frame in enumerate(_frames(source)):
        if frame.pts is None or count > _MAX_FRAMES_AFTER_KEYFRAME:
            return None
        if frame.pts * time_base >= at - _TOLERANCE_SECONDS:
            geometry = Geometry(frame.width, frame.height, source.pixel_aspect, quarter_turns(frame))
            return FrameScaler().shown(frame, size, geometry)
    return None


def _frames(source: Source) -> Iterator[VideoFrame]:
    for packet in source.packets([source.video]):
        yield from source.video.codec_context.decode(cast("Packet[VideoStream]", packet))
