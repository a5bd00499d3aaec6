"""Whether the audio tracks that are not analysed have signal: samples at a few moments of each, at a bounded cost."""

from collections.abc import Iterator
from typing import Any

import av.error
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard

from clipzy_worker.decode.input_limits import AUDIO_DECODERS, is_accepted
from clipzy_worker.decode.source import Source, open_container
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.request import MediaRequest

SILENT_DBFS = -70.0
"""A track whose peaks stay below is silent. The gate of loudness is as low."""

_MAX_TRACKS = 8
_MOMENTS = 24
_PACKETS_PER_MOMENT = 4
# While one track has its packets, others may have none at that moment.
_MAX_PACKETS_READ_PER_TRACK = 16


def other_tracks_with_signal(request: MediaRequest, source: Source) -> dict[int, bool]:
    """For the number of each other audio track, from 1, whether one of its samples has signal.

    Tracks that cannot be decoded are left out, and so are those past the eighth.
    """
    if len(source.audio_tracks) < 2:
        return {}
    try:
        with open_container(request) as (container, _size_bytes, encrypted):
            others = {
                stream.index: _Track(number, stream)
                for number, stream in enumerate(container.streams.audio, 1)
                if is_accepted(stream, AUDIO_DECODERS)
                and stream.index not in encrypted
                and not (source.audio and stream.index == source.audio.index)
            }
            others = dict(list(others.items())[:_MAX_TRACKS])
            for stream in container.streams:
                if stream.index not in others:
                    stream.discard = Discard.all
            _sample(container, others, seconds=source.declared_seconds or 0.0)
    except (av.error.FFmpegError, InvalidMedia):
        return {}
    return {track.number: track.has_signal for track in others.values() if track.samples}


class _Track:
    def __init__(self, number: int, stream: AudioStream) -> None:
        self.number, self.stream = number, stream
        self.has_signal = False
        self.samples = 0
        self._packed = AudioResampler(format="flt")

    def take(self, packet: "Packet[AudioStream]") -> None:
        try:
            for frame in self.stream.codec_context.decode(packet):
                for part in self._packed.resample(frame):
                    values = part.to_ndarray()
                    self.samples += values.size
                    peak = float(np.abs(values).max(initial=0.0))
                    self.has_signal = self.has_signal or peak >= 10 ** (SILENT_DBFS / 20)
        except (av.error.FFmpegError, ValueError):
            return  # the first packet after a jump may need those before it


def _sample(container: InputContainer, tracks: dict[int, _Track], *, seconds: float) -> None:
    for moment in range(_MOMENTS):
        silent = {index: 0 for index, track in tracks.items() if not track.has_signal}
        if not silent:
            return
        if moment:
            container.seek(int(seconds * moment / _MOMENTS * av.time_base))
        for packet in _some_packets(container, tracks):
            if packet.stream_index in silent and packet.size:
                silent[packet.stream_index] += 1
                tracks[packet.stream_index].take(packet)
            if all(count >= _PACKETS_PER_MOMENT for count in silent.values()):
                break


def _some_packets(container: InputContainer, tracks: dict[int, _Track]) -> "Iterator[Packet[AudioStream]]":
    packets: Iterator[Any] = container.demux([track.stream for track in tracks.values()])
    for _, packet in zip(range(_MAX_PACKETS_READ_PER_TRACK * len(tracks)), packets, strict=False):
        yield packet
