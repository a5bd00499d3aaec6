"""Where the audio ends, from its packets, so that it is the same whether they are decoded or not."""

import struct
from fractions import Fraction

from av.audio.stream import AudioStream
from av.packet import Packet

# As where audio is placed on the timeline: what lies further ahead follows a gap, and what goes back follows the last.
_TOLERANCE_SECONDS = Fraction(3, 100)
_SKIPPED_SAMPLES = struct.Struct("<II")  # at the beginning of a packet, and at its end


class AudioEnd:
    """Takes every packet of one audio track. ``of_clock`` is in seconds of the container's clock, ``None`` before the
    first packet."""

    def __init__(self) -> None:
        self.of_clock: Fraction | None = None

    def add(self, packet: "Packet[AudioStream]", *, not_after: Fraction) -> None:
        """A timestamp that is later than ``not_after`` is ignored."""
        if packet.is_discard:  # left out by an edit list
            return
        tick = Fraction(packet.time_base or 0)
        begin = packet.pts * tick if packet.pts is not None and tick else None
        length = max((packet.duration or 0) * tick, Fraction(0))
        if self.of_clock is None:
            self.of_clock = (begin if begin is not None and begin <= not_after else Fraction(0)) + length
        elif begin is None or not self.of_clock - _TOLERANCE_SECONDS <= begin <= not_after:
            self.of_clock += length
        else:
            self.of_clock = max(begin + length, self.of_clock)
