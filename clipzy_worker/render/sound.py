"""Sections of the audio, decoded again: exact to the sample, stereo at 48 kHz."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from clipzy_worker.analysers.base import Samples
from clipzy_worker.decode.audio_index import AudioIndex
from clipzy_worker.render.fades import faded
from clipzy_worker.render.sound_reader import SoundReader
from clipzy_worker.render.stereo import RATE_HZ
from clipzy_worker.sandbox.request import MediaRequest

Seconds = Fraction | float


class Soundtrack:
    """The audio track that the analysis decodes.

    ``zero`` is time 0 of a player's clock on the container's. ``index`` is that of a pass over the whole track; without
    it there is one more pass here, at once. ``channels`` is the most that it has, 0 if nothing can be decoded.

    Raises:
        InvalidMedia: it has more samples than the limits allow.
        StorageUnavailable: the file cannot be read.
    """

    def __init__(self, request: MediaRequest, *, zero: Fraction, index: AudioIndex | None = None) -> None:
        self._reader = SoundReader(request, zero=zero, index=index)
        self.channels = self._reader.index.channels

    def section(
        self, start_seconds: Seconds, end_seconds: Seconds, *, fade_in: bool = False, fade_out: bool = False
    ) -> "SoundSection":
        """Fades are for ends where the audio goes on."""
        start, end = (round(Fraction(seconds) * RATE_HZ) for seconds in (start_seconds, end_seconds))
        return SoundSection(self, range(start, end), fade_in=fade_in, fade_out=fade_out)

    def goes_on_at(self, seconds: Seconds) -> bool:
        """Whether more than a part of a frame follows."""
        return self.channels > 0 and self._reader.index.last_seconds >= seconds

    def blocks(self, samples: range) -> Iterator[Samples]:
        """The samples of this range, counted from time 0, in blocks (2, n) of up to 1 s. Silence where there are none.

        The same whatever the range begins with, but for codecs that never forget what was before.
        """
        at = samples.start
        with contextlib.closing(self._reader.blocks(samples)) as found:
            for begin, block in found:
                yield from _silence(begin - at)
                yield from (block[:, i : i + RATE_HZ] for i in range(0, block.shape[1], RATE_HZ))
                at = begin + block.shape[1]
        yield from _silence(samples.stop - at)


@dataclass(frozen=True)
class SoundSection(Iterable[Samples]):
    """Each iteration decodes it anew, in blocks (2, n) of up to 1 s, which have ``len(samples)`` samples in all."""

    soundtrack: Soundtrack
    samples: range
    fade_in: bool
    fade_out: bool

    @property
    def is_mixed(self) -> bool:
        """Whether more than two channels become two, which may exceed full scale."""
        return self.soundtrack.channels > 2

    def __iter__(self) -> Iterator[Samples]:
        blocks = self.soundtrack.blocks(self.samples)
        return faded(blocks, len(self.samples), fade_in=self.fade_in, fade_out=self.fade_out)


def _silence(samples: int) -> Iterator[Samples]:
    for begin in range(0, samples, RATE_HZ):
        yield np.zeros((2, min(samples - begin, RATE_HZ)), np.float32)
