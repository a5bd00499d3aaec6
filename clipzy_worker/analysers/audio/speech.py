"""Voice activity detection."""

import numpy as np

from clipzy_storage.models.measurements import Span
from clipzy_worker.analysers.audio.gap_filling import GapFiller, joined
from clipzy_worker.analysers.audio.silero import WINDOW_SAMPLES, SileroNetwork
from clipzy_worker.analysers.base import SAMPLE_RATE_HZ, MonoBlock, Samples

_BATCH_SAMPLES = 128 * WINDOW_SAMPLES
_WINDOW_SECONDS = WINDOW_SAMPLES / SAMPLE_RATE_HZ
# The network needs the beginning of a word to detect it.
_LATENCY_SECONDS = 0.03
# The values that Silero recommends.
_START_PROBABILITY, _END_PROBABILITY = 0.5, 0.35
_MAX_PAUSE_SECONDS = 0.2
_MIN_SPEECH_SECONDS = 0.2
# 60 dB below full scale.
_INAUDIBLE_AMPLITUDE = 1e-3
_DECIMALS = 3


class SpeechDetector:
    """A ``MonoAnalyser``. After ``finish``, ``spans`` are the sections with speech, from 0 to the end of the video, and
    ``ratio`` is their share of the time with audio."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.ratio = 0.0
        self._gap_filler = GapFiller()
        self._network = SileroNetwork()
        self._waiting: list[Samples] = []
        self._count = 0
        self._now = 0.0  # the time of the first waiting sample
        self._speech_since: float | None = None
        self._speech: list[tuple[float, float]] = []
        self._runs: list[tuple[float, float]] = []  # of audio

    def process(self, block: MonoBlock) -> None:
        run = self._gap_filler.fill(block)
        if run.begins_seconds is not None:
            self._end_run()
            self._now = run.begins_seconds
            self._runs.append((self._now, self._now))
        self._waiting.append(run.samples)
        self._count += len(run.samples)
        if self._count >= _BATCH_SAMPLES:
            self._detect(whole=False)

    def finish(self, end_seconds: float) -> None:
        self._end_run()
        spans = _clipped([span for span in self._speech if span[1] - span[0] >= _MIN_SPEECH_SECONDS], end_seconds)
        audio_seconds = sum(end - start for start, end in _clipped(self._runs, end_seconds))
        self.spans = [
            Span(start_seconds=round(start, _DECIMALS), end_seconds=min(round(end, _DECIMALS), end_seconds))
            for start, end in spans
        ]
        speech_seconds = sum(end - start for start, end in spans)
        self.ratio = min(speech_seconds / audio_seconds, 1.0) if audio_seconds else 0.0

    def _end_run(self) -> None:
        if self._count:
            self._detect(whole=True)
        self._close(self._now)
        self._network = SileroNetwork()

    def _detect(self, *, whole: bool) -> None:
        """Process all complete windows; with ``whole`` also the last one, padded with silence."""
        samples = joined(self._waiting)
        rest = len(samples) % WINDOW_SAMPLES
        left = samples[len(samples) - rest :]
        samples = np.pad(samples, (0, WINDOW_SAMPLES - rest)) if whole and rest else samples[: len(samples) - rest]
        for probability in self._probabilities(samples):
            self._decide(float(probability))
            self._now += _WINDOW_SECONDS
        if whole:
            self._now -= (WINDOW_SAMPLES - rest) / SAMPLE_RATE_HZ if rest else 0.0
        self._waiting, self._count = ([], 0) if whole else ([left], rest)
        self._runs[-1] = (self._runs[-1][0], self._now)

    def _probabilities(self, samples: Samples) -> Samples:
        if np.abs(samples).max(initial=0) >= _INAUDIBLE_AMPLITUDE:
            return self._network.speech_probabilities(samples)
        self._network = SileroNetwork()
        return np.zeros(len(samples) // WINDOW_SAMPLES, dtype=np.float32)

    def _decide(self, probability: float) -> None:
        if self._speech_since is None and probability >= _START_PROBABILITY:
            self._speech_since = self._now - _LATENCY_SECONDS
        elif probability < _END_PROBABILITY:
            self._close(self._now - _LATENCY_SECONDS)

    def _close(self, seconds: float) -> None:
        """End the open section, if any; one that follows the last after a short pause is merged into it."""
        if self._speech_since is None:
            return
        if self._speech and 0 <= self._speech_since - self._speech[-1][1] <= _MAX_PAUSE_SECONDS:
            self._speech[-1] = self._speech[-1][0], seconds
        else:
            self._speech.append((self._speech_since, seconds))
        self._speech_since = None


def _clipped(spans: list[tuple[float, float]], end_seconds: float) -> list[tuple[float, float]]:
    """The parts of these spans within the video, in order and without overlaps."""
    found: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        start, end = max(start, found[-1][1] if found else 0.0), min(end, end_seconds)
        if end > start:
            found.append((start, end))
    return found
