"""What a file says of itself, held against the allow-lists and the limits before anything of it is decoded."""

from collections.abc import Iterator
from typing import TypeAlias

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.request import MediaLimits

DEMUXERS = {"mp4": "mov", "mov": "mov", "avi": "avi", "mkv": "matroska", "webm": "matroska"}
# The decoders that may run: what cameras, phones and editors write, and well-tried code. Everything else stays shut.
VIDEO_DECODERS = ("h264", "hevc", "vp8", "vp9", "libdav1d", "av1", "mpeg4", "mpeg2video", "mjpeg", "prores")
AUDIO_DECODERS = (
    *("aac", "mp2", "mp2float", "mp3", "mp3float", "ac3", "eac3", "dca", "opus", "libopus", "vorbis", "flac", "alac"),
    *("amrnb", "amrwb", "adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt", "wmav2"),
    *("pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be"),
    *("pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_alaw", "pcm_mulaw"),
)
_BYTES_PER_PIXEL_AND_THREAD = 6  # measured with 10-bit HEVC: a thread holds two pictures beside the shared ones
_THREADS_BYTES = 400 << 20  # of memory for all threads together: eight of them at 3840x2160, two at 7680x4320


def video_track(container: InputContainer, limits: MediaLimits) -> VideoStream:
    """The track of pictures to be decoded. Raises ``InvalidMedia`` where there is none, or it asks for too much."""
    _check_tracks(container, limits)
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:  # the cover of a record is no film
            _check_video(stream, limits)
            return stream
    raise InvalidMedia("The file has no video track.")


def audio_track(container: InputContainer, limits: MediaLimits) -> AudioStream | None:
    """The first track of sound that can be decoded. Raises ``InvalidMedia`` where it asks for too much."""
    for stream in container.streams.audio:
        if stream.codec_context and stream.codec_context.name in AUDIO_DECODERS:
            _check_audio(stream, limits)
            return stream
    return None


def threads_for(video: VideoStream, wanted: int) -> int:
    """As many decoder threads as are wanted and as pictures of this size leave room for."""
    pixels = video.codec_context.width * video.codec_context.height
    return max(1, min(wanted, max(2, _THREADS_BYTES // (_BYTES_PER_PIXEL_AND_THREAD * pixels))))


def _check_tracks(container: InputContainer, limits: MediaLimits) -> None:
    decodable = len(container.streams.video) + len(container.streams.audio)
    others = len(container.streams) - decodable
    if decodable > limits.max_streams:
        raise InvalidMedia(f"The file has {decodable} tracks of pictures and sound; {limits.max_streams} is the most.")
    if others > limits.max_other_streams:
        raise InvalidMedia(
            f"The file has {others} tracks beside pictures and sound; {limits.max_other_streams} is the most."
        )


def _check_video(video: VideoStream, limits: MediaLimits) -> None:
    # PyAV opens decoders of its own, which FFmpeg's codec_whitelist does not bind: so the name is looked at here.
    name = video.codec_context.name if video.codec_context else "an unknown codec"
    if name not in VIDEO_DECODERS:
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


def _check_audio(audio: AudioStream, limits: MediaLimits) -> None:
    rate, channels = audio.codec_context.sample_rate or 0, audio.codec_context.channels
    if rate > limits.max_sample_rate:
        raise InvalidMedia(f"The sound claims {rate} samples a second; {limits.max_sample_rate} is the most.")
    if channels > limits.max_channels:
        raise InvalidMedia(f"The sound claims {channels} channels; {limits.max_channels} is the most.")


_LEEWAY_SECONDS = 10  # for the rate of pictures, which in an honest file may burst
_AUDIO_PACKETS_PER_SECOND = 1000
_FIELDS = 2  # of a picture, each of which may come in a packet of its own

AnyPacket: TypeAlias = "Packet[Stream]"  # not generic where it runs


class PacketBounds:
    """Passes packets on for as long as they stay within what a film may be."""

    def __init__(self, video: Stream, limits: MediaLimits) -> None:
        self._video = video
        self._limits = limits
        self._seconds_per_tick = float(video.time_base or 0)
        self._first_tick: int | None = None
        self._pictures = 0
        self._pieces_of_sound = 0

    def checked(self, packets: Iterator[AnyPacket]) -> Iterator[AnyPacket]:
        """Raises ``InvalidMedia`` where there are more pictures or more sound than any film of the longest may have."""
        most_sound = _AUDIO_PACKETS_PER_SECOND * self._limits.max_duration_seconds
        for packet in packets:
            if packet.stream is self._video:
                self._count_picture(packet)
            else:
                self._pieces_of_sound += 1
                if self._pieces_of_sound > most_sound:
                    raise InvalidMedia("The sound of the file is longer than any video that is accepted.")
            yield packet

    def _count_picture(self, packet: AnyPacket) -> None:
        self._pictures += 1
        elapsed_seconds = self._elapsed_seconds(packet)
        if self._pictures > _FIELDS * self._limits.max_frame_rate * (elapsed_seconds + _LEEWAY_SECONDS):
            raise InvalidMedia(
                f"The file has {self._pictures} pictures in {elapsed_seconds:.1f} seconds;"
                f" {self._limits.max_frame_rate} a second is the most."
            )

    def _elapsed_seconds(self, packet: AnyPacket) -> float:
        """Of the film, at most the longest: so the pictures are bounded where stamps are missing or absurd, too."""
        tick = packet.dts if packet.dts is not None else packet.pts
        if tick is None or not self._seconds_per_tick:
            return float(self._limits.max_duration_seconds)
        self._first_tick = tick if self._first_tick is None else self._first_tick
        elapsed_seconds = (tick - self._first_tick) * self._seconds_per_tick
        return min(max(elapsed_seconds, 0.0), float(self._limits.max_duration_seconds))
