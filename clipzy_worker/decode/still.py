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
from clipzy_worker.decode.frame_times import FrameTimes
from clipzy_worker.decode.scaling import FrameScaler, GeometryReader
from clipzy_worker.decode.source import Source, open_source
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.request import MediaRequest

_MAX_FRAMES_AFTER_KEYFRAME = 50
_MAX_REORDERED_FRAMES = 16
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
    if not time_base or _is_far_from_key_frame(source.video, int(at / time_base)):
        return None
    # A packet's number is that of its place in the order of decoding, in which a key frame may precede its neighbours.
    earlier_ticks = _MAX_REORDERED_FRAMES if source.only_numbers_frames else 0
    source.container.seek(max(int(at / time_base) - earlier_ticks, 0), stream=source.video)
    times, geometries = FrameTimes(source), GeometryReader(source.pixel_aspect)
    for count, frame in enumerate(_frames(source, times)):
        found, geometry = times.of(frame), geometries.of(frame)
        if found is None or count > _MAX_FRAMES_AFTER_KEYFRAME:
            return None
        if found >= at - _TOLERANCE_SECONDS:
            return FrameScaler().shown(frame, size, geometry)
    return None


def _is_far_from_key_frame(video: VideoStream, timestamp: int) -> bool:
    """By the container's index; unknown if that has key frames only."""
    key, frame = (video.index_entries.search_timestamp(timestamp, any_frame=any_frame) for any_frame in (False, True))
    return frame - key > _MAX_FRAMES_AFTER_KEYFRAME


def _frames(source: Source, times: FrameTimes) -> Iterator[VideoFrame]:
    for packet in source.packets([source.video]):
        times.prepare(cast("Packet[VideoStream]", packet))
        yield from source.video.codec_context.decode(cast("Packet[VideoStream]", packet))
