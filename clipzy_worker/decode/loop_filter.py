"""For which frames the decoder may leave out its loop filter, which is a sixth of its work.

A frame without it is a reference for those after it, up to the next key frame, so that the difference grows from frame
to frame. Frames that are no reference pass nothing on: theirs may be left out always.
"""

import math
from itertools import pairwise
from typing import Literal

import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

from clipzy_worker.decode.decoded_pixels import DecodedPixels

SkippedFrames = Literal["default", "noref", "all"]
"""Values of FFmpeg's option. VP8 filters references only, and FFmpeg's decoders of VP9 and AV1 ignore the option."""

_DECODERS = ("h264", "hevc")
# Measured within 48 frames, at crf 18 to 36: the likeness falls by up to 10 dB, most with HEVC; 38 are to be left.
_MAX_FRAMES_BETWEEN_KEY_FRAMES = 48
_MIN_LIKENESS_DB = 48.0
_COMPARED_KEY_FRAMES = 3


def has_near_key_frames(video: VideoStream) -> bool:
    """Whether the container has an index of all frames, and it shows that no key frame is far from the next."""
    if video.codec_context.name not in _DECODERS:
        return False
    entries = video.index_entries
    if not video.frames or len(entries) < video.frames:  # that of a fragmented file has its first fragment only
        return False
    keys = [number for number, entry in enumerate(entries) if entry.is_keyframe]
    gaps = [after - before for before, after in pairwise([0, *keys, len(entries)])]
    return max(gaps) <= _MAX_FRAMES_BETWEEN_KEY_FRAMES


def keys_survive(
    filtered: InputContainer, unfiltered: InputContainer, decoded: DecodedPixels, *, track: int, width: int
) -> bool:
    """Whether some key frames are so much alike with and without the filter that those after them will be as well.

    Both are the same file, not read yet; ``track`` is the index of its video, ``width`` that of stills. Raises
    ``InvalidMedia`` if that is too much to decode.
    """
    videos = _video(filtered, track, "default"), _video(unfiltered, track, "all")
    likeness = []
    for seconds in _moments(videos[0]):
        one, other = (_key_frame(video, seconds, decoded) for video in videos)
        if one is None or other is None:
            return False
        likeness.append(_likeness_db(one, other, width))
    return min(likeness, default=0.0) >= _MIN_LIKENESS_DB


def _video(container: InputContainer, track: int, skipped: SkippedFrames) -> VideoStream:
    video = container.streams[track]
    assert isinstance(video, VideoStream)
    video.codec_context.thread_count = 1
    video.codec_context.options = {"skip_loop_filter": skipped}
    return video


def _moments(video: VideoStream) -> list[int]:
    """Timestamps of key frames all over the file."""
    keys = [entry.timestamp for entry in video.index_entries if entry.is_keyframe]
    count = min(len(keys), _COMPARED_KEY_FRAMES)
    return [keys[(2 * number + 1) * len(keys) // (2 * count)] for number in range(count)]


def _key_frame(video: VideoStream, timestamp: int, decoded: DecodedPixels) -> VideoFrame | None:
    """The key frame at this timestamp, decoded alone."""
    container, codec = video.container, video.codec_context
    assert isinstance(container, InputContainer)
    container.seek(timestamp, stream=video)
    packet: Packet[VideoStream]
    for packet in container.demux(video):
        if not packet.is_keyframe:
            continue
        decoded.add(frames=1, width=codec.width, height=codec.height)
        try:
            frames = [*codec.decode(packet), *codec.decode(None)]
        except av.error.FFmpegError:
            return None
        codec.flush_buffers()
        return frames[0] if frames else None
    return None


def _likeness_db(one: VideoFrame, other: VideoFrame, width: int) -> float:
    """Peak signal to noise ratio at the size of a still."""
    width = min(width, one.width)
    height = max(1, round(one.height * width / one.width))
    a, b = (
        frame.reformat(width=width, height=height, format="bgr24", interpolation=Interpolation.AREA)
        .to_ndarray()
        .astype(np.float32)
        for frame in (one, other)
    )
    error = float(np.square(a - b).mean())
    return 10 * math.log10(255**2 / error) if error else math.inf
