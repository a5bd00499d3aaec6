"""How much of a file is read, whatever it says of itself: its packets are counted as they come."""

from collections.abc import Iterator
from typing import TypeAlias

from av.packet import Packet
from av.stream import Stream

from clipzy_worker.errors import InvalidMedia
from clipzy_worker.media.request import MediaLimits

_LEEWAY_SECONDS = 10  # for the rate of pictures, which in an honest file may burst
_AUDIO_PACKETS_PER_SECOND = 1000
_FIELDS = 2  # of a picture, each of which may come in a packet of its own

AnyPacket: TypeAlias = "Packet[Stream]"  # not generic where it runs


class PacketBounds:
    """Passes packets on for as long as they stay within what a film may be."""

    def __init__(self, video: Stream, limits: MediaLimits) -> None:
        self._video = video
        self._limits = limits
        self._seconds_per_tick = float(video.time_base or 0)
        self._first_tick: int | None = None
        self._pictures = 0
        self._pieces_of_sound = 0

    def checked(self, packets: Iterator[AnyPacket]) -> Iterator[AnyPacket]:
        """Raises ``InvalidMedia`` where there are more pictures or more sound than any film of the longest may have."""
        most_sound = _AUDIO_PACKETS_PER_SECOND * self._limits.max_duration_seconds
        for packet in packets:
            if packet.stream is self._video:
                self._count_picture(packet)
            else:
                self._pieces_of_sound += 1
                if self._pieces_of_sound > most_sound:
                    raise InvalidMedia("The sound of the file is longer than any video that is accepted.")
            yield packet

    def _count_picture(self, packet: AnyPacket) -> None:
        self._pictures += 1
        elapsed_seconds = self._elapsed_seconds(packet)
        if self._pictures > _FIELDS * self._limits.max_frame_rate * (elapsed_seconds + _LEEWAY_SECONDS):
            raise InvalidMedia(
                f"The file has {self._pictures} pictures in {elapsed_seconds:.1f} seconds;"
                f" {self._limits.max_frame_rate} a second is the most."
            )

    def _elapsed_seconds(self, packet: AnyPacket) -> float:
        """Of the film, at most the longest: so the pictures are bounded where stamps are missing or absurd, too."""
        tick = packet.dts if packet.dts is not None else packet.pts
        if tick is None or not self._seconds_per_tick:
            return float(self._limits.max_duration_seconds)
        self._first_tick = tick if self._first_tick is None else self._first_tick
        elapsed_seconds = (tick - self._first_tick) * self._seconds_per_tick
        return min(max(elapsed_seconds, 0.0), float(self._limits.max_duration_seconds))
