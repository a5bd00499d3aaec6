"""The video encoders and their settings. Nothing in them comes from a job but codec, quality, size and rate."""

from dataclasses import dataclass
from fractions import Fraction
from typing import cast

from av.container import OutputContainer
from av.video.stream import VideoStream

from clipzy_storage.models.clip_options import Quality, VideoCodec

_KEY_FRAME_EVERY_SECONDS = 2
# What is written into the file: BT.709, limited range, and colour samples placed where H.264 has them by default.
_COLOURS = {
    "color_range": "tv",
    "colorspace": "bt709",
    "color_primaries": "bt709",
    "color_trc": "bt709",
    "chroma_sample_location": "left",
}
# Nothing about the encoder is written into the file, and no group of pictures needs one of another.
_FLAGS = "+cgop+bitexact"
_MAX_PIXELS_OF_HELD_PICTURES = 2048 * 1152
_X264 = {"draft": ("superfast", 27), "standard": ("veryfast", 21), "high": ("fast", 17)}
_X265 = {"draft": ("superfast", 29), "standard": ("fast", 24), "high": ("medium", 19)}
_SVT_AV1 = {"draft": (10, 40), "standard": (8, 32), "high": (6, 24)}
_ENCODERS: dict[VideoCodec, str] = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1"}
TAGS: dict[VideoCodec, str] = {"h264": "avc1", "hevc": "hvc1", "av1": "av01"}
"""The tag that players know of each codec."""


@dataclass(frozen=True)
class VideoFormat:
    """What is encoded: pictures of one even size in yuv420p, BT.709, limited range.

    ``rate`` is the nominal rate in pictures a second. Times count in ``time_base``, which may be finer.
    """

    codec: VideoCodec
    quality: Quality
    width: int
    height: int
    rate: Fraction
    time_base: Fraction

    @property
    def key_frame_interval(self) -> int:
        """The most pictures from one key frame to the next."""
        return max(1, round(self.rate * _KEY_FRAME_EVERY_SECONDS))


def add_video(container: OutputContainer, video: VideoFormat, *, threads: int) -> VideoStream:
    """A new track with its encoder, ready for pictures. It uses about so many threads."""
    added = container.add_stream(_ENCODERS[video.codec], rate=video.rate, options=_options(video, threads))
    stream = cast("VideoStream", added)
    encoder = stream.codec_context
    encoder.width, encoder.height, encoder.pix_fmt = video.width, video.height, "yuv420p"
    encoder.time_base = video.time_base
    encoder.sample_aspect_ratio = Fraction(1)
    encoder.gop_size = video.key_frame_interval
    encoder.thread_count = threads
    encoder.codec_tag = TAGS[video.codec]
    stream.time_base = video.time_base
    return stream


def _options(video: VideoFormat, threads: int) -> dict[str, str]:
    options = {**_COLOURS, "flags": _FLAGS}
    match video.codec:
        case "h264":
            preset, crf = _X264[video.quality]
            options |= {"preset": preset, "crf": str(crf), "profile": "high", "keyint_min": "1"}
        case "hevc":
            preset, crf = _X265[video.quality]
            options |= {"preset": preset, "crf": str(crf), "profile": "main"}
            options["x265-params"] = f"log-level=none:min-keyint=1:open-gop=0:pools={threads}{_x265_memory(video)}"
        case "av1":
            step, crf = _SVT_AV1[video.quality]
            options |= {"preset": str(step), "crf": str(crf)}
            if _is_large(video):
                options["svtav1-params"] = "lp=1:hierarchical-levels=3"
    return options


def _x265_memory(video: VideoFormat) -> str:
    return ":frame-threads=1:rc-lookahead=5" if _is_large(video) else ""


def _is_large(video: VideoFormat) -> bool:
    """Whether the encoder must hold fewer pictures to stay within the memory of a media process."""
    return video.width * video.height > _MAX_PIXELS_OF_HELD_PICTURES
