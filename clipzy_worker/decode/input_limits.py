"""Checks of what a file claims against allow-lists and limits: its header before decoding, its packets on the way."""

from collections.abc import Collection, Iterator, Sequence
from typing import TypeAlias, TypeVar

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from clipzy_worker.decode.decoded_pixels import DecodedPixels, coded_frames
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.request import MediaLimits

DEMUXERS = {"mp4": "mov", "mov": "mov", "avi": "avi", "mkv": "matroska", "webm": "matroska"}
# The allowed decoders: mature code for what cameras, phones and editors write. docs/formats.md says why each.
VIDEO_DECODERS = (
    *("h264", "hevc", "vp8", "vp9", "libdav1d", "av1", "mpeg4", "mpeg2video", "mjpeg", "prores"),
    *("dvvideo", "dnxhd", "cfhd", "mpeg1video", "h263", "ffv1", "msmpeg4"),
)
AUDIO_DECODERS = (
    *("aac", "mp2", "mp2float", "mp3", "mp3float", "ac3", "eac3", "dca", "opus", "libopus", "vorbis", "flac", "alac"),
    *("amrnb", "amrwb", "adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt", "wmav2"),
    *("pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be"),
    *("pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_alaw", "pcm_mulaw"),
)
# Measured with 10-bit HEVC: a thread holds two frames besides the shared ones.
_BYTES_PER_PIXEL_AND_THREAD = 6
# Room for eight threads at 3840x2160, two at 7680x4320.
_MAX_THREADS_BYTES = 400 << 20
# To hand a smaller frame from thread to thread costs a quarter of decoding it.
_MIN_PIXELS_FOR_THREADS = 400 * 300
# An honest file may exceed the frame rate for a while.
_FRAME_BURST_SECONDS = 10
_MAX_AUDIO_PACKETS_PER_SECOND = 1000
# Slow motion of 240 frames per second has 240.7 in some phones.
_FRAME_RATE_HEADROOM = 1.05
# Frames that a recorder had waiting when it began come at once.
_BURST_SECONDS = 0.25
# For each segment of an edit list FFmpeg reads from the key frame before it to the one after it.
_MAX_READ_RATIO = 10
# Each field of an interlaced frame may have its own packet.
_MAX_PACKETS_PER_FRAME = 2

_STILLS = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
PROTECTED = "The {} is protected (encrypted), and cannot be decoded without its key."

_AnyStream = TypeVar("_AnyStream", bound=Stream)
AnyPacket: TypeAlias = "Packet[Stream]"  # not generic at run time


def video_track(container: InputContainer, limits: MediaLimits, *, encrypted: Collection[int]) -> VideoStream:
    """The video track to decode: of those that can be decoded the default one, else the first.

    ``encrypted`` are indexes of streams. Raises ``InvalidMedia`` if there is none, or it exceeds the limits.
    """
    _check_tracks(container, limits)
    videos = videos_of(container)
    if not videos:
        raise InvalidMedia("The file has no video track.")
    decodable = [one for one in videos if is_accepted(one, VIDEO_DECODERS) and one.index not in encrypted]
    video = default_of(decodable or videos)
    if not decodable and video.index in encrypted:
        raise InvalidMedia(PROTECTED.format("video") + " Remove the protection and try again.")
    _check_video(video, limits)
    return video


def audio_track(container: InputContainer, limits: MediaLimits, *, encrypted: Collection[int]) -> AudioStream | None:
    """The audio track to decode, chosen by the same rule. Raises ``InvalidMedia`` if it exceeds the limits."""
    audios = container.streams.audio
    decodable = [one for one in audios if is_accepted(one, AUDIO_DECODERS) and one.index not in encrypted]
    if not decodable:
        return None
    audio = default_of(decodable)
    _check_audio(audio, limits)
    return audio


def videos_of(container: InputContainer) -> list[VideoStream]:
    """The video tracks without cover art and other stills."""
    return [stream for stream in container.streams.video if not stream.disposition & _STILLS]


def is_accepted(stream: Stream, decoders: Collection[str]) -> bool:
    # PyAV opens decoders itself, outside of FFmpeg's codec_whitelist, so the name is checked here.
    return bool(stream.codec_context) and stream.codec_context.name in decoders


def default_of(streams: Sequence[_AnyStream]) -> _AnyStream:
    """The one that the file flags as its default, else the first."""
    return next((stream for stream in streams if stream.disposition & Disposition.default), streams[0])


