"""K-weighting of every channel by FFmpeg's filters, and the loudness meter over their sum."""

import math
from fractions import Fraction

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.filter.graph import Graph

from clipzy_worker.analysers.audio.channels import loudness_weights
from clipzy_worker.analysers.audio.chunk import Chunk
from clipzy_worker.analysers.audio.loudness import LoudnessMeter
from clipzy_worker.analysers.base import Samples

_SHELF_HZ, _SHELF_GAIN_DB, _SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
_SHELF_BAND_EXPONENT = 0.4996667741545416
_PASS_HZ, _PASS_Q = 38.13547087602444, 0.5003270373238773
# By number of channels. The filters need named channels; which names does not matter.
_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "6.0", "7.0")
# PyAV miscounts the planes of a frame that has more.
_MAX_CHANNELS = len(_LAYOUTS)


class Loudness:
    """A ``MultichannelAnalyser``; ``meter`` has the results."""

    def __init__(self) -> None:
        self.meter = LoudnessMeter()
        self._format: tuple[int, tuple[str, ...]] | None = None
        self._weights = np.empty(0)
        self._filters: list[KWeighting] = []

    def process(self, chunk: Chunk) -> None:
        if self._format != (chunk.rate_hz, chunk.channels):
            self._begin(chunk)
        counted = chunk.samples[self._weights > 0]
        parts = [counted[i : i + _MAX_CHANNELS] for i in range(0, len(counted), _MAX_CHANNELS)]
        weighted = [part.filtered(samples) for part, samples in zip(self._filters, parts, strict=True)]
        powers = np.concatenate([chunk.mean_square(samples) for samples in weighted])
        self.meter.add(chunk.first_hop, self._weights[self._weights > 0] @ powers)

    def finish(self, end_seconds: float) -> None: ...

    def _begin(self, chunk: Chunk) -> None:
        self._format = chunk.rate_hz, chunk.channels
        self._weights = np.array(loudness_weights(chunk.channels))
        counted = int(np.count_nonzero(self._weights))
        sizes = [min(_MAX_CHANNELS, counted - i) for i in range(0, counted, _MAX_CHANNELS)]
        self._filters = [KWeighting(chunk.rate_hz, channels) for channels in sizes]


class KWeighting:
    """The two filters of ITU-R BS.1770-5, annex 1, for up to 7 channels of gapless audio.

    The standard has coefficients for 48 kHz only; those for other rates are of the same analogue filters by the
    bilinear transform, whose parameters are Brecht De Man's ("Evaluation of implementations of the EBU R128
    loudness measurement", AES 145, 2018) and give the standard's numbers at 48 kHz.
    """

    def __init__(self, rate_hz: int, channels: int) -> None:
        self._layout = AudioLayout(_LAYOUTS[channels - 1])
        self._rate_hz = rate_hz
        self._samples_sent = 0
        self._graph = Graph()
        source = self._graph.add_abuffer(
            format="fltp", sample_rate=rate_hz, layout=self._layout, time_base=Fraction(1, rate_hz)
        )
        filters = [self._graph.add("biquad", _arguments(each)) for each in (_shelf(rate_hz), _pass(rate_hz))]
        self._graph.link_nodes(source, *filters, self._graph.add("abuffersink")).configure()

    def filtered(self, samples: Samples) -> Samples:
        """As many samples as were given; the state of the filters continues from call to call."""
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", self._layout)
        frame.sample_rate, frame.pts, frame.time_base = self._rate_hz, self._samples_sent, Fraction(1, self._rate_hz)
        self._samples_sent += frame.samples
        self._graph.push(frame)
        weighted = self._graph.pull()
        if not isinstance(weighted, AudioFrame):
            raise TypeError(f"the audio filter returned a {type(weighted).__name__}")
        return np.asarray(weighted.to_ndarray(), np.float32)


def _shelf(rate_hz: int) -> tuple[float, ...]:
    """Numerator and denominator of the pre-filter, which models the head."""
    k = math.tan(math.pi * _SHELF_HZ / rate_hz)
    high = 10 ** (_SHELF_GAIN_DB / 20)
    band = high**_SHELF_BAND_EXPONENT
    numerator = (high + band * k / _SHELF_Q + k * k, 2 * (k * k - high), high - band * k / _SHELF_Q + k * k)
    return *numerator, *_denominator(k, _SHELF_Q)


def _pass(rate_hz: int) -> tuple[float, ...]:
    """Numerator and denominator of the high-pass filter (RLB); its gain is that of the standard."""
    k = math.tan(math.pi * _PASS_HZ / rate_hz)
    a0, a1, a2 = _denominator(k, _PASS_Q)
    return 1.0, -2.0, 1.0, 1.0, a1 / a0, a2 / a0


def _denominator(k: float, q: float) -> tuple[float, float, float]:
    return 1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k


def _arguments(coefficients: tuple[float, ...]) -> str:
    # Single precision in the direct form is within 0.01 dB of double up to 384 kHz, in half the time.
    names = ("b0", "b1", "b2", "a0", "a1", "a2")
    values = ":".join(f"{name}={value!r}" for name, value in zip(names, coefficients, strict=True))
    return f"{values}:precision=f32:transform=di"
