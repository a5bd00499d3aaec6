"""Where the audio ends, from its packets, so that it is the same whether they are decoded or not."""

import struct
from fractions import Fraction

from av.audio.stream import AudioStream
from av.packet import Packet

# As where audio is placed on the timeline: what lies further ahead follows a gap, and what goes back follows the last.
_TOLERANCE_SECONDS = Fraction(3, 100)
_SKIPPED_SAMPLES = struct.Struct("<II")  # at the beginning of a packet, and at its end


class AudioEnd:
    """Takes every packet of one audio track. A timestamp that is later than ``not_after``, in seconds of the
    container's clock, is ignored."""

    def __init__(self, audio: AudioStream | None, *, not_after: Fraction) -> None:
        # Counted in the track's unit: fractions are slow for so many packets.
        self._tick = (audio.time_base if audio else None) or Fraction(1)
        self._latest, self._tolerance = not_after // self._tick, _TOLERANCE_SECONDS // self._tick
        self._end: int | None = None

    @property
    def of_clock(self) -> Fraction | None:
        """In seconds of the container's clock; ``None`` before the first packet."""
        return None if self._end is None else self._end * self._tick

    def add(self, packet: "Packet[AudioStream]") -> None:
        if packet.is_discard:  # left out by an edit list
            return
        begin, length = packet.pts, max(packet.duration or 0, 0)
        if self._end is None:
            self._end = (begin if begin is not None and begin <= self._latest else 0) + length
        elif begin is None or not self._end - self._tolerance <= begin <= self._latest:
            self._end += length
        else:
            self._end = max(begin + length, self._end)
