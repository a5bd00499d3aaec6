"""Joins segments of a video by copying their packets. They are not decoded, and their times are given anew."""

from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from clipzy_worker.decode.source import open_container
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.render.output_frames import OutputFrames
from clipzy_worker.sandbox.request import MediaRequest


@dataclass(frozen=True)
class Segment:
    """A file that can be joined, the parameters of its encoder, and the place on screen of each packet, from 0 on."""

    path: Path
    parameters: bytes
    places: Sequence[int]

    @property
    def depth(self) -> int:
        """The most places by which a picture comes later in the file than on screen."""
        return max(number - place for number, place in enumerate(self.places))


@contextmanager
def open_segment(path: Path, request: MediaRequest) -> Iterator[InputContainer]:
    """Raises ``InvalidMedia``, ``StorageUnavailable``."""
    with open_container(replace(request, source=path, container="mp4")) as (container, _size, _encrypted):
        yield container


def read_segment(path: Path, request: MediaRequest, *, pictures: int) -> Segment | None:
    """What is known of a segment, which is read to its end; None if it has another number of pictures, or is damaged.

    Raises ``StorageUnavailable``.
    """
    try:
        with open_segment(path, request) as container:
            video = container.streams.video[0]
            packets = [(packet.pts, packet.is_keyframe) for packet in container.demux(video) if packet.size]
            parameters = bytes(video.codec_context.extradata or b"")
    except (InvalidMedia, av.error.FFmpegError, IndexError):
        return None
    shown = {pts: place for place, pts in enumerate(sorted(pts for pts, _ in packets if pts is not None))}
    if not (len(packets) == len(shown) == pictures and packets[0][1]):
        return None
    return Segment(path, parameters, array("i", (shown[pts or 0] for pts, _ in packets)))


def joined_packets(
    segments: Sequence[Segment], request: MediaRequest, output: OutputFrames
) -> Iterator["Packet[VideoStream]"]:
    """The packets of all segments in the order of decoding, with the times of the whole video."""
    depth, first = max(segment.depth for segment in segments), 0
    # Some are decoded before the first one is shown. FFmpeg misses a key frame that is decoded later before it is shown
    # than the first one.
    step = min((output.duration_of(picture) for picture in range(len(output) - 1)), default=1)
    for segment in segments:
        for number, packet in enumerate(_packets(segment, request)):
            picture, decoded = first + segment.places[number], first + number - depth
            packet.time_base = output.time_base
            packet.pts, packet.duration = output.stamps[picture], output.duration_of(picture)
            packet.dts = output.stamps[decoded] if decoded >= 0 else output.stamps[0] + decoded * step
            yield packet
        first += len(segment.places)


def _packets(segment: Segment, request: MediaRequest) -> "Iterator[Packet[Any]]":
    with open_segment(segment.path, request) as container:
        yield from (packet for packet in container.demux(container.streams.video[0]) if packet.size)
