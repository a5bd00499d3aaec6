"""When somebody speaks."""

import numpy as np

from clipzy_worker.analysers.audio.gap_filling import Continuity, joined
from clipzy_worker.analysers.audio.silero import WINDOW, VoiceNetwork
from clipzy_worker.analysers.base import SAMPLE_RATE_HZ, Block, Samples

_BATCH = 128 * WINDOW
_WINDOW_SECONDS = WINDOW / SAMPLE_RATE_HZ
_LATE_SECONDS = 0.03  # by which the network answers: it must have heard some of a word
_SPEAKS, _FALLS_SILENT = 0.5, 0.35  # its makers' choice
_BREATH_SECONDS = 0.2
_SHORTEST_SECONDS = 0.2
_INAUDIBLE = 1e-3  # 60 dB under full scale
_DECIMALS = 3


class SpeechDetector:
    """A listener. After ``finish``, ``speech`` lists the stretches with speech, from 0 to the film's end, and
    ``speech_ratio`` is their share of the time of which there is sound."""

    def __init__(self) -> None:
        self.speech: list[dict[str, float]] = []
        self.speech_ratio = 0.0
        self._continuity = Continuity()
        self._network = VoiceNetwork()
        self._waiting: list[Samples] = []
        self._count = 0
        self._now = 0.0  # when the first waiting sample sounds
        self._since: float | None = None  # when the one who speaks began
        self._spans: list[tuple[float, float]] = []
        self._runs: list[tuple[float, float]] = []  # of sound

    def process(self, block: Block) -> None:
        heard = self._continuity.follow(block)
        if heard.begins_seconds is not None:
            self._end_run()
            self._now = heard.begins_seconds
            self._runs.append((self._now, self._now))
        self._waiting.append(heard.samples)
        self._count += len(heard.samples)
        if self._count >= _BATCH:
            self._hear(whole=False)

    def finish(self, end_seconds: float) -> None:
        self._end_run()
        spans = _clipped([span for span in self._spans if span[1] - span[0] >= _SHORTEST_SECONDS], end_seconds)
        heard = sum(end - start for start, end in _clipped(self._runs, end_seconds))
        self.speech = [
            {"start_seconds": round(start, _DECIMALS), "end_seconds": min(round(end, _DECIMALS), end_seconds)}
            for start, end in spans
        ]
        self.speech_ratio = min(sum(end - start for start, end in spans) / heard, 1.0) if heard else 0.0

    def _end_run(self) -> None:
        if self._count:
            self._hear(whole=True)
        self._close(self._now)
        self._network = VoiceNetwork()

    def _hear(self, *, whole: bool) -> None:
        """All windows that are complete; with ``whole`` also the last one, with silence after it."""
        samples = joined(self._waiting)
        rest = len(samples) % WINDOW
        left = samples[len(samples) - rest :]
        samples = np.pad(samples, (0, WINDOW - rest)) if whole and rest else samples[: len(samples) - rest]
        for probability in self._probabilities(samples):
            self._decide(float(probability))
            self._now += _WINDOW_SECONDS
        if whole:
            self._now -= (WINDOW - rest) / SAMPLE_RATE_HZ if rest else 0.0
        self._waiting, self._count = ([], 0) if whole else ([left], rest)
        self._runs[-1] = (self._runs[-1][0], self._now)

    def _probabilities(self, samples: Samples) -> Samples:
        if np.abs(samples).max(initial=0) >= _INAUDIBLE:
            return self._network.hear(samples)
        self._network = VoiceNetwork()
        return np.zeros(len(samples) // WINDOW, dtype=np.float32)

    def _decide(self, probability: float) -> None:
        if self._since is None and probability >= _SPEAKS:
            self._since = self._now - _LATE_SECONDS
        elif probability < _FALLS_SILENT:
            self._close(self._now - _LATE_SECONDS)

    def _close(self, seconds: float) -> None:
        """Nobody speaks from now on; a pause that is no longer than a breath is none."""
        if self._since is None:
            return
        if self._spans and 0 <= self._since - self._spans[-1][1] <= _BREATH_SECONDS:
            self._spans[-1] = self._spans[-1][0], seconds
        else:
            self._spans.append((self._since, seconds))
        self._since = None


def _clipped(spans: list[tuple[float, float]], end_seconds: float) -> list[tuple[float, float]]:
    """What of these lies in the film, in order and without overlaps."""
    found: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        start, end = max(start, found[-1][1] if found else 0.0), min(end, end_seconds)
        if end > start:
            found.append((start, end))
    return found
