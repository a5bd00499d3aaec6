"""Decodes sections of a video again, and gives each frame the number that it has in the analysis."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av.error
from av.video.frame import VideoFrame

from clipzy_worker.decode.decoded_pixels import DecodedPixels
from clipzy_worker.decode.frame_index import FrameIndex
from clipzy_worker.decode.frame_times import FrameTimes
from clipzy_worker.decode.geometry import Geometry
from clipzy_worker.decode.read_ahead import frames_ahead
from clipzy_worker.decode.scaling import GeometryReader
from clipzy_worker.decode.source import Source, check_readable, open_source
from clipzy_worker.errors import RenderFailed
from clipzy_worker.sandbox.request import MediaRequest

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

# Before the first frame that is wanted, in turn: an index may be wrong, and the first frames behind a key frame may
# need others. None is the beginning of the file.
_BACK_SECONDS = (Fraction(0), Fraction(10), Fraction(40), None)


@dataclass(frozen=True)
class SourceFrame:
    """A decoded frame, as stored, and how it is displayed."""

    decoded: VideoFrame
    geometry: Geometry


def source_frames(
    request: MediaRequest, index: FrameIndex, frames: range, *, decoded: DecodedPixels
) -> Generator[tuple[int, SourceFrame], None, None]:
    """Every one of these frames in order, with its number, decoded while those before are worked on.

    Decoding begins with the key frame before the first one. If frames are missing then, it begins farther back, and at
    last with the beginning of the file. ``decoded`` is the count of the job's other passes.

    Raises:
        RenderFailed: a frame is not found again.
        InvalidMedia: there is too much to decode.
        StorageUnavailable: the file can no longer be read.
    """
    wanted = frames.start
    for back_seconds in _BACK_SECONDS if wanted else (None,):
        with open_source(request, skip_loop_filter=False, decoded=decoded) as source:
            if not _is_sought(source, index.stamp_of(wanted), back_seconds):
                continue
            numbered = _numbered(source, index, is_beginning=back_seconds is None)
            with frames_ahead(numbered, pixels=source.claimed_pixels) as found:
                for number, frame in found:
                    if number == wanted < frames.stop:
                        yield number, frame
                        wanted += 1
                    if wanted == frames.stop:
                        return
                    if number > wanted:
                        break
    if wanted < frames.stop:
        raise RenderFailed(f"Frame {wanted} of the video, which was analysed, could not be found again.")


def _is_sought(source: Source, stamp: int | None, back_seconds: Fraction | None) -> bool:
    """Whether the source stands at a key frame before this stamp, or at its beginning if ``back_seconds`` is None."""
    if back_seconds is None:
        return True
    tick = source.video.time_base
    if stamp is None or not tick:
        return False
    try:
        source.container.seek(stamp - round(back_seconds / Fraction(tick)), stream=source.video)
    except av.error.FFmpegError:
        return False
    return True


def _numbered(source: Source, index: FrameIndex, *, is_beginning: bool) -> Iterator[tuple[int, SourceFrame]]:
    """The known frames from where the source stands, without those that need earlier ones."""
    geometries, following = GeometryReader(source.pixel_aspect), 0 if is_beginning else None
    is_whole = is_beginning
    for decoded in _decoded(source):
        geometry = geometries.of(decoded)
        is_whole = is_whole or decoded.key_frame
        number = _number_of(decoded.pts, index, following)
        if number is not None:
            following = number + 1
            if is_whole:
                yield number, SourceFrame(decoded, geometry)


def _number_of(stamp: int | None, index: FrameIndex, following: int | None) -> int | None:
    if following is not None and following < len(index) and index.stamp_of(following) == stamp:
        return following
    return index.frame_with(stamp)


def _decoded(source: Source) -> Iterator[VideoFrame]:
    """All frames from where the source stands; damaged packets are skipped, as in the analysis."""
    times = FrameTimes(source)
    for packet in _packets(source):
        times.prepare(packet)
        try:
            frames = source.video.codec_context.decode(packet)
        except MemoryError:
            raise
        except av.error.FFmpegError:  # the end among them, if it was flushed before
            continue
        yield from frames


def _packets(source: Source) -> Iterator["Packet[VideoStream] | None"]:
    try:
        for packet in source.packets([source.video]):
            yield cast("Packet[VideoStream]", packet)
    except av.error.FFmpegError as error:
        if isinstance(error, OSError):
            check_readable(source.path)
        yield None  # flushes the decoder