def threads_for(video: VideoStream, wanted: int) -> int:
    """The number of decoder threads: ``wanted``, or fewer if frames of this size would need too much memory.

    One for frames so small that threads cost more than they gain.
    """
    pixels = video.codec_context.width * video.codec_context.height
    if pixels < _MIN_PIXELS_FOR_THREADS:
        return 1
    return max(1, min(wanted, max(2, _MAX_THREADS_BYTES // (_BYTES_PER_PIXEL_AND_THREAD * pixels))))


def _check_tracks(container: InputContainer, limits: MediaLimits) -> None:
    decodable = len(container.streams.video) + len(container.streams.audio)
    others = len(container.streams) - decodable
    if decodable > limits.max_streams:
        raise InvalidMedia(
            f"The file has {decodable} video and audio tracks; at most {limits.max_streams} are accepted."
        )
    if others > limits.max_other_streams:
        raise InvalidMedia(
            f"The file has {others} tracks besides video and audio; at most {limits.max_other_streams} are accepted."
        )


def _check_video(video: VideoStream, limits: MediaLimits) -> None:
    name = video.codec_context.name if video.codec_context else "an unknown codec"
    if not is_accepted(video, VIDEO_DECODERS):
        raise InvalidMedia(f"The video is encoded as {name}, which is not accepted. Convert it to H.264 and try again.")
    width, height = video.codec_context.width, video.codec_context.height
    if width <= 0 or height <= 0:
        raise InvalidMedia("The video track has no frame size: the file is damaged or incomplete.")
    if max(width, height) > limits.max_side or width * height > limits.max_pixels:
        raise InvalidMedia(
            f"The video is {width}x{height}; at most {limits.max_side} pixels a side and"
            f" {limits.max_pixels / 1e6:g} million pixels a frame are accepted."
        )


def _check_audio(audio: AudioStream, limits: MediaLimits) -> None:
    rate, channels = audio.codec_context.sample_rate or 0, audio.codec_context.channels
    if rate > limits.max_sample_rate:
        raise InvalidMedia(
            f"The audio claims {rate} samples per second; at most {limits.max_sample_rate} are accepted."
        )
    if channels > limits.max_channels:
        raise InvalidMedia(f"The audio claims {channels} channels; at most {limits.max_channels} are accepted.")


def check_audio_samples(samples: float, limits: MediaLimits) -> None:
    """Raise ``InvalidMedia`` if that is too much: silence takes a few bytes a second, at whatever rate."""
    if samples > limits.max_audio_samples:
        raise InvalidMedia(
            f"The audio has over {samples / 1e9:.4g} billion samples in all channels;"
            f" at most {limits.max_audio_samples / 1e9:g} billion are accepted."
        )


def check_frame_rate(frames: int, seconds: float, limits: MediaLimits) -> None:
    """Raise ``InvalidMedia`` if so many frames are too many for this time. They have been counted: where a file has no
    rate, demuxers guess one."""
    if frames > limits.max_frame_rate * (_FRAME_RATE_HEADROOM * seconds + _BURST_SECONDS) and seconds:
        raise InvalidMedia(
            f"The video has {frames} frames in {seconds:.2f} seconds, {frames / seconds:.4g} frames per second; at most"
            f" {limits.max_frame_rate} per second are accepted."
        )


class PacketLimits:
    """Counts the packets of one file against the limits."""

    def __init__(self, video: VideoStream, limits: MediaLimits, *, size_bytes: int, decoded: DecodedPixels) -> None:
        self._video = video
        self._limits = limits
        self._size_bytes, self._read_bytes = size_bytes, 0
        self._decoded = decoded
        self._seconds_per_tick = float(video.time_base or 0)
        self._first_tick: int | None = None
        self._video_packets = 0
        self._audio_packets = 0

    def checked(self, packets: Iterator[AnyPacket]) -> Iterator[AnyPacket]:
        """The same packets. Raises ``InvalidMedia`` at the first one that exceeds a limit."""
        max_audio_packets = _MAX_AUDIO_PACKETS_PER_SECOND * self._limits.max_duration_seconds
        for packet in packets:
            self._count_bytes(packet)
            if packet.stream is self._video:
                self._count_video_packet(packet)
                self._count_pixels(packet)
            else:
                self._audio_packets += 1
                if self._audio_packets > max_audio_packets:
                    raise InvalidMedia("The file has more audio than the longest video that is accepted.")
            yield packet

    def _count_video_packet(self, packet: AnyPacket) -> None:
        self._video_packets += 1
        elapsed_seconds = self._elapsed_seconds(packet)
        if self._video_packets > _MAX_PACKETS_PER_FRAME * self._limits.max_frame_rate * (
            elapsed_seconds + _FRAME_BURST_SECONDS
        ):
            raise InvalidMedia(
                f"The file has {self._video_packets} frames in {elapsed_seconds:.1f} seconds;"
                f" at most {self._limits.max_frame_rate} per second are accepted."
            )

    def _count_bytes(self, packet: AnyPacket) -> None:
        self._read_bytes += packet.size
        if self._read_bytes > _MAX_READ_RATIO * self._size_bytes:
            raise InvalidMedia(
                f"The file has {self._size_bytes} bytes, and its index or edit list repeats parts of it so often that"
                f" over {_MAX_READ_RATIO} times as many would be decoded."
            )

    def _count_pixels(self, packet: AnyPacket) -> None:
        if packet.size:
            decoder = self._video.codec_context
            frames = coded_frames(decoder.name, packet)
            self._decoded.add(frames=frames, width=decoder.width, height=decoder.height)

    def _elapsed_seconds(self, packet: AnyPacket) -> float:
        """At most the longest duration, so that missing or absurd timestamps do not lift the limit."""
        tick = packet.dts if packet.dts is not None else packet.pts
        if tick is None or not self._seconds_per_tick:
            return float(self._limits.max_duration_seconds)
        self._first_tick = tick if self._first_tick is None else self._first_tick
        elapsed_seconds = (tick - self._first_tick) * self._seconds_per_tick
        return min(max(elapsed_seconds, 0.0), float(self._limits.max_duration_seconds))
