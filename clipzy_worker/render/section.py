"""Renders one section of a video: its frames decoded again, filtered and encoded, with its sound in between."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from av.video.frame import VideoFrame

from clipzy_storage.models.clip_options import RenditionOptions, VideoCodec
from clipzy_storage.models.clips import Reframe, Rendition
from clipzy_storage.models.timecode import exact_rate
from clipzy_worker.decode.decoded_pixels import DecodedPixels
from clipzy_worker.decode.frame_index import FrameIndex
from clipzy_worker.render.encoder import VideoFormat
from clipzy_worker.render.limiter import levelled
from clipzy_worker.render.loudness import LevelPlan, planned
from clipzy_worker.render.mp4_writer import SOUND_RATE_HZ, Mp4Writer, Samples
from clipzy_worker.render.output_frames import OutputFrames, output_frames
from clipzy_worker.render.picture_filter import PictureFilter
from clipzy_worker.render.pictures import source_frames
from clipzy_worker.render.sound import Soundtrack
from clipzy_worker.render.verification import verify
from clipzy_worker.sandbox.request import MediaRequest

_DECIMALS = 6


@dataclass(frozen=True)
class Footage:
    """What the sections of a job are rendered from.

    ``frame_rate`` is the nominal one, ``shown_size`` the width and height at which the video is displayed, and
    ``decoded`` the count of the job's passes. ``soundtrack`` is None without audio.
    """

    request: MediaRequest
    index: FrameIndex
    frame_rate: Fraction
    shown_size: tuple[int, int]
    soundtrack: Soundtrack | None
    decoded: DecodedPixels

    def outputs(self, frames: range, options: RenditionOptions) -> OutputFrames:
        """The pictures of a section."""
        match options.frame_rate:
            case "source":
                return output_frames(self.index, frames, rate=None)
            case "constant":
                return output_frames(self.index, frames, rate=self.frame_rate)
            case rate:
                return output_frames(self.index, frames, rate=exact_rate(rate))

    def picture_filter(self, options: RenditionOptions) -> PictureFilter:
        request = self.request
        return PictureFilter(
            options, self.shown_size, out_directory=request.out_directory, threads=request.decoder_threads
        )


@dataclass(frozen=True)
class RenderedPicture:
    """A picture to encode; ``stamp`` and ``duration`` are in units of the section's time base."""

    picture: VideoFrame
    stamp: int
    duration: int


def rendered_pictures(
    footage: Footage, outputs: OutputFrames, picture_filter: PictureFilter, *, of: range | None = None
) -> Iterator[RenderedPicture]:
    """The pictures of a section in order, or those with the numbers ``of`` alone.

    Raises:
        RenderFailed: a frame is not found again.
        InvalidMedia: there is too much to decode or to encode.
        StorageUnavailable: the source can no longer be read.
    """
    numbers = deque(range(len(outputs)) if of is None else of)
    width, height = picture_filter.size
    for source, picture in _filtered(footage, [outputs.sources[number] for number in numbers], picture_filter):
        while numbers and outputs.sources[numbers[0]] == source:
            number = numbers.popleft()
            footage.decoded.add(frames=1, width=width, height=height)
            yield RenderedPicture(picture, outputs.stamps[number], outputs.duration_of(number))


def _filtered(
    footage: Footage, sources: Sequence[int], picture_filter: PictureFilter
) -> Iterator[tuple[int, VideoFrame]]:
    """Each of these frames of the source once, with its number: the numbers may repeat, and never fall."""
    wanted, waiting = set(sources), deque[int]()
    frames = range(sources[0], sources[-1] + 1)
    for number, frame in source_frames(footage.request, footage.index, frames, decoded=footage.decoded):
        if number in wanted or frame.decoded.interlaced_frame:  # whose fields complete those of its neighbours
            waiting.append(number)
            for picture in picture_filter.push(frame):
                yield waiting.popleft(), picture
    for picture in picture_filter.flush():
        yield waiting.popleft(), picture


