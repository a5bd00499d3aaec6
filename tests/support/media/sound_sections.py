"""Sections of the audio as they are rendered, and a sound by which the place of each of its moments is known."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipzy_worker.analysis.audio_pass import AudioPass
from clipzy_worker.analysis.demux import DemuxPass
from clipzy_worker.analysis.timings import StageTimer
from clipzy_worker.decode.audio_index import AudioIndex
from clipzy_worker.decode.source import open_source
from clipzy_worker.render.sound import Soundtrack
from clipzy_worker.sandbox.request import MediaRequest
from tests.support.media.sounds import RATE_HZ, Wave

Rendered = NDArray[np.float32]  # (2, samples) at 48 kHz

_MAX_LAG_SAMPLES = 3000


def chirp(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """A tone that rises from 200 Hz by 800 Hz a second, at these times; nothing before 0."""
    return np.asarray(0.4 * np.sin(2 * np.pi * (200 * times + 400 * times**2)) * (times >= 0))


def chirps(seconds: float, *, rate_hz: int = RATE_HZ, channels: int = 2) -> Wave:
    return np.tile(chirp(np.arange(round(seconds * rate_hz)) / rate_hz), (channels, 1))


def request_for(path: Path) -> MediaRequest:
    return MediaRequest(path, path.suffix[1:], path.parent)


def zero_of(path: Path) -> Fraction:
    """Time 0 of a player's clock, as the analysis finds it."""
    request = request_for(path)
    with open_source(request) as source:
        demux = DemuxPass(source, limits=request.limits, audio=None, timer=StageTimer())
        for _ in demux:
            pass
        return demux.zero


def soundtrack_of(path: Path, *, index: AudioIndex | None = None) -> Soundtrack:
    return Soundtrack(request_for(path), zero=zero_of(path), index=index)


def index_of(path: Path) -> AudioIndex:
    """Where the audio's frames lie, as the analysis finds it."""
    request = request_for(path)
    with open_source(request) as source:
        assert source.audio is not None
        audio = AudioPass(source.audio, origin=source.start, timer=StageTimer(), request=request)
        for _ in DemuxPass(source, limits=request.limits, audio=audio, timer=StageTimer()):
            pass
        return audio.index


def joined_blocks(blocks: Iterable[Rendered]) -> Rendered:
    """All samples; none if there are no blocks."""
    return np.concatenate([np.zeros((2, 0), np.float32), *blocks], axis=1)


def lag_samples(found: NDArray[np.float32], *, begins_seconds: float) -> int:
    """By how many samples the chirp in it is late, if it should be at so many seconds of the chirp."""
    size = 1 << (len(found) + 2 * _MAX_LAG_SAMPLES).bit_length()
    around = np.arange(-_MAX_LAG_SAMPLES, len(found) + _MAX_LAG_SAMPLES) / RATE_HZ + begins_seconds
    spectrum = np.fft.rfft(chirp(around), size) * np.conj(np.fft.rfft(found, size))
    return _MAX_LAG_SAMPLES - int(np.argmax(np.fft.irfft(spectrum, size)[: 2 * _MAX_LAG_SAMPLES + 1]))
