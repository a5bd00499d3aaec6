"""Renders one clip: the video, a poster of it, and subtitles for its speech."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av.error

from clipzy_storage.models.analysis import ArtifactFile
from clipzy_storage.models.clip_options import RenditionOptions
from clipzy_storage.models.measurements import Span
from clipzy_worker.errors import RenderFailed
from clipzy_worker.render.clip_poster import ClipPoster
from clipzy_worker.render.section import Footage, RenderedPicture, RenderedSection, render_section
from clipzy_worker.render.subtitles import write_speech_cues

DIRECTORY = "clips"
_NOT_ENCODED = "It could not be encoded."


@dataclass(frozen=True)
class RenderedClip:
    section: RenderedSection
    artifacts: list[ArtifactFile]


def render_clip(
    footage: Footage,
    number: int,
    frames: range,
    options: RenditionOptions,
    *,
    speech: Sequence[Span],
    on_picture: Callable[[], None],
) -> RenderedClip:
    """Write clip ``number`` and what belongs to it into the output directory. After an error nothing of it is left.

    Raises:
        RenderFailed: this clip cannot be rendered; others may.
        InvalidMedia: there is too much to decode or to encode.
        StorageUnavailable: the source can no longer be read.
        OSError, MemoryError: there is no room.
    """
    directory = footage.request.out_directory / DIRECTORY
    directory.mkdir(exist_ok=True)
    try:
        return _rendered(footage, number, frames, options, speech=speech, on_picture=on_picture)
    except BaseException as error:
        for left in directory.glob(f"{number:02}.*"):
            left.unlink()
        if isinstance(error, av.error.FFmpegError) and not isinstance(error, OSError | MemoryError):
            raise RenderFailed(_NOT_ENCODED) from error
        raise


def _rendered(
    footage: Footage,
    number: int,
    frames: range,
    options: RenditionOptions,
    *,
    speech: Sequence[Span],
    on_picture: Callable[[], None],
) -> RenderedClip:
    out, name = footage.request.out_directory, f"{DIRECTORY}/{number:02}"
    poster = ClipPoster()

    def examine(rendered: RenderedPicture, time_base: Fraction) -> None:
        until = rendered.stamp + rendered.duration
        poster.add(rendered.picture, float(rendered.stamp * time_base), float(until * time_base))
        on_picture()

    section = render_section(footage, frames, options, out / f"{name}.mp4", on_picture=examine)
    poster.write(out / f"{name}.jpg")
    artifacts = [
        ArtifactFile(file=f"{name}.mp4", kind="clip", content_type="video/mp4", clip=number),
        ArtifactFile(file=f"{name}.jpg", kind="clip_poster", content_type="image/jpeg", clip=number),
    ]
    begin, end = footage.index.seconds_of(frames.start), footage.index.seconds_of(frames.stop)
    if write_speech_cues(out / f"{name}.vtt", speech, start_seconds=begin, end_seconds=end):
        artifacts.append(ArtifactFile(file=f"{name}.vtt", kind="clip_subtitles", content_type="text/vtt", clip=number))
    return RenderedClip(section, artifacts)
