"""Estimates the size of a result before the work on it begins."""

from clipzy_storage.models.job_config import JobConfig
from clipzy_worker.analysers.images.sprites import MAX_TILES
from clipzy_worker.analysers.images.thumbnails import MAX_THUMBNAILS
from clipzy_worker.analysis.frame_analysers import POSTER_MAX_SIDE
from clipzy_worker.analysis.render_estimate import VideoClaim, estimate_of
from clipzy_worker.decode.geometry import Geometry, Orientation
from clipzy_worker.decode.scaling import ANALYSED_PIXELS
from clipzy_worker.decode.source import Source
from clipzy_worker.errors import result_too_large
from clipzy_worker.sandbox.request import MediaRequest

# What a JPEG of one colour has.
_LEAST_BYTES_PER_PIXEL = 0.015


def check_estimate(source: Source, request: MediaRequest) -> None:
    """Raise ``ResultTooLarge`` if images and videos would be, even if they compress as well as possible.

    Raises ``InvalidMedia`` if there would be too much to render.
    """
    seconds, video = source.declared_seconds or 0.0, source.video.codec_context
    frames = max(1, round(seconds * (source.declared_rate or 0)))
    least_bytes = min(
        least_result_bytes(request.config, geometry, seconds=seconds, frames=frames)
        for geometry in (
            Geometry(video.width, video.height, source.pixel_aspect, Orientation(turns)) for turns in (0, 1)
        )
    )
    shown_size = Geometry(video.width, video.height, source.pixel_aspect).shown_size
    rendered = estimate_of(request.config, VideoClaim(seconds, source.claimed_frames, shown_size))
    analysed_pixels = source.claimed_frames * video.width * video.height
    source.decoded.check_rendered(analysed_pixels + rendered.pixels)
    least_bytes += rendered.size_bytes
    if least_bytes > request.limits.output_bytes:
        raise result_too_large(request.limits.output_bytes, at_least_bytes=least_bytes)


def least_result_bytes(config: JobConfig, geometry: Geometry, *, seconds: float, frames: int) -> int:
    """The size of the images of a video of one colour."""
    pixels = _area(geometry.fitted(side=POSTER_MAX_SIDE))
    pixels += _thumbnails(config, seconds, frames) * _area(geometry.fitted(width=config.thumbnails.width))
    if config.sprites:
        pixels += _kept(int(seconds), MAX_TILES) * _area(geometry.reduced(ANALYSED_PIXELS))
    return int(pixels * _LEAST_BYTES_PER_PIXEL)


def _thumbnails(config: JobConfig, seconds: float, frames: int) -> int:
    match config.thumbnails.per:
        case "shot":
            return 1  # how many shots there are is not known yet
        case "interval":
            return min(frames, _kept(int(seconds / config.thumbnails.interval_seconds) + 1, MAX_THUMBNAILS))
        case "none":
            return 0


def _kept(count: int, most: int) -> int:
    """How many are left, if every second one is dropped whenever there are too many."""
    while count > most:
        count = (count + 1) // 2
    return count


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]
