"""The network of Silero VAD 6.2 (https://github.com/snakers4/silero-vad, MIT), computed by numpy.

Its weights, as published by its makers, lie beside this file; ``silero_weights.md`` says where they come from. The
network hears windows of 32 ms, each with the last 4 ms before it: the magnitudes of four short Fourier transforms,
four convolutions over them, then a long short-term memory from window to window. All but the memory is computed for
many windows at once, so that it costs a small part of what libraries take that hear window by window.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from clipzy_worker.analysers.base import Samples

WINDOW = 512

_WEIGHTS = Path(__file__).with_name("silero_weights.npz")
_CONTEXT = 64
_FOURIER, _FOURIER_STEP = 256, 128
_STEPS = (1, 2, 2, 1)  # of the convolutions
_CELLS = 128


@dataclass(frozen=True)
class _Weights:
    fourier: Samples
    kernels: tuple[Samples, ...]
    biases: tuple[Samples, ...]
    into_cells: Samples
    from_cells: Samples
    cell_bias: Samples
    out: Samples
    out_bias: float


class VoiceNetwork:
    """Remembers what it has heard; a new one has heard nothing."""

    def __init__(self) -> None:
        self._weights = _weights()
        self._context = np.zeros(_CONTEXT, dtype=np.float32)
        self._output = np.zeros(_CELLS, dtype=np.float32)
        self._cells = np.zeros(_CELLS, dtype=np.float32)

    def hear(self, samples: Samples) -> Samples:
        """How probable speech is in each window that follows; ``samples`` are whole windows, at 16 kHz."""
        heard = self._remember(self._features(samples) @ self._weights.into_cells + self._weights.cell_bias)
        sums = np.maximum(heard, 0) @ self._weights.out + self._weights.out_bias
        return np.asarray(1 / (1 + np.exp(-sums)), dtype=np.float32)

    def _features(self, samples: Samples) -> Samples:
        with_context = np.concatenate([self._context, samples])
        self._context = samples[-_CONTEXT:]
        windows = np.lib.stride_tricks.sliding_window_view(with_context, WINDOW + _CONTEXT)[::WINDOW]
        mirrored = np.concatenate([windows, windows[:, -2 : -_CONTEXT - 2 : -1]], axis=1)
        values = _magnitudes(mirrored, self._weights.fourier)
        for kernel, bias, step in zip(self._weights.kernels, self._weights.biases, _STEPS, strict=True):
            values = _convolved(values, kernel, bias, step)
        return values[:, 0]

    def _remember(self, inputs: Samples) -> Samples:
        """Gates are in the order in, forget, out, new; the first three are halved in the weights, so that
        one hyperbolic tangent serves all: sigmoid(x) = (1 + tanh(x / 2)) / 2."""
        found = np.empty((len(inputs), _CELLS), dtype=np.float32)
        gates, output, cells = np.empty(4 * _CELLS, dtype=np.float32), self._output, self._cells
        opened, new = gates[: 3 * _CELLS], gates[3 * _CELLS :]
        let_in, kept, let_out = opened.reshape(3, _CELLS)
        for given, output_now in zip(inputs, found, strict=True):
            np.dot(output, self._weights.from_cells, out=gates)
            gates += given
            np.tanh(gates, out=gates)
            opened += 1
            opened *= 0.5
            new *= let_in
            cells = cells * kept
            cells += new
            np.tanh(cells, out=output_now)
            output_now *= let_out
            output = output_now
        self._output, self._cells = output.copy(), cells
        return found


def _magnitudes(windows: Samples, fourier: Samples) -> Samples:
    """By window, step and frequency."""
    pieces = np.lib.stride_tricks.sliding_window_view(windows, _FOURIER, axis=1)[:, ::_FOURIER_STEP]
    parts = pieces.reshape(-1, _FOURIER) @ fourier
    cosines, sines = np.split(parts, 2, axis=1)
    return np.asarray(np.sqrt(np.square(cosines) + np.square(sines)).reshape(len(windows), -1, _FOURIER // 2 + 1))


def _convolved(values: Samples, kernel: Samples, bias: Samples, step: int) -> Samples:
    """Over three neighbours in time, nothing beyond the ends; negative sums become 0."""
    count, length, _ = values.shape
    padded = np.pad(values, ((0, 0), (1, 1), (0, 0)))
    near = np.stack([padded[:, at : at + 3].reshape(count, -1) for at in range(0, length, step)], axis=1)
    sums = near.reshape(-1, near.shape[2]) @ kernel + bias
    return np.asarray(np.maximum(sums, 0).reshape(count, near.shape[1], -1))


@cache
def _weights() -> _Weights:
    with np.load(_WEIGHTS, allow_pickle=False) as stored:
        names = range(len(_STEPS))
        halved = np.where(np.arange(4 * _CELLS) < 3 * _CELLS, 0.5, 1.0).astype(np.float32)
        return _Weights(
            fourier=_fourier(),
            kernels=tuple(stored[f"kernel{n}"] for n in names),
            biases=tuple(stored[f"bias{n}"] for n in names),
            into_cells=stored["into_cells"] * halved,
            from_cells=stored["from_cells"] * halved,
            cell_bias=stored["cell_bias"] * halved,
            out=stored["out"],
            out_bias=float(stored["out_bias"]),
        )


def _fourier() -> Samples:
    """Cosines, then sines, under a Hann window: what the makers' first layer holds."""
    at = np.arange(_FOURIER)[:, None]
    angles = 2 * np.pi * at * np.arange(_FOURIER // 2 + 1) / _FOURIER
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * at / _FOURIER)
    return np.asarray(np.concatenate([np.cos(angles), -np.sin(angles)], axis=1) * hann, dtype=np.float32)
