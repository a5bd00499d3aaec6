"""Rendered files as other programs see them: decoded by the packaged ffmpeg, and box by box."""

import math
import struct
import subprocess
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Sound = NDArray[np.float32]


def pictures_of(path: Path, *, size: tuple[int, int], filters: str = "null") -> Grey:
    """The luma of every picture, of shape (pictures, height, width); ``filters`` come before."""
    width, height = size
    graph = f"{filters},format=yuv420p,extractplanes=y"
    raw = _decoded(path, "-map", "0:v:0", "-vf", graph, "-fps_mode", "passthrough", "-f", "rawvideo")
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width)


def sound_of(path: Path, *arguments: str) -> Sound:
    """The audio in stereo at 48 kHz, of shape (2, samples)."""
    raw = _decoded(path, "-map", "0:a:0", *arguments, "-ac", "2", "-ar", "48000", "-f", "f32le")
    return np.frombuffer(raw, np.float32).reshape(-1, 2).T


def boxes_of(path: Path) -> list[str]:
    """The kinds of the outer boxes, in order."""
    data, at, kinds = path.read_bytes(), 0, []
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        kinds.append(kind.decode())
        at += size or len(data)
    return kinds


def psnr_db(one: NDArray[Any], other: NDArray[Any]) -> float:
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return 10 * math.log10(255**2 / max(error, 1e-9))


def lag_of(sound: Sound, reference: Sound) -> int:
    """By how many samples the first channel comes later than that of the reference, of the same length."""
    count = min(sound.shape[1], reference.shape[1])
    one, other = (np.fft.rfft(samples[0, :count], 2 * count) for samples in (sound, reference))
    correlation = np.fft.irfft(one * np.conj(other))
    lag = int(np.argmax(correlation))
    return lag if lag < count else lag - 2 * count


def _decoded(path: Path, *arguments: str) -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(path), *arguments, "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout
