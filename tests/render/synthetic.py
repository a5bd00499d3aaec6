"""Pictures and sound of which each moment can be told from every other, written by the real writer."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from clipzy_storage.models.clip_options import VideoCodec
from clipzy_worker.render.encoder import VideoFormat
from clipzy_worker.render.mp4_writer import SOUND_RATE_HZ, Mp4Writer, Written

NTSC = Fraction(30_000, 1001)
SIZE = (128, 72)


def video_format(codec: VideoCodec = "h264", *, is_variable: bool = False) -> VideoFormat:
    return VideoFormat(codec, "standard", *SIZE, NTSC, Fraction(1, 90_000) if is_variable else 1 / NTSC)


def picture(number: int) -> NDArray[np.uint8]:
    """Y, U and V below each other: blocks that move by 7 pixels a picture."""
    width, height = SIZE
    blocks = np.random.default_rng(5).integers(40, 200, (height // 8, width // 8), dtype=np.uint8)
    luma = np.roll(blocks.repeat(8, axis=0).repeat(8, axis=1), 7 * number, axis=1)
    return np.concatenate((luma, np.full((height // 2, width), 128, np.uint8)))


def noise(samples: int) -> NDArray[np.float32]:
    """Stereo, of a level that AAC keeps well."""
    white = np.random.default_rng(7).standard_normal((2, samples + 8)).astype(np.float32)
    return np.asarray(sum(white[:, shift : shift + samples] for shift in range(8)) / 30, np.float32)


def write(
    path: Path, video: VideoFormat, durations: Sequence[int], *, has_sound: bool = True, first: int = 0
) -> Written:
    """A picture for each duration, from the picture numbered ``first`` on, and sound for as long as they last."""
    samples = round(sum(durations) * video.time_base * SOUND_RATE_HZ)
    sound = noise(samples)
    with Mp4Writer(path, video, has_sound=has_sound, threads=2) as writer:
        pts = fed = 0
        for number, duration in enumerate(durations, start=first):
            frame = VideoFrame.from_ndarray(picture(number), format="yuv420p")
            writer.picture(frame, pts=pts, duration=duration)
            pts += duration
            until = round(pts * video.time_base * SOUND_RATE_HZ)
            if has_sound:
                writer.sound(sound[:, fed:until])
            fed = until
    return writer.written
