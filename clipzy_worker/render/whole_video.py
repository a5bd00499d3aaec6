"""The rendered version of the whole video, as it is asked for in a job's config."""

from collections.abc import Callable, Generator

import av.error
from av.video.frame import VideoFrame

from clipzy_storage.models.analysis import ArtifactFile
from clipzy_storage.models.clip_options import RenderOptions
from clipzy_storage.models.clips import Render
from clipzy_worker.errors import RenderFailed
from clipzy_worker.render.section import Footage, levelled_sound, rendered_pictures, rendition_of, video_format
from clipzy_worker.render.segments import SEGMENT_SECONDS, plan_segments
from clipzy_worker.render.whole_render import OUTPUT, render_whole

_NOT_ENCODED = "The video could not be encoded."


def render_whole_video(
    footage: Footage,
    options: RenderOptions,
    *,
    on_fraction: Callable[[float], object],
    on_segment: Callable[[str], object],
    segment_seconds: float = SEGMENT_SECONDS,
) -> tuple[Render, ArtifactFile]:
    """Write ``OUTPUT``, and describe it. Segments of an earlier attempt that fit are not rendered again.

    ``on_fraction`` is called with the progress from 0 to 1, and ``on_segment`` with the name of each segment that is
    rendered.

    Raises:
        ResultTooLarge: it would have more bytes than the result may have.
        RenderFailed: it cannot be rendered, or is not what was asked for.
        InvalidMedia: there is too much to decode or to encode.
        StorageUnavailable: the source can no longer be read.
        OSError, MemoryError: there is no room.
    """
    frames = range(len(footage.index))
    outputs, picture_filter = footage.outputs(frames, options), footage.picture_filter(options)
    video = video_format(footage, outputs, options, picture_filter.size, codec=options.video_codec)
    sound, level = levelled_sound(footage, frames, options)

    def pictures(of: range) -> Generator[VideoFrame, None, None]:
        for rendered in rendered_pictures(footage, outputs, footage.picture_filter(options), of=of):
            yield rendered.picture

    try:
        render_whole(
            footage.request,
            video,
            outputs,
            plan_segments(video, options, len(outputs), segment_seconds=segment_seconds),
            pictures=pictures,
            sound=sound if level else None,
            on_fraction=on_fraction,
            on_segment=on_segment,
        )
    except av.error.FFmpegError as error:
        if isinstance(error, OSError | MemoryError):
            raise
        raise RenderFailed(_NOT_ENCODED) from error
    rendition = rendition_of(video, outputs, options, picture_filter.reframe, level)
    warnings = level.warnings if level else []
    render = Render(**dict(rendition), video_codec=options.video_codec, warnings=warnings, artifacts=[OUTPUT])
    return render, ArtifactFile(file=OUTPUT, kind="render", content_type="video/mp4")
