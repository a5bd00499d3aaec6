"""Sounds made sample by sample, videos that carry them, and what is measured of such a video."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipzy_storage.models.job_config import JobConfig, SilenceOptions
from clipzy_worker.sandbox.request import MediaRequest
from tests.support.media.analysis import analysed
from tests.support.media.clips import ffmpeg

RATE_HZ = 48_000

Wave = NDArray[np.float64]  # (channels, samples), full scale 1


def tone(
    seconds: float, dbfs: float, *, hz: float = 1000, rate_hz: int = RATE_HZ, channels: int = 2, degrees: float = 0
) -> Wave:
    """A sine in every channel, whose peak is at ``dbfs``."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = 10 ** (dbfs / 20) * np.sin(2 * np.pi * hz * time + np.radians(degrees))
    return np.tile(wave, (channels, 1))


def silence(seconds: float, *, rate_hz: int = RATE_HZ, channels: int = 2) -> Wave:
    return np.zeros((channels, round(seconds * rate_hz)))


def tapered(wave: Wave, *, seconds: float = 0.01, rate_hz: int = RATE_HZ) -> Wave:
    """Faded in and out."""
    ramp = np.minimum(np.arange(wave.shape[1]) / (seconds * rate_hz), 1)
    return wave * ramp * ramp[::-1]


def joined(*waves: Wave) -> Wave:
    return np.concatenate(waves, axis=1)


def film(
    path: Path,
    wave: Wave,
    *,
    rate_hz: int = RATE_HZ,
    layout: str | None = None,
    sound: tuple[str, ...] = ("-c:a", "pcm_f32le"),
    begins_seconds: float = 0.0,
    pictures_seconds: float | None = None,
) -> Path:
    """A video with this audio, as exactly as its container can have it; small frames, one a second or more.

    The audio begins when it should, before or after the first frame.
    """
    raw = path.with_suffix(".raw")
    raw.write_bytes(wave.T.astype("<f4").tobytes())
    shape = layout or {1: "mono", 2: "stereo"}[len(wave)]
    seconds = pictures_seconds if pictures_seconds is not None else max(wave.shape[1] / rate_hz, 0.04)
    pictures = f"color=gray:size=32x32:rate={25 if seconds < 10 else 1},trim=duration={seconds}"
    ffmpeg(
        *("-itsoffset", str(max(-begins_seconds, 0)), "-f", "lavfi", "-i", pictures),
        *("-f", "f32le", "-ar", str(rate_hz), "-ch_layout", shape, "-i", str(raw)),
        *("-af", f"asetpts=PTS+{max(begins_seconds, 0)}/TB"),
        *("-c:v", "libx264", "-preset", "ultrafast", *sound, str(path)),
    )
    raw.unlink()
    return path


def measured(path: Path, *, silences: SilenceOptions | None = None) -> dict[str, Any]:
    """All that a job finds in the video when it is asked for audio alone; the files lie beside it, in ``found``."""
    config = JobConfig(analyses=["audio"], silence=silences or SilenceOptions())
    out_directory = path.parent / "found"
    out_directory.mkdir(exist_ok=True)
    return analysed(MediaRequest(path, path.suffix[1:], out_directory, config))


def audio_of(path: Path) -> dict[str, Any]:
    """The ``audio`` of ``output.json``."""
    found = measured(path)["audio"]
    assert isinstance(found, dict)
    return found
