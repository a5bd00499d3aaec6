"""Estimates what rendering will take before the work begins, from ``config`` and the header."""

from collections.abc import Iterator
from dataclasses import dataclass

from clipzy_storage.models.clip_options import RenditionOptions
from clipzy_storage.models.job_config import JobConfig
from clipzy_worker.render.picture_layout import layout

# With its entry in the tables of the file; of a video of one colour.
_LEAST_BYTES_PER_PICTURE = 25


@dataclass(frozen=True)
class VideoClaim:
    """What a header says. ``shown_size`` is width and height as displayed."""

    seconds: float
    frames: int
    shown_size: tuple[int, int]


@dataclass(frozen=True)
class RenderEstimate:
    """The least that a job decodes again, and that it writes."""

    pixels: int
    """Decoded and encoded."""
    size_bytes: int


def estimate_of(config: JobConfig, video: VideoClaim) -> RenderEstimate:
    """Of the sections that are asked for; how long chosen clips are is not known yet."""
    pixels = pictures = 0
    for options, seconds in _sections(config, video):
        share = seconds / video.seconds if video.seconds else 0.0
        decoded = round(share * video.frames)
        encoded = round(seconds * options.frame_rate) if isinstance(options.frame_rate, float) else decoded
        pixels += decoded * _area(video.shown_size) + encoded * _area(layout(options, video.shown_size).size)
        pictures += encoded
    return RenderEstimate(pixels, pictures * _LEAST_BYTES_PER_PICTURE)


def _sections(config: JobConfig, video: VideoClaim) -> Iterator[tuple[RenditionOptions, float]]:
    """How many seconds of the video are rendered in which way."""
    if config.render is not None:
        yield config.render, video.seconds
    if config.clips is not None and config.clips.render:
        for asked in config.clips.ranges or ():
            yield config.clips, max(min(asked.end_seconds, video.seconds) - asked.start_seconds, 0.0)


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]
