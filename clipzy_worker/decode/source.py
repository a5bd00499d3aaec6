"""Opens untrusted files: allow-lists first, then the claims of the header, and only then the first frame."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.container
import av.error
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Discard, Stream
from av.video.stream import VideoStream

from clipzy_storage.errors import StorageUnavailable
from clipzy_worker.decode.decoded_pixels import DecodedPixels
from clipzy_worker.decode.edit_lists import check_edit_lists
from clipzy_worker.decode.input_limits import (
    AUDIO_DECODERS,
    DEMUXERS,
    VIDEO_DECODERS,
    PacketLimits,
    audio_track,
    check_audio_samples,
    threads_for,
    video_track,
)
from clipzy_worker.decode.loop_filter import SkippedFrames, has_near_key_frames, keys_survive
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.request import MediaLimits, MediaRequest

_READ_BYTES = 1 << 20
# Decoders pad frames before they compare their size with max_pixels.
_ALIGNMENT_PIXELS = 128
_UNREADABLE = "The file cannot be read as {container}: it is damaged, incomplete or of another format."
_HEADER_TOO_LARGE = "The file cannot be read as {container}: it claims more tracks or larger tables than any video has."


@dataclass(frozen=True)
class Source:
    """An opened file within the limits; its video track is ready to decode."""

    path: Path
    name: str  # mp4, mov, avi, mkv or webm
    container: av.container.InputContainer
    video: VideoStream
    audio: AudioStream | None  # the first track that can be decoded
    limits: MediaLimits
    size_bytes: int
    decoded: DecodedPixels

    def packets(self, tracks: list[Stream]) -> "Iterator[Packet[Stream]]":
        """Every packet of these tracks in file order, and an empty one for each track at the end.

        Raises:
            InvalidMedia: there are more packets, or more to decode, than the limits allow.
            FFmpegError: the file cannot be read further.
        """
        counted = PacketLimits(self.video, self.limits, size_bytes=self.size_bytes, decoded=self.decoded)
        return counted.checked(self.container.demux(tracks))

    @property
    def declared_seconds(self) -> float | None:
        """The duration that the header declares, if any."""
        if self.video.duration and self.video.time_base:
            return float(self.video.duration * self.video.time_base)
        return self.container.duration / av.time_base if self.container.duration else None

    @property
    def declared_rate(self) -> Fraction | None:
        return self.video.guessed_rate or self.video.average_rate

    @property
    def start(self) -> Fraction:
        """Where a player's clock starts by the header, in seconds of the container's: with the track that begins first.

        Audio that begins before 0 is what the encoder needs to begin with, and is not played.
        """
        video, audio = _start_of(self.video), _start_of(self.audio) if self.audio else None
        begins = [at for at in (video, None if audio is None else max(audio, Fraction(0))) if at is not None]
        return min(begins, default=Fraction(0))

    @property
    def audio_codec(self) -> str | None:
        for stream in self.container.streams.audio:
            return stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
        return None

    @property
    def audio_tracks(self) -> int:
        return len(self.container.streams.audio)

    @property
    def video_codec(self) -> str:
        return self.video.codec_context.codec.canonical_name

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel over its height; 1 if the file declares none or an absurd one."""
        aspect = self.video.sample_aspect_ratio
        return aspect if aspect and Fraction(1, 10) <= aspect <= 10 else Fraction(1)