def video_format(
    footage: Footage,
    outputs: OutputFrames,
    options: RenditionOptions,
    size: tuple[int, int],
    *,
    codec: VideoCodec = "h264",
) -> VideoFormat:
    """How the pictures of a section are encoded."""
    rate = footage.frame_rate if options.frame_rate == "source" else 1 / outputs.time_base
    return VideoFormat(codec, options.quality, *size, rate, outputs.time_base)


@dataclass(frozen=True)
class RenderedSection:
    """What was written of a section, and what its owner should know of it."""

    rendition: Rendition
    warnings: list[str]


def render_section(
    footage: Footage,
    frames: range,
    options: RenditionOptions,
    path: Path,
    *,
    on_picture: Callable[[RenderedPicture, Fraction], None],
) -> RenderedSection:
    """Write these frames of the source, with their sound, to a file, which is verified.

    ``on_picture`` is called with each picture and its time base before it is encoded. The file is of no use after an
    error.

    Raises:
        RenderFailed: a frame is not found again, or the file is not what was asked for.
        InvalidMedia: there is too much to decode or to encode.
        StorageUnavailable: the source can no longer be read.
        FFmpegError: it cannot be encoded.
        OSError: it cannot be written.
    """
    outputs = footage.outputs(frames, options)
    picture_filter = footage.picture_filter(options)
    video = video_format(footage, outputs, options, picture_filter.size)
    sound, plan = levelled_sound(footage, frames, options)
    threads = footage.request.decoder_threads
    with Mp4Writer(path, video, has_sound=plan is not None, threads=threads) as writer:
        feed = SoundFeed(writer, sound)
        for rendered in rendered_pictures(footage, outputs, picture_filter):
            on_picture(rendered, video.time_base)
            feed.until(rendered.stamp * video.time_base)
            writer.picture(rendered.picture, pts=rendered.stamp, duration=rendered.duration)
        feed.rest()
    verify(path, writer.written, footage.request)
    rendition = rendition_of(video, outputs, options, picture_filter.reframe, plan)
    return RenderedSection(rendition, plan.warnings if plan else [])


def rendition_of(
    video: VideoFormat, outputs: OutputFrames, options: RenditionOptions, reframe: Reframe, plan: LevelPlan | None
) -> Rendition:
    """What a file of these pictures has, and of sound of this level, if it has any."""
    return Rendition(
        width=video.width,
        height=video.height,
        frame_rate=None if options.frame_rate == "source" else round(float(video.rate), _DECIMALS),
        frames=len(outputs),
        duration_seconds=round(float(outputs.duration_seconds), _DECIMALS),
        reframe=reframe,
        loudness=plan.loudness if plan else None,
    )


def levelled_sound(
    footage: Footage, frames: range, options: RenditionOptions
) -> tuple[Iterable[Samples], LevelPlan | None]:
    """The sound of a section at the level that was asked for; None without a soundtrack."""
    if footage.soundtrack is None:
        return (), None
    begin, end = footage.index.seconds_of(frames.start), footage.index.seconds_of(frames.stop)
    # Where the video itself begins or ends nothing is cut, unless its audio begins earlier or goes on.
    fade_in, fade_out = begin > 0, frames.stop < len(footage.index) or footage.soundtrack.goes_on_at(end)
    section = footage.soundtrack.section(begin, end, fade_in=fade_in, fade_out=fade_out)
    plan = planned(section, options.loudness_lufs)
    return levelled(section, plan.level), plan


class SoundFeed:
    """Gives blocks of sound to a writer as late as its pictures allow."""

    def __init__(self, writer: Mp4Writer, blocks: Iterable[Samples]) -> None:
        self._writer, self._blocks, self._samples = writer, iter(blocks), 0

    def until(self, seconds: Fraction) -> None:
        """Write the sound up to this time of the file, and the rest of its block."""
        while self._samples < seconds * SOUND_RATE_HZ and self._write_next():
            pass

    def rest(self) -> None:
        while self._write_next():
            pass

    def _write_next(self) -> bool:
        block = next(self._blocks, None)
        if block is None:
            return False
        self._writer.sound(block)
        self._samples += block.shape[1]
        return True
