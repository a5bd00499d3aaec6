"""Reads the audio from any moment on as if it had been read from the beginning."""

import contextlib
import itertools
from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction

import av.error
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard

from clipzy_worker.analysers.audio.chunk import Chunk
from clipzy_worker.analysers.base import Samples
from clipzy_worker.decode.audio import ChunkCutter
from clipzy_worker.decode.audio_index import AudioIndex, AudioPlace
from clipzy_worker.decode.input_limits import DEMUXERS, audio_track, check_audio_samples, default_of, videos_of
from clipzy_worker.decode.source import check_readable, open_container
from clipzy_worker.render.stereo import RATE_HZ, StereoMixer
from clipzy_worker.sandbox.request import MediaRequest

# How far before a section its decoding begins. A place may be missed: some containers find the audio only by their
# video, and a decoder may return its first frames otherwise than in the middle. Then it begins further back.
_EARLY_SECONDS = (0.5, 8.0, 128.0)
# Before the place: what decoders need until its frame is as it was.
_PREROLL_SECONDS = Fraction(1, 4)


class SoundReader:
    """``index`` is as given, or of one pass over the whole track. ``zero`` is time 0 on the container's clock.

    Raises, with each method:
        InvalidMedia: there are more samples than the limits allow.
        StorageUnavailable: the file cannot be read.
    """

    def __init__(self, request: MediaRequest, *, zero: Fraction, index: AudioIndex | None) -> None:
        self._request, self._zero = request, zero
        self.index = self._scanned() if index is None else index

    def blocks(self, samples: range) -> Generator[tuple[int, Samples], None, None]:
        """What there is of these samples at 48 kHz, counted from time 0; each block with where it begins, in order."""
        for place in self._places_before(samples.start / RATE_HZ):
            with contextlib.closing(self._frames(place)) as frames:
                first = list(itertools.islice(frames, 1))
                if first or place is None:
                    yield from _within(samples, self._mixed(itertools.chain(first, frames), place))
                    return

    def _places_before(self, seconds: float) -> Iterator[AudioPlace | None]:
        """Where decoding may begin, the nearest first; ``None`` is the beginning of the file."""
        for early_seconds in _EARLY_SECONDS:
            if place := self.index.before(seconds - early_seconds):
                yield place
        yield None

    def _mixed(self, frames: Iterable[AudioFrame], place: AudioPlace | None) -> Iterator[tuple[int, Samples]]:
        mixer = StereoMixer()
        for chunk in _chunks(frames, self._cutter(place)):
            yield from mixer.blocks(chunk)
        yield from mixer.flush()

    def _scanned(self) -> AudioIndex:
        cutter = self._cutter(None)
        with contextlib.closing(self._frames(None)) as frames:
            for _ in _chunks(frames, cutter):
                pass
        return cutter.index

    def _cutter(self, place: AudioPlace | None) -> ChunkCutter:
        limit_seconds = self._request.limits.max_duration_seconds
        return ChunkCutter(origin=float(self._zero), limit_seconds=limit_seconds, first=place)

    def _frames(self, place: AudioPlace | None) -> Generator[AudioFrame, None, None]:
        """From the beginning of the file, or from this place on: none if that was missed."""
        with open_container(self._request) as (container, _size_bytes, encrypted):
            audio = audio_track(container, self._request.limits, encrypted=encrypted)
            if audio is None:
                return
            for stream in container.streams:
                if stream is not audio:
                    stream.discard = Discard.all
            decoded = self._decoded(container, audio)
            if place is None:
                yield from decoded
            elif self._sought(container, audio, place):
                yield from _from(place, decoded)

    def _sought(self, container: InputContainer, audio: AudioStream, place: AudioPlace) -> bool:
        # Matroska has an index of the video alone, as a rule, and reads from the beginning without one.
        by_video = DEMUXERS[self._request.container] == "matroska"
        stream = default_of(videos_of(container)) if by_video else audio
        tick_seconds, audio_tick_seconds = Fraction(stream.time_base or 1), Fraction(audio.time_base or 1)
        seconds = place.stamp * audio_tick_seconds - _PREROLL_SECONDS
        try:
            container.seek(int(seconds / tick_seconds), stream=stream)
        except av.error.FFmpegError:
            return False
        return True

    def _decoded(self, container: InputContainer, audio: AudioStream) -> Iterator[AudioFrame]:
        """Damage is left out, as in the analysis."""
        samples = 0
        for packet in itertools.chain(self._packets(container, audio), [None]):
            for frame in _frames_of(packet, audio):
                samples += frame.samples * frame.layout.nb_channels
                check_audio_samples(samples, self._request.limits)
                yield frame

    def _packets(self, container: InputContainer, audio: AudioStream) -> "Iterator[Packet[AudioStream]]":
        try:
            yield from (packet for packet in container.demux(audio) if packet.size)
        except av.error.FFmpegError as error:
            if isinstance(error, OSError):
                check_readable(self._request.source)


def _frames_of(packet: "Packet[AudioStream] | None", audio: AudioStream) -> list[AudioFrame]:
    try:
        return audio.codec_context.decode(packet)
    except av.error.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        return []


def _chunks(frames: Iterable[AudioFrame], cutter: ChunkCutter) -> Iterator[Chunk]:
    for frame in frames:
        with contextlib.suppress(ValueError):  # of a format that is not supported: left out like damage
            yield from cutter.chunks(frame)
    yield from cutter.flush()


def _from(place: AudioPlace, frames: Iterator[AudioFrame]) -> Iterator[AudioFrame]:
    for frame in frames:
        if frame.pts is None or frame.pts > place.stamp:
            return
        if frame.pts == place.stamp:
            yield frame
            break
    yield from frames


def _within(samples: range, blocks: Iterable[tuple[int, Samples]]) -> Iterator[tuple[int, Samples]]:
    for begin, block in blocks:
        if begin >= samples.stop:
            return
        early = max(samples.start - begin, 0)
        part = block[:, early : samples.stop - begin]
        if part.shape[1]:
            yield begin + early, part
