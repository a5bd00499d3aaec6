"""One decode pass over the sound, heard by all of its analysers, beside the pictures."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.packet import Packet

from clipzy_worker.analyse.base import SAMPLE_RATE_HZ, Block, Listener
from clipzy_worker.media.clock import Clock
from clipzy_worker.media.request import MediaRequest


class Sound:
    """Decodes packets of one audio track as they come, and lets every listener hear them.

    Damage is skipped where decoding can go on; ``damaged_packets`` counts it. ``origin`` is the stamp of the film's
    beginning, in seconds of the container's own clock.
    """

    def __init__(self, stream: AudioStream, *, origin: Fraction, clock: Clock, request: MediaRequest) -> None:
        self.stream = stream
        self.artifacts: list[dict[str, Any]] = []
        self._request = request
        self.damaged_packets = 0
        self._origin = origin
        self._clock = clock
        self._resampler = AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
        self._listeners: dict[str, Listener] = {}

    def take(self, packet: "Packet[AudioStream] | None") -> None:
        """Decode the next packet of this track; ``None`` asks for what the decoder still holds."""
        for frame in self._decoded(packet):
            self._hear(frame)

    def finish(self, end_seconds: float) -> None:
        self.take(None)
        for name, listener in self._listeners.items():
            with self._clock.charged(name):
                listener.finish(end_seconds)

    def result(self) -> dict[str, Any] | None:
        """The ``audio`` of ``output.json``; to be asked after ``finish``."""
        return None

    def _hear(self, frame: AudioFrame) -> None:
        for block in self._blocks(frame):
            for name, listener in self._listeners.items():
                with self._clock.charged(name):
                    listener.process(block)

    def _blocks(self, frame: AudioFrame) -> Iterator[Block]:
        for mono in self._resampler.resample(frame):
            at = mono.pts * Fraction(mono.time_base) if mono.pts is not None and mono.time_base else self._origin
            yield Block(float(at - self._origin), np.asarray(mono.to_ndarray(), dtype=np.float32).reshape(-1))

    def _decoded(self, packet: "Packet[AudioStream] | None") -> list[AudioFrame]:
        try:
            return self.stream.codec_context.decode(packet)
        except av.error.EOFError:
            return []
        except av.error.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            self.damaged_packets += 1
            return []
