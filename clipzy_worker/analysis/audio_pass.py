"""The decode pass over the audio, next to that over the video: it feeds every audio analyser."""

from collections.abc import Mapping
from fractions import Fraction

import av.error
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet

from clipzy_storage.models.analysis import ArtifactFile
from clipzy_storage.models.measurements import Audio
from clipzy_worker.analysers.audio.bass import Bass
from clipzy_worker.analysers.audio.beats import Beats
from clipzy_worker.analysers.audio.chunk import Chunk, MultichannelAnalyser
from clipzy_worker.analysers.audio.silences import Silences
from clipzy_worker.analysers.audio.speech import SpeechDetector
from clipzy_worker.analysers.audio.true_peak import TruePeak
from clipzy_worker.analysers.audio.waveform import Waveform
from clipzy_worker.analysers.base import MonoAnalyser, MonoBlock
from clipzy_worker.analysis.artifacts import write_audio_artifacts
from clipzy_worker.analysis.timings import StageTimer
from clipzy_worker.decode.audio import ChunkCutter
from clipzy_worker.decode.audio_index import AudioIndex
from clipzy_worker.decode.input_limits import check_audio_samples
from clipzy_worker.decode.k_weighting import Loudness
from clipzy_worker.decode.mono import MonoMixer
from clipzy_worker.decode.other_audio import SILENT_DBFS
from clipzy_worker.sandbox.request import MediaRequest

_LEVEL_DECIMALS = 2
_RATIO_DECIMALS = 4


class AudioPass:
    """Decodes the packets of one audio track and feeds the analysers: some with every channel at the recorded rate,
    some with a mono mix at 16 kHz.

    Damage is skipped where decoding can go on; ``damaged_packets`` counts it. ``origin`` is where a player's clock
    starts, in seconds of the container's. Call ``flush`` after the last packet. ``artifacts`` lists the files written,
    after ``finish``. ``extra_analysers`` are fed with the mono mix, too.
    """

    def __init__(
        self,
        stream: AudioStream,
        *,
        origin: Fraction,
        timer: StageTimer,
        request: MediaRequest,
        extra_analysers: Mapping[str, MonoAnalyser] | None = None,
    ) -> None:
        self.stream = stream
        self.artifacts: list[ArtifactFile] = []
        self.damaged_packets = 0
        self._samples, self._limits = 0, request.limits
        self._timer, self._out_directory = timer, request.out_directory
        self._cutter = ChunkCutter(origin=float(origin), limit_seconds=request.limits.max_duration_seconds)
        self._mixer = MonoMixer()
        self._first: Chunk | None = None
        self._loudness, self._true_peak, self._waveform = Loudness(), TruePeak(), Waveform()
        self._silences = Silences(request.config.silence)
        self._multichannel_analysers: dict[str, MultichannelAnalyser] = {
            "loudness": self._loudness,
            "true_peak": self._true_peak,
            "silences": self._silences,
            "waveform": self._waveform,
        }
        self._bass, self._beats, self._speech = Bass(), Beats(), SpeechDetector()
        self._mono_analysers: dict[str, MonoAnalyser] = {
            "bass": self._bass,
            "beats": self._beats,
            "voice": self._speech,
            **(extra_analysers or {}),
        }

    def set_origin(self, origin: Fraction) -> None:
        """Correct ``origin``, now that a frame has been decoded. Must precede the first packet."""
        self._cutter.origin = float(origin)

    def process(self, packet: "Packet[AudioStream] | None") -> None:
        """Decode the next packet of this track; ``None`` flushes the decoder.

        Raises ``InvalidMedia`` if there are more samples than the limits allow.
        """
        for frame in self._decoded(packet):
            self._samples += frame.samples * frame.layout.nb_channels
            check_audio_samples(self._samples, self._limits)
            for chunk in self._cut(frame):
                self._process_chunk(chunk)

    @property
    def index(self) -> AudioIndex:
        """Where the frames lie, to decode a part of them again; complete after ``flush``."""
        return self._cutter.index

    @property
    def is_silent(self) -> bool:
        """Whether its peaks stay below what other tracks are heard at; call it after ``finish``."""
        peak_dbtp = self._true_peak.dbtp
        return peak_dbtp is None or peak_dbtp < SILENT_DBFS

    def flush(self) -> None:
        self.process(None)
        for chunk in self._cutter.flush():
            self._process_chunk(chunk)
        for block in self._mixer.flush():
            self._process_block(block)

    def finish(self, end_seconds: float) -> None:
        """Raises ``OSError`` if an artifact cannot be written."""
        for name, analyser in (self._multichannel_analysers | self._mono_analysers).items():
            with self._timer.charged(name):
                analyser.finish(end_seconds)
        if self._first is not None:
            with self._timer.charged("waveform"):
                self.artifacts = write_audio_artifacts(
                    self._out_directory, self._waveform, self._loudness.meter, end_seconds=end_seconds
                )

    def result(self) -> Audio | None:
        """Call it after ``finish``. ``None`` if nothing could be decoded."""
        if self._first is None:
            return None
        meter = self._loudness.meter
        return Audio(
            channels=len(self._first.channels),
            sample_rate_hz=self._first.rate_hz,
            integrated_lufs=_rounded(meter.integrated_lufs),
            loudness_range_lu=_rounded(meter.range_lu),
            true_peak_dbtp=_rounded(self._true_peak.dbtp),
            max_momentary_lufs=_rounded(meter.max_momentary_lufs),
            max_short_term_lufs=_rounded(meter.max_short_term_lufs),
            tempo_bpm=_rounded(self._beats.tempo_bpm),
            beats=self._beats.beats,
            silences=self._silences.spans,
            speech=self._speech.spans,
            speech_ratio=round(self._speech.ratio, _RATIO_DECIMALS),
            bass_percent=_rounded(self._bass.percent),
        )

    def _process_chunk(self, chunk: Chunk) -> None:
        self._first = self._first or chunk
        for name, analyser in self._multichannel_analysers.items():
            with self._timer.charged(name):
                analyser.process(chunk)
        with self._timer.charged("mono"):
            blocks = list(self._mixer.blocks(chunk))
        for block in blocks:
            self._process_block(block)

    def _process_block(self, block: MonoBlock) -> None:
        for name, analyser in self._mono_analysers.items():
            with self._timer.charged(name):
                analyser.process(block)

    def _cut(self, frame: AudioFrame) -> list[Chunk]:
        try:
            return list(self._cutter.chunks(frame))
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


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, _LEVEL_DECIMALS)
