"""Reads a rendered file back and compares it with what was asked for. One that differs is never published."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from clipzy_worker.analysers.base import Pixels
from clipzy_worker.decode.mp4_boxes import Box, header_boxes
from clipzy_worker.decode.source import open_container
from clipzy_worker.errors import InvalidMedia, RenderFailed
from clipzy_worker.render.encoder import TAGS
from clipzy_worker.render.mp4_writer import SOUND_RATE_HZ, Written
from clipzy_worker.render.small_grey import psnr_db, small_grey
from clipzy_worker.sandbox.request import MediaRequest

_LEAST_PSNR_DB = 30.0
# Code points of ITU-T H.273, and limited range as FFmpeg counts ranges.
_BT709, _LIMITED = 1, 1
# What the encoder of sound needs to begin with. Edit lists leave it out.
_PRIMING_SAMPLES = 1024
_EDIT_LIST = {0: struct.Struct(">IiHH"), 1: struct.Struct(">QqHH")}


@dataclass(frozen=True)
class _Edit:
    """The only segment of a track's edit list; ``ticks`` is its length, of which ``SOUND_RATE_HZ`` are a second."""

    ticks: int
    media_time: int
    rate: tuple[int, int]


def verify(path: Path, written: Written, request: MediaRequest) -> None:
    """Count pictures and samples, compare the first and the last picture with those that were encoded, and check the
    order of the boxes, edit lists, size and tags.

    Raises:
        RenderFailed: the file is not what was asked for; the text says in what, without a path.
        StorageUnavailable: it cannot be read.
    """
    try:
        _check_boxes(path, written)
        with open_container(replace(request, source=path, container="mp4")) as (container, _size, _encrypted):
            _check_tracks(container, written)
            _check_pictures(container, written)
    except (InvalidMedia, av.error.FFmpegError, struct.error) as error:
        raise RenderFailed("A rendered file cannot be read again.") from error


def _check_boxes(path: Path, written: Written) -> None:
    """``ftyp`` and ``moov`` come first, and each track has one edit of the right length."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        boxes = list(header_boxes(descriptor))
        kinds = [box.kind for box in boxes]
        _expect(kinds[:2] == [b"ftyp", b"moov"], "its header does not come first")
        edits = [_edit(descriptor, box) for box in boxes if box.kind == b"elst"]
    finally:
        os.close(descriptor)
    lengths = [written.end_seconds * SOUND_RATE_HZ] + ([Fraction(written.samples)] if written.has_sound else [])
    _expect(len(edits) == len(lengths) == kinds.count(b"trak"), "it has other tracks")
    for edit, length in zip(edits, lengths, strict=True):
        _expect(edit.rate == (1, 0) and 0 <= edit.ticks - length < 1, "its edit list has another length")
    if written.has_sound:
        _expect(edits[1].media_time == _PRIMING_SAMPLES, "its sound begins elsewhere")


def _edit(file: int, box: Box) -> _Edit:
    content = os.pread(file, box.end - box.start, box.start)
    version, count = content[0], int.from_bytes(content[4:8], "big")
    _expect(count == 1 and version in _EDIT_LIST, "it has another edit list")
    ticks, media_time, *rate = _EDIT_LIST[version].unpack_from(content, 8)
    return _Edit(ticks, media_time, (rate[0], rate[1]))


def _check_tracks(container: InputContainer, written: Written) -> None:
    video = container.streams.video[0]
    decoder = video.codec_context
    _expect(decoder.codec_tag == TAGS[written.codec], "it has another codec")
    _expect((decoder.width, decoder.height) == written.size, "it has another size")
    _expect(not (decoder.width % 2 or decoder.height % 2), "its size is odd")
    _expect(decoder.format is not None and decoder.format.name == "yuv420p", "it has another pixel format")
    _expect(video.sample_aspect_ratio == 1, "its pixels are not square")
    colours = decoder.colorspace, decoder.color_primaries, decoder.color_trc
    _expect(all(one == _BT709 for one in colours) and decoder.color_range == _LIMITED, "it has other colour tags")


def _check_pictures(container: InputContainer, written: Written) -> None:
    video = container.streams.video[0]
    sound = container.streams.audio[0] if written.has_sound else None
    counted = _counted(container, video, sound)
    _expect(counted.pictures == written.pictures, f"it has {counted.pictures} pictures instead of {written.pictures}")
    if sound is not None:
        spare = counted.samples - written.samples
        _expect(0 <= spare < 3 * _PRIMING_SAMPLES, "it has another number of samples")
        _expect(sound.duration == written.samples, "its sound has another length")
    container.seek(counted.last_key, stream=video)
    # FFmpeg begins with the key frame before, if the first picture waits longer to be shown than this one.
    last = [frame for frame in _decoded(container, video) if (frame.pts or 0) >= counted.last_key]
    _expect(len(last) == counted.pictures_since_key, "its end cannot be decoded")
    _compare(last[-1:], written.last, "last")
    container.seek(0, stream=video)
    _compare(list(_first(_decoded(container, video))), written.first, "first")


@dataclass
class _Counted:
    pictures: int = 0
    samples: int = 0
    last_key: int = 0
    pictures_since_key: int = 0


def _counted(container: InputContainer, video: VideoStream, sound: AudioStream | None) -> _Counted:
    found = _Counted()
    for packet in container.demux([video, *([sound] if sound else [])]):
        if not packet.size:
            continue
        if packet.stream is sound:
            found.samples += packet.duration or 0
            continue
        found.pictures += 1
        if packet.is_keyframe:
            found.last_key, found.pictures_since_key = packet.pts or 0, 0
        found.pictures_since_key += 1
    return found


def _decoded(container: InputContainer, video: VideoStream) -> Iterator[VideoFrame]:
    for packet in container.demux(video):
        yield from video.codec_context.decode(packet)


def _first(frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    for frame in frames:
        yield frame
        return


def _compare(found: list[VideoFrame], expected: Pixels | None, name: str) -> None:
    if expected is None:
        return
    _expect(bool(found), f"its {name} picture cannot be decoded")
    _expect(psnr_db(small_grey(found[0]), expected) > _LEAST_PSNR_DB, f"its {name} picture is another")


def _expect(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise RenderFailed(f"A rendered file is not what was asked for: {otherwise}.")
