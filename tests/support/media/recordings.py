"""Files of sound, as the analysers hear them. Mono, 16 kHz."""

from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler

from tests.support.media.music import RATE, Sound


def heard(path: Path, *, seconds: float | None = None) -> Sound:
    """All of the file's first audio track, or its first ``seconds``."""
    resampler = AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(str(path)) as container:
        frames = [*container.decode(audio=0), None]
        pieces = [mono.to_ndarray().reshape(-1) for frame in frames for mono in resampler.resample(frame)]
    sound = np.asarray(np.concatenate(pieces), dtype=np.float32)
    return sound if seconds is None else sound[: round(seconds * RATE)]
