"""What a file says of itself, held against the allow-lists and the limits before anything of it is decoded."""

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from clipzy_worker.errors import InvalidMedia
from clipzy_worker.media.request import MediaLimits

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
