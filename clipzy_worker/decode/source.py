"""Opens untrusted files: allow-lists first, then the claims of the header, and only then the first frame."""

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
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
    check_frame_rate,
    default_of,
    threads_for,
    video_track,
    videos_of,
)
from clipzy_worker.decode.protection import encrypted_mp4_tracks, encrypted_streams
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.request import MediaLimits, MediaRequest

_READ_BYTES = 1 << 20
# Decoders pad frames before they compare their size with max_pixels.
_ALIGNMENT_PIXELS = 128
# Recorders and editing programs begin seconds after 0. Who begins later has recorded a part of a stream.
_MAX_LATE_START_SECONDS = 10
# What encoders of audio need to begin with is 50 ms at most; it is rounded up to frames.
_MAX_PRIMING_SECONDS = Fraction(1, 10)
_UNREADABLE = "The file cannot be read as {container}: it is damaged, incomplete or of another format."
_HEADER_TOO_LARGE = "The file cannot be read as {container}: it claims more tracks or larger tables than any video has."


@dataclass(frozen=True)
class Source:
    """An opened file within the limits; its video track is ready to decode."""

    path: Path
    name: str  # mp4, mov, avi, mkv or webm
    container: av.container.InputContainer
    video: VideoStream
    audio: AudioStream | None
    encrypted: frozenset[int]  # indexes of streams
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
        """The duration that the header declares, if any: to the end of the track that ends last."""
        tracks = [end for track in self.presented_tracks if (end := _end_of(track))]
        if tracks:
            return float(max(tracks) - self.start)
        if not self.container.duration:
            return None
        end = Fraction(self.container.duration, av.time_base)
        return float(end - self.start if end > self.start else end)

    @property
    def claimed_pixels(self) -> int:
        """Of a frame, by the header."""
        return self.video.codec_context.width * self.video.codec_context.height

    @property
    def declared_rate(self) -> Fraction | None:
        return self.video.guessed_rate or self.video.average_rate

    @property
    def claimed_frames(self) -> int:
        """How many frames the header counts, at least; 0 if it does not."""
        seconds = self.declared_seconds or 0
        # Matroska has no rate but the duration of a frame. Where that is missing, FFmpeg takes the unit of a timestamp.
        rates = [rate for rate in (self.video.average_rate, self.video.guessed_rate) if rate]
        # The index of an MP4 file has every frame as often as its edit list makes it be decoded.
        return max(len(self.video.index_entries), round(seconds * min(rates, default=Fraction(0))))

    @cached_property
    def start(self) -> Fraction:
        """Where a player's clock starts by the header, in seconds of the container's: at 0, however late the first
        track begins. Only the clock of a longer stream, from which this file was cut, is set to 0 with the first track.

        Audio that begins before 0 is what the encoder needs to begin with, and is not played. FFmpeg delays an AVI's
        frames by so much, and leaves the next places behind the first frame empty for that.
        """
        if self.only_numbers_frames:
            return self._empty_beginning()
        begins = [at for track in self.presented_tracks if (at := _start_of(track)) is not None]
        first = min(begins, default=Fraction(0))
        return first if first > _MAX_LATE_START_SECONDS else Fraction(0)

    def _empty_beginning(self) -> Fraction:
        places = [entry.timestamp for entry in itertools.islice(self.video.index_entries, 2)]
        empty = (places[1] - places[0] - 1 if len(places) > 1 else 0) * Fraction(self.video.time_base or 0)
        return empty if empty <= _MAX_PRIMING_SECONDS else Fraction(0)

    @property
    def only_numbers_frames(self) -> bool:
        """The container has no presentation times."""
        return self.name == "avi"

    @property
    def audio_codec(self) -> str | None:
        """Of ``presented_audio``."""
        audio = self.presented_audio
        if audio is None:
            return None
        return audio.codec_context.codec.canonical_name if audio.codec_context else "unknown"

    @property
    def presented_audio(self) -> AudioStream | None:
        """The track that is decoded, or the one that would be if any could be."""
        audios = self.container.streams.audio
        return self.audio or (default_of(audios) if audios else None)

    @property
    def presented_tracks(self) -> list[Stream]:
        """Those that make the presentation's clock: the video, and the audio whether it can be decoded or not."""
        return [self.video, *([self.presented_audio] if self.presented_audio else [])]

    @property
    def audio_tracks(self) -> Sequence[AudioStream]:
        return self.container.streams.audio

    @property
    def video_tracks(self) -> Sequence[VideoStream]:
        """Without cover art."""
        return videos_of(self.container)

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
    With ``skip_loop_filter`` the decoder leaves it out of frames that are no reference for others.

    Raises:
        InvalidMedia: it is not that container, has no video track, or exceeds the limits.
        StorageUnavailable: it cannot be read at all.
    """
    with open_container(request) as (container, size_bytes, encrypted):
        video = video_track(container, request.limits, encrypted=encrypted)
        video.codec_context.thread_type = "FRAME"
        video.codec_context.thread_count = threads_for(video, request.decoder_threads)
        decoded = decoded or DecodedPixels(request.limits.max_decoded_pixels)
        video.codec_context.options = {
            "max_pixels": str(_max_coded_pixels(request.limits)),
            # A frame without it is a reference for those after it, and the difference grows from frame to frame. Those
            # that are no reference pass nothing on.
            "skip_loop_filter": "noref" if skip_loop_filter else "default",
        }
        audio = audio_track(container, request.limits, encrypted=encrypted)
        path, name = request.source, request.container
        source = Source(path, name, container, video, audio, encrypted, request.limits, size_bytes, decoded)
        for stream in container.streams:
            if stream not in source.presented_tracks:
                stream.discard = Discard.all  # an edit list may repeat the others as well
        if (source.declared_seconds or 0) > request.limits.max_duration_seconds:
            raise InvalidMedia(too_long(request.limits))
        _check_claimed_frames(source)
        if audio is not None:
            samples_per_second = (audio.codec_context.sample_rate or 0) * audio.codec_context.channels
            check_audio_samples((source.declared_seconds or 0) * samples_per_second, request.limits)
        yield source


def _max_coded_pixels(limits: MediaLimits) -> int:
    return limits.max_pixels + _ALIGNMENT_PIXELS * limits.max_side


def _start_of(stream: Stream) -> Fraction | None:
    return (
        stream.start_time * Fraction(stream.time_base) if stream.start_time is not None and stream.time_base else None
    )


def _end_of(stream: Stream) -> Fraction | None:
    if not stream.duration or not stream.time_base:
        return None
    return (stream.start_time or 0) * Fraction(stream.time_base) + stream.duration * Fraction(stream.time_base)


def _check_claimed_frames(source: Source) -> None:
    video, decoder = source.video, source.video.codec_context
    if DEMUXERS[source.name] == "mov" and video.average_rate and video.duration and video.time_base:
        # Its tables have the time of every frame, so that this rate is counted.
        seconds = float(video.duration * video.time_base)
        check_frame_rate(round(seconds * video.average_rate), seconds, source.limits)
    source.decoded.check_claim(frames=source.claimed_frames, width=decoder.width, height=decoder.height)


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
def open_container(request: MediaRequest) -> Iterator[tuple[av.container.InputContainer, int, frozenset[int]]]:
    """The opened file, its size, and the indexes of its encrypted streams; nothing else is checked.

    Raises:
        InvalidMedia: it is not that container.
        StorageUnavailable: it cannot be read at all.
    """
    path, container = request.source, request.container
    encrypted_tracks: frozenset[int] = frozenset()
    with _storage_errors():
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with _storage_errors():
            size_bytes = os.fstat(descriptor).st_size
            if DEMUXERS[container] == "mov":
                check_edit_lists(descriptor, request.limits)
                encrypted_tracks = encrypted_mp4_tracks(descriptor)
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
        yield opened, size_bytes, encrypted_streams(opened, encrypted_tracks)


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
