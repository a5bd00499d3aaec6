"""Small valid videos, and copies in which bytes are changed, moved, repeated or lost."""

import random
from pathlib import Path

from tests.support.media.clips import ffmpeg

_X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
_X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none")
_DV = ("-c:v", "dvvideo", "-r", "25", "-s", "720x576", "-t", "0.12")
_DNXHR = ("-c:v", "dnxhd", "-profile:v", "dnxhr_lb", "-pix_fmt", "yuv422p", "-s", "256x128")
_CINEFORM = ("-c:v", "cfhd", "-pix_fmt", "yuv422p10le", "-s", "64x64")
_H263 = ("-c:v", "h263", "-s", "128x96")
_FFV1 = ("-c:v", "ffv1", "-level", "3", "-slices", "4")
# Options of ffmpeg by container and codec. Small frames, since they take most of the time.
ENCODINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "mp4": {
        "h264": (*_X264, "-c:a", "aac"),
        "h264, fragmented": (*_X264, "-movflags", "frag_keyframe+delay_moov", "-c:a", "ac3"),
        "hevc": (*_X265, "-c:a", "alac"),
        "av1": ("-c:v", "libsvtav1", "-preset", "12", "-c:a", "aac"),
        "vp9": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"),
        "mpeg4": ("-c:v", "mpeg4", "-c:a", "aac"),
        "mpeg1video": ("-c:v", "mpeg1video", "-r", "25", "-c:a", "mp2"),
        "h263": (*_H263, "-c:a", "aac", "-f", "3gp"),
    },
    "mov": {
        "mjpeg": ("-c:v", "mjpeg", "-c:a", "pcm_s16be", "-pix_fmt", "yuvj420p", "-strict", "unofficial"),
        "prores": ("-c:v", "prores_ks", "-profile:v", "0", "-c:a", "pcm_s24le"),
        "dvvideo": (*_DV, "-c:a", "pcm_s16le"),
        "dnxhd": (*_DNXHR, "-c:a", "pcm_s16le"),
        "cfhd": (*_CINEFORM, "-c:a", "pcm_s16le"),
        "ffv1": (*_FFV1, "-pix_fmt", "bgr0", "-c:a", "pcm_s16le"),
    },
    "avi": {
        "mpeg4": ("-c:v", "mpeg4", "-bf", "2", "-c:a", "libmp3lame"),
        "mjpeg": ("-c:v", "mjpeg", "-c:a", "pcm_u8", "-pix_fmt", "yuvj422p", "-strict", "unofficial"),
        "mpeg2video": ("-c:v", "mpeg2video", "-r", "25", "-c:a", "adpcm_ms"),
        "dvvideo": (*_DV, "-c:a", "pcm_s16le"),
        "cfhd": (*_CINEFORM, "-c:a", "pcm_s16le"),
        "mpeg1video": ("-c:v", "mpeg1video", "-r", "25", "-c:a", "mp2"),
        "h263": (*_H263, "-c:a", "libmp3lame"),
        "ffv1": ("-c:v", "ffv1", "-level", "1", "-c:a", "pcm_s16le"),
        "msmpeg4": ("-c:v", "msmpeg4", "-vtag", "DIV3", "-c:a", "libmp3lame"),
    },
    "mkv": {
        "h264": (*_X264, "-c:a", "flac"),
        "mpeg2video": ("-c:v", "mpeg2video", "-r", "25", "-c:a", "eac3"),
        "hevc": (*_X265, "-c:a", "libvorbis"),
        "dnxhd": (*_DNXHR, "-c:a", "pcm_s16le"),
        "ffv1": (*_FFV1, "-pix_fmt", "yuv422p10le", "-c:a", "flac"),
        "msmpeg4": ("-c:v", "msmpeg4", "-c:a", "libmp3lame"),
    },
    "webm": {
        "vp9": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"),
        "vp8": ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libvorbis"),
        "av1": ("-c:v", "libsvtav1", "-preset", "12", "-c:a", "libopus"),
    },
}
_SOURCES = (
    *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=12:duration=1.5"),
    *("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=1.5"),
)
_EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\1", b"\0\1\0\0")
_HEAD_BYTES = 1500
_MANY_CHANGES = 400


def write_mutations(directory: Path, container: str, codec: str, *, count: int) -> None:
    """Write ``count`` different files into ``directory``; the same in every run."""
    original = _original(directory.parent, container, codec)
    directory.mkdir()
    for seed in range(count):
        chance = random.Random(f"{container} {codec} {seed}")
        (directory / f"{seed:04}").write_bytes(mutated(original, chance))


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One to three kinds of damage, in the head, the tail or anywhere."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        data = chance.choice(_DAMAGES)(data, chance)
    return data


def _original(directory: Path, container: str, codec: str) -> bytes:
    path = directory / f"original.{container}"
    ffmpeg(*_SOURCES, *ENCODINGS[container][codec], str(path))
    return path.read_bytes()


def _offset(data: bytes, chance: random.Random) -> int:
    head = range(min(_HEAD_BYTES, len(data)))
    tail = range(max(0, len(data) - _HEAD_BYTES), len(data))  # where many videos have their index
    return chance.choice(chance.choice((head, tail, range(len(data))))) if data else 0


def _bytes_changed(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 10, _MANY_CHANGES))):
        changed[_offset(data, chance)] = chance.randrange(256)
    return bytes(changed)


def _bits_flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 10, 100))):
        changed[_offset(data, chance)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _number_exaggerated(data: bytes, chance: random.Random) -> bytes:
    at = _offset(data, chance)
    return data[:at] + chance.choice(_EXTREMES) + data[at + 4 :]


def _piece_lost(data: bytes, chance: random.Random) -> bytes:
    at = _offset(data, chance)
    return data[:at] + data[at + chance.choice((1, 7, 64, 1000)) :]


def _piece_repeated(data: bytes, chance: random.Random) -> bytes:
    at, length = _offset(data, chance), chance.choice((8, 64, 1000))
    return data[: at + length] + data[at : at + length] * chance.choice((1, 3, 50)) + data[at + length :]


def _piece_blanked(data: bytes, chance: random.Random) -> bytes:
    at, length = _offset(data, chance), chance.choice((16, 256, 4000))
    return data[:at] + bytes(min(length, len(data) - at)) + data[at + length :]


def _cut_off(data: bytes, chance: random.Random) -> bytes:
    return data[: _offset(data, chance) + 1]


def _pieces_swapped(data: bytes, chance: random.Random) -> bytes:
    first, second = sorted((_offset(data, chance), _offset(data, chance)))
    length = min(chance.choice((4, 64, 500)), second - first)
    one, other = data[first : first + length], data[second : second + length]
    return data[:first] + other + data[first + len(one) : second] + one + data[second + len(other) :]


_DAMAGES = (
    _bytes_changed,
    _bits_flipped,
    _number_exaggerated,
    _number_exaggerated,
    _piece_lost,
    _piece_repeated,
    _piece_blanked,
    _cut_off,
    _pieces_swapped,
)
