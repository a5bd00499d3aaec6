"""Opening a file that nobody vouches for: allow-lists first, then what it claims, and only then its pictures."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.container
import av.error
from av.audio.stream import AudioStream
from av.stream import Disposition
from av.video.stream import VideoStream

from clipzy_storage.errors import StorageUnavailable
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.media.request import MediaLimits, MediaRequest

_DEMUXERS = {"mp4": "mov", "mov": "mov", "avi": "avi", "mkv": "matroska", "webm": "matroska"}
_VIDEO_DECODERS = ("h264", "hevc", "vp8", "vp9", "libdav1d", "av1", "mpeg4", "mpeg2video", "mjpeg", "prores")
_AUDIO_DECODERS = (
    *("aac", "mp3", "mp3float", "ac3", "eac3", "opus", "vorbis", "flac", "alac"),
    *("pcm_u8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_f32le", "pcm_alaw", "pcm_mulaw"),
)
_READ_BYTES = 1 << 20
_UNREADABLE = "The file cannot be read as {container}: it is damaged, incomplete or something else."


@dataclass(frozen=True)
class Source:
    """An opened file whose claims have been checked; its video track is ready to decode."""

    path: Path
    name: str  # mp4, mov, avi, mkv or webm
    container: av.container.InputContainer
    video: VideoStream
    audio: AudioStream | None  # the first that can be decoded

    @property
    def declared_seconds(self) -> float | None:
        """How long the header says the pictures last, if it says so."""
        if self.video.duration and self.video.time_base:
            return float(self.video.duration * self.video.time_base)
        return self.container.duration / av.time_base if self.container.duration else None

    @property
    def declared_rate(self) -> Fraction | None:
        return self.video.guessed_rate or self.video.average_rate

    @property
    def origin(self) -> Fraction:
        """The stamp of the first picture, in seconds of the container's own clock."""
        start = self.video.start_time
        return start * Fraction(self.video.time_base) if start is not None and self.video.time_base else Fraction(0)

    @property
    def audio_codec(self) -> str | None:
        for stream in self.container.streams.audio:
            return stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
        return None

    @property
    def video_codec(self) -> str:
        return self.video.codec_context.codec.canonical_name

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel over its height; 1 where the file does not say or says something absurd."""
        aspect = self.video.sample_aspect_ratio
        return aspect if aspect and Fraction(1, 10) <= aspect <= 10 else Fraction(1)


@contextlib.contextmanager
def open_source(request: MediaRequest, *, hasty: bool = True) -> Iterator[Source]:
    """Open the request's file with nothing but the demuxer of its container and the decoders that are allowed.

    A ``hasty`` decoder leaves out the loop filter, a sixth of its work, which pictures made small do not miss.

    Raises:
        InvalidMedia: it is not that container, has no video track, or claims more than the limits allow.
        StorageUnavailable: it cannot be read at all.
    """
    with _open(request.source, request.container) as container:
        if len(container.streams) > request.limits.max_streams:
            raise InvalidMedia(
                f"The file has {len(container.streams)} tracks; {request.limits.max_streams} is the most."
            )
        video = _video_track(container)
        _check_claims(video, request.limits)
        video.codec_context.thread_type = "FRAME"
        video.codec_context.thread_count = request.decoder_threads
        video.codec_context.options = {
            "max_pixels": str(request.limits.max_pixels),
            "skip_loop_filter": "all" if hasty else "default",
        }
        source = Source(request.source, request.container, container, video, _audio_track(container))
        if (source.declared_seconds or 0) > request.limits.max_duration_seconds:
            raise InvalidMedia(too_long(request.limits))
        yield source


def too_long(limits: MediaLimits) -> str:
    return f"The video is longer than {limits.max_duration_seconds / 3600:g} hours, which is the most."


def size_bytes_of(path: Path) -> int:
    """Raises ``StorageUnavailable``."""
    with _storage_errors():
        return path.stat().st_size


def check_readable(path: Path) -> None:
    """Read all of the file: FFmpeg says "input/output error" of damaged files too.

    Raises:
        StorageUnavailable: it is a true one, or the file is gone.
    """
    with _storage_errors(), path.open("rb") as stream:
        while stream.read(_READ_BYTES):
            pass


@contextlib.contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"the file cannot be read: {error.strerror}") from error


def _open(path: Path, container: str) -> av.container.InputContainer:
    demuxer = _DEMUXERS[container]
    try:
        return av.open(
            f"file:{path}",
            format=demuxer,
            options={
                "format_whitelist": demuxer,
                "protocol_whitelist": "file",
                "codec_whitelist": ",".join((*_VIDEO_DECODERS, *_AUDIO_DECODERS)),
                "probesize": "50000000",
                "analyzeduration": "30000000",
            },
            metadata_errors="replace",
        )
    except av.error.FFmpegError as error:
        # Lack of memory is no excuse here: no honest header needs much, and a damaged one may claim any size.
        # Nor is what FFmpeg says of the cause: for some demuxers the file just ends where it cannot be read.
        check_readable(path)
        raise InvalidMedia(_UNREADABLE.format(container=container)) from error


def _video_track(container: av.container.InputContainer) -> VideoStream:
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:  # the cover of a record is no film
            return stream
    raise InvalidMedia("The file has no video track.")


def _check_claims(video: VideoStream, limits: MediaLimits) -> None:
    # PyAV opens decoders of its own, which FFmpeg's codec_whitelist does not bind: so the name is looked at here.
    name = video.codec_context.name if video.codec_context else "an unknown codec"
    if name not in _VIDEO_DECODERS:
        raise InvalidMedia(f"The video is coded as {name}, which is not accepted. Convert it to H.264 and try again.")
    width, height = video.codec_context.width, video.codec_context.height
    if width <= 0 or height <= 0:
        raise InvalidMedia("The video track has no picture size: the file is damaged or incomplete.")
    if max(width, height) > limits.max_side or width * height > limits.max_pixels:
        raise InvalidMedia(
            f"The picture is {width}x{height}; at most {limits.max_side} a side and"
            f" {limits.max_pixels / 1e6:g} million pixels are accepted."
        )
    if video.average_rate and round(video.average_rate) > limits.max_frame_rate:
        raise InvalidMedia(
            f"The video claims {float(video.average_rate):g} frames a second; {limits.max_frame_rate} is the most."
        )


def _audio_track(container: av.container.InputContainer) -> AudioStream | None:
    for stream in container.streams.audio:
        if stream.codec_context and stream.codec_context.name in _AUDIO_DECODERS:
            return stream
    return None