@contextlib.contextmanager
def open_source(
    request: MediaRequest, *, skip_loop_filter: bool = True, decoded: DecodedPixels | None = None
) -> Iterator[Source]:
    """Open the request's file with the demuxer of its container and the allowed decoders only.

    ``decoded`` is the count of the job's other passes over the file, which this one continues.
    With ``skip_loop_filter`` the decoder leaves it out where that cannot be seen in a still, see ``loop_filter``.

    Raises:
        InvalidMedia: it is not that container, has no video track, or exceeds the limits.
        StorageUnavailable: it cannot be read at all.
    """
    with _open(request) as (container, size_bytes):
        video = video_track(container, request.limits)
        video.codec_context.thread_type = "FRAME"
        video.codec_context.thread_count = threads_for(video, request.decoder_threads)
        decoded = decoded or DecodedPixels(request.limits.max_decoded_pixels)
        video.codec_context.options = {
            "max_pixels": str(_max_coded_pixels(request.limits)),
            "skip_loop_filter": _skipped_frames(request, video, decoded) if skip_loop_filter else "default",
        }
        audio = audio_track(container, request.limits)
        for stream in container.streams:
            if stream not in (video, audio):
                stream.discard = Discard.all  # an edit list may repeat the others as well
        source = Source(request.source, request.container, container, video, audio, request.limits, size_bytes, decoded)
        if (source.declared_seconds or 0) > request.limits.max_duration_seconds:
            raise InvalidMedia(too_long(request.limits))
        _check_claimed_frames(source)
        if audio is not None:
            samples_per_second = (audio.codec_context.sample_rate or 0) * audio.codec_context.channels
            check_audio_samples((source.declared_seconds or 0) * samples_per_second, request.limits)
        yield source


def _skipped_frames(request: MediaRequest, video: VideoStream, decoded: DecodedPixels) -> SkippedFrames:
    """Of which frames the loop filter may be left out."""
    if not has_near_key_frames(video):
        return "noref"
    try:
        with _open(request) as (filtered, _), _open(request) as (unfiltered, _):
            width = request.config.thumbnails.width
            survive = keys_survive(filtered, unfiltered, decoded, track=video.index, width=width)
    except av.error.FFmpegError:
        return "noref"
    return "all" if survive else "noref"


def _max_coded_pixels(limits: MediaLimits) -> int:
    return limits.max_pixels + _ALIGNMENT_PIXELS * limits.max_side


def _start_of(stream: Stream) -> Fraction | None:
    return (
        stream.start_time * Fraction(stream.time_base) if stream.start_time is not None and stream.time_base else None
    )


def _check_claimed_frames(source: Source) -> None:
    """The index of an MP4 file has every frame as often as its edit list makes it be decoded."""
    video, seconds = source.video, source.declared_seconds or 0
    frames = max(len(video.index_entries), round(seconds * (video.average_rate or 0)))
    source.decoded.check_claim(frames=frames, width=video.codec_context.width, height=video.codec_context.height)


def too_long(limits: MediaLimits) -> str:
    return f"The video is longer than {limits.max_duration_seconds / 3600:g} hours, the maximum that is accepted."


def check_readable(path: Path) -> None:
    """Read all of the file, since FFmpeg reports "input/output error" for damaged files too.

    Raises:
        StorageUnavailable: it cannot be read.
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


@contextlib.contextmanager
def _open(request: MediaRequest) -> Iterator[tuple[av.container.InputContainer, int]]:
    """The opened file, and its size."""
    path, container = request.source, request.container
    with _storage_errors():
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with _storage_errors():
            size_bytes = os.fstat(descriptor).st_size
            if DEMUXERS[container] == "mov":
                check_edit_lists(descriptor, request.limits)
        # FFmpeg duplicates the descriptor. It gets no path and cannot open any.
        opened = _opened(descriptor, container)
    except av.error.FFmpegError as error:
        # MemoryError too means an invalid file: a valid header needs little memory, a damaged one may claim any size.
        # FFmpeg's error does not show a read error: some demuxers take it for the end of the file.
        check_readable(path)
        text = _HEADER_TOO_LARGE if isinstance(error, MemoryError) else _UNREADABLE
        raise InvalidMedia(text.format(container=container)) from error
    finally:
        os.close(descriptor)
    with opened:
        yield opened, size_bytes


def _opened(descriptor: int, container: str) -> av.container.InputContainer:
    demuxer = DEMUXERS[container]
    return av.open(
        "fd:",
        format=demuxer,
        options={
            "fd": str(descriptor),
            "format_whitelist": demuxer,
            "protocol_whitelist": "fd",
            "codec_whitelist": ",".join((*VIDEO_DECODERS, *AUDIO_DECODERS)),
            "probesize": "50000000",
            "analyzeduration": "30000000",
        },
        metadata_errors="replace",
    )
