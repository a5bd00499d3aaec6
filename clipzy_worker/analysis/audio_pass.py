"""One decode pass over the sound, heard by all of its analysers, beside the pictures."""

from fractions import Fraction
from typing import Any

import av.error
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet

from clipzy_worker.analysers.audio.bass import Bass
from clipzy_worker.analysers.audio.beats import Beats
from clipzy_worker.analysers.audio.chunk import Chunk, MultichannelAnalyser
from clipzy_worker.analysers.audio.silences import Silences
from clipzy_worker.analysers.audio.speech import SpeechDetector
from clipzy_worker.analysers.audio.true_peak import TruePeak
from clipzy_worker.analysers.audio.waveform import Waveform
from clipzy_worker.analysers.base import Block, MonoAnalyser
from clipzy_worker.analysis.artifacts import write_artifacts
from clipzy_worker.analysis.timings import Clock
from clipzy_worker.decode.audio import Chunks
from clipzy_worker.decode.k_weighting import Loudness
from clipzy_worker.decode.mono import Mono
from clipzy_worker.sandbox.request import MediaRequest

_DECIMALS = 2  # of levels, percentages, beats a minute
_SHARE_DECIMALS = 4


class Sound:
    """Decodes packets of one audio track as they come, and lets everybody hear them: some every channel as it is
    recorded, some a mono mix at 16 kHz.

    Damage is skipped where decoding can go on; ``damaged_packets`` counts it. ``origin`` is the stamp of the film's
    beginning, in seconds of the container's own clock. ``artifacts`` lists what was written, after ``finish``.
    """

    def __init__(self, stream: AudioStream, *, origin: Fraction, clock: Clock, request: MediaRequest) -> None:
        self.stream = stream
        self.artifacts: list[dict[str, Any]] = []
        self.damaged_packets = 0
        self._clock, self._out_folder = clock, request.out_folder
        self._chunks = Chunks(origin=origin, limit_seconds=request.limits.max_duration_seconds)
        self._mono = Mono()
        self._first: Chunk | None = None
        self._loudness, self._true_peak, self._waveform = Loudness(), TruePeak(), Waveform()
        self._silences = Silences(request.config.silence)
        self._hearers: dict[str, MultichannelAnalyser] = {
            "loudness": self._loudness,
            "true_peak": self._true_peak,
            "silences": self._silences,
            "waveform": self._waveform,
        }
        self._bass, self._beats, self._voice = Bass(), Beats(), SpeechDetector()
        self._listeners: dict[str, MonoAnalyser] = {"bass": self._bass, "beats": self._beats, "voice": self._voice}

    def begins_at(self, origin: Fraction) -> None:
        """The first picture has turned out to have this stamp; to be said before the first packet, if at all."""
        self._chunks.origin = origin

    def take(self, packet: "Packet[AudioStream] | None") -> None:
        """Decode the next packet of this track; ``None`` asks for what the decoder still holds."""
        for frame in self._decoded(packet):
            for chunk in self._cut(frame):
                self._hear(chunk)

    def finish(self, end_seconds: float) -> None:
        """Raises ``OSError`` where an artifact could not be written."""
        self.take(None)
        for chunk in self._chunks.flush():
            self._hear(chunk)
        for block in self._mono.flush():
            self._listen(block)
        self._true_peak.finish()
        self._silences.finish(end_seconds)
        for name, listener in self._listeners.items():
            with self._clock.charged(name):
                listener.finish(end_seconds)
        if self._first is not None:
            with self._clock.charged("waveform"):
                self.artifacts = write_artifacts(
                    self._out_folder, self._waveform, self._loudness.meter, end_seconds=end_seconds
                )

    def result(self) -> dict[str, Any] | None:
        """The ``audio`` of ``output.json``; to be asked after ``finish``. ``None`` where nothing could be decoded."""
        if self._first is None:
            return None
        meter = self._loudness.meter
        figures = {
            "integrated_lufs": meter.integrated_lufs,
            "loudness_range_lu": meter.range_lu,
            "true_peak_dbtp": self._true_peak.dbtp,
            "max_momentary_lufs": meter.max_momentary_lufs,
            "max_short_term_lufs": meter.max_short_term_lufs,
            "bass_percent": self._bass.percent,
            "tempo_bpm": self._beats.tempo_bpm,
        }
        return {
            "channels": len(self._first.channels),
            "sample_rate_hz": self._first.rate_hz,
            **{name: None if figure is None else round(figure, _DECIMALS) for name, figure in figures.items()},
            "beats": self._beats.beats,
            "silences": self._silences.spans,
            "speech": self._voice.speech,
            "speech_ratio": round(self._voice.speech_ratio, _SHARE_DECIMALS),
        }

    def _hear(self, chunk: Chunk) -> None:
        self._first = self._first or chunk
        for name, hearer in self._hearers.items():
            with self._clock.charged(name):
                hearer.hear(chunk)
        with self._clock.charged("mono"):
            blocks = list(self._mono.blocks(chunk))
        for block in blocks:
            self._listen(block)

    def _listen(self, block: Block) -> None:
        for name, listener in self._listeners.items():
            with self._clock.charged(name):
                listener.process(block)

    def _cut(self, frame: AudioFrame) -> list[Chunk]:
        try:
            return list(self._chunks.take(frame))
        except ValueError:
            self.damaged_packets += 1
            return []

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
