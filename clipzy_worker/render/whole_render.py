"""Renders the whole video into one file: in segments, which are then joined by copying, with the sound."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from clipzy_worker.analysers.base import Pixels
from clipzy_worker.errors import RenderFailed
from clipzy_worker.render.encoder import VideoFormat
from clipzy_worker.render.joining import Segment, joined_packets, open_segment
from clipzy_worker.render.mp4_writer import Mp4Writer, Samples, Written
from clipzy_worker.render.output_frames import OutputFrames
from clipzy_worker.render.section import SoundFeed
from clipzy_worker.render.segment_rendering import Pictures, SegmentRenderer
from clipzy_worker.render.segments import SegmentPlan
from clipzy_worker.render.small_grey import small_grey
from clipzy_worker.render.verification import verify
from clipzy_worker.sandbox.request import SEGMENTS, MediaRequest

OUTPUT = "output.mp4"
# Of the time; the rest is the joining.
_SEGMENTS_SHARE = 0.97


def render_whole(
    request: MediaRequest,
    video: VideoFormat,
    output: OutputFrames,
    plan: SegmentPlan,
    *,
    pictures: Pictures,
    sound: Iterable[Samples] | None,
    on_fraction: Callable[[float], object],
    on_segment: Callable[[str], object],
) -> Written:
    """Write ``OUTPUT``, which was verified when this returns; nothing is left of the segments.

    ``sound`` has as many samples as the pictures last, and is None without audio. ``on_fraction`` is called with
    the progress from 0 to 1, and ``on_segment`` with the name of each segment that is rendered.

    Raises:
        ResultTooLarge: the video would have more bytes than the result may have.
        RenderFailed: it is not what was asked for.
        OSError: it cannot be written.
    """
    renderer = SegmentRenderer(
        request,
        video,
        output,
        plan,
        on_fraction=lambda done: on_fraction(done * _SEGMENTS_SHARE),
        on_segment=on_segment,
    )
    segments = renderer.all(pictures)
    path = request.out_directory / OUTPUT
    written = _join(path, segments, request, video, output, sound=sound)
    written.first = _small(renderer.first, pictures, 0)
    written.last = _small(renderer.last, pictures, len(output) - 1)
    verify(path, written, request)
    shutil.rmtree(request.out_directory / SEGMENTS)
    on_fraction(1.0)
    return written


def _join(
    path: Path,
    segments: list[Segment],
    request: MediaRequest,
    video: VideoFormat,
    output: OutputFrames,
    *,
    sound: Iterable[Samples] | None,
) -> Written:
    with (
        open_segment(segments[0].path, request) as container,
        Mp4Writer(path, video, has_sound=sound is not None, copies=container.streams.video[0]) as writer,
    ):
        feed = SoundFeed(writer, sound or ())
        for packet in joined_packets(segments, request, output):
            decoded_at = (packet.dts or 0) * output.time_base
            writer.copied(packet)
            feed.until(decoded_at)
        feed.rest()
    return writer.written


def _small(known: Pixels | None, pictures: Pictures, number: int) -> Pixels:
    """A small copy of a picture, which is made anew if an earlier attempt has rendered it. Raises ``RenderFailed``."""
    if known is not None:
        return known
    for picture in pictures(range(number, number + 1)):
        return small_grey(picture)
    raise RenderFailed("A picture of the rendered video could not be found again.")
