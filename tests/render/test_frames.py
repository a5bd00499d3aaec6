"""The frames of a section, decoded again, are the ones that the analysis counted: in every container, from anywhere."""

import itertools
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from clipzy_worker.decode.decoded_pixels import DecodedPixels
from clipzy_worker.decode.frame_index import FrameIndex
from clipzy_worker.errors import InvalidMedia, RenderFailed
from clipzy_worker.render.pictures import source_frames
from clipzy_worker.sandbox.request import MediaRequest
from tests.support.hostile.edit_lists import Edit, write_edits
from tests.support.media import geometries
from tests.support.media.clips import ffmpeg
from tests.support.media.frame_index import frame_index

Luma = NDArray[np.float64]

FRAMES, KEY_STEP = 60, 12
ENOUGH_DB, SHARP_DB = 30, 10
MANY_PIXELS = 10**12

H264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "2")
OPEN_GOP = f"open-gop=1:keyint={KEY_STEP}:min-keyint={KEY_STEP}:scenecut=0:bframes=2"
MPEG4 = ("-c:v", "mpeg4", "-q:v", "3", "-bf", "2")
MSMPEG4 = ("-c:v", "msmpeg4v3", "-q:v", "3")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "3", "-bf", "2")
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "800k")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", f"log-level=error:open-gop=1:keyint={KEY_STEP}")
STEPS = "setpts='if(lt(N,20),N,if(lt(N,40),20+(N-20)*3,81+(N-40)*2))/25/TB'"


def _late(path: Path, coded: Path) -> None:
    ffmpeg("-itsoffset", "4.7", "-i", str(coded), "-c", "copy", str(path))


def _edited(path: Path, coded: Path) -> None:
    write_edits(coded, [Edit(0.5), Edit(1.2, 1.01)], to=path)


def _turned(path: Path, coded: Path) -> None:
    ffmpeg("-display_rotation", "90", "-i", str(coded), "-c", "copy", str(path))


def _with_a_stamp_twice(path: Path, coded: Path) -> None:
    twice = "setts=dts=DTS-400:pts='if(eq(mod(N,15),7),PREV_OUTPTS,PTS)'"
    ffmpeg("-i", str(coded), "-c", "copy", "-bsf:v", twice, str(path))


def _with_key_frames_everywhere(path: Path, coded: Path) -> None:
    """As recorders write that leave out the table of key frames."""
    path.write_bytes(coded.read_bytes().replace(b"stss", b"free"))


def _with_an_index_of_key_frames(path: Path, coded: Path) -> None:
    """As of recorders that flag every frame as one. The decoder shows what it makes of the others."""
    data = bytearray(coded.read_bytes())
    begin = data.rindex(b"idx1")
    size_bytes = int.from_bytes(data[begin + 4 : begin + 8], "little")
    for entry in range(begin + 8, begin + 8 + size_bytes, 16):
        data[entry + 4] |= 0x10
    path.write_bytes(data)


@dataclass(frozen=True)
class Film:
    """How a file of 60 frames is made, and what is done with it then."""

    suffix: str
    coding: tuple[str, ...]
    rate: str = "25"
    pixels: str = "yuv420p"
    graph: str = "null"
    then: Callable[[Path, Path], None] | None = None
    options: tuple[str, ...] = field(default=())


FILMS = {
    "24, mp4": Film("mp4", H264, "24"),
    "29.97, mkv": Film("mkv", H264, "30000/1001"),
    "60, mov": Film("mov", H264, "60"),
    "variable, mp4": Film("mp4", H264, graph=STEPS, options=("-fps_mode", "vfr")),
    "variable, webm": Film("webm", VP9, graph=STEPS, options=("-fps_mode", "vfr")),
    "open gop, mp4": Film("mp4", (*H264, "-x264-params", OPEN_GOP)),
    "open gop, avi": Film("avi", (*H264, "-x264-params", OPEN_GOP)),
    "open gop, 10 bits, mkv": Film("mkv", HEVC, "24000/1001", "yuv420p10le"),
    "MPEG-4, avi": Film("avi", MPEG4),
    "MPEG-2, interlaced, mkv": Film("mkv", (*MPEG2, "-flags", "+ildct+ilme"), graph="setfield=tff"),
    "intra refresh, mp4": Film("mp4", (*H264, "-x264-params", f"intra-refresh=1:keyint={KEY_STEP}")),
    "4:2:2, mov": Film("mov", ("-c:v", "prores_ks"), pixels="yuv422p10le"),
    "fragments, mp4": Film("mp4", H264, options=("-movflags", "frag_keyframe+empty_moov")),
    "no index, mkv": Film("mkv", H264, options=("-live", "1")),
    "begins late, mkv": Film("mkv", H264, then=_late),
    "edited, mp4": Film("mp4", H264, then=_edited),
    "turned, mp4": Film("mp4", H264, then=_turned),
    "nothing but key frames by its header": Film("mp4", H264, then=_with_key_frames_everywhere),
    "nothing but key frames by its index": Film("avi", MSMPEG4, then=_with_an_index_of_key_frames),
    "a stamp twice, mkv": Film("mkv", (*H264, "-bf", "0"), then=_with_a_stamp_twice),
}


def made(name: str, directory: Path) -> Path:
    """A film that differs from frame to frame everywhere."""
    film = FILMS[name]
    source = f"testsrc2=size=40x24:rate={film.rate},trim=end_frame={FRAMES},noise=alls=60:allf=t,scale=160:96"
    source += f",{film.graph}"
    coding = ("-g", str(KEY_STEP), *film.coding, "-pix_fmt", film.pixels, *film.options)
    coded, path = directory / f"coded.{film.suffix}", directory / f"film.{film.suffix}"
    ffmpeg("-f", "lavfi", "-i", source, *coding, str(coded))
    if film.then is None:
        return coded
    film.then(path, coded)
    return path


def luma_of(frame: VideoFrame) -> Luma:
    """In levels of 8 bits."""
    plane, bits = frame.planes[0], frame.format.components[0].bits
    rows = np.frombuffer(memoryview(plane), "u1" if bits == 8 else "<u2").reshape(plane.height, -1)
    return rows[:, : plane.width].astype(np.float64) / (1 << bits - 8)


def all_frames(path: Path) -> list[Luma]:
    """Read from the beginning to the end, as nothing but FFmpeg does."""
    with av.open(str(path)) as container:
        return [luma_of(frame) for frame in container.decode(video=0)]


def psnr_db(one: Luma, other: Luma) -> float:
    error = float(np.mean((one - other) ** 2))
    return 10 * math.log10(255**2 / error) if error else 100


def found(request: MediaRequest, index: FrameIndex, frames: range) -> dict[int, Luma]:
    sections = source_frames(request, index, frames, decoded=DecodedPixels(MANY_PIXELS))
    return {number: luma_of(frame.decoded) for number, frame in sections}


def requested(path: Path) -> MediaRequest:
    return MediaRequest(path, path.suffix[1:], path.parent)


@pytest.mark.parametrize("name", FILMS)
def test_every_frame_is_the_asked_one(name: str, tmp_path: Path) -> None:
    # Given a film, and all of its frames
    path = made(name, tmp_path)
    request, truth = requested(path), all_frames(path)
    index = frame_index(request)
    assert len(index) == len(truth) > FRAMES // 2
    last = len(truth)

    # When sections are decoded: from the start, from a key frame, from between two, to the end, the last frame alone
    starts = [0, KEY_STEP, KEY_STEP + 1, 2 * KEY_STEP - 3, 2 * KEY_STEP + 5]
    for frames in [*(range(start, start + 4) for start in starts), range(last - 3, last), range(last - 1, last)]:
        pictures = found(request, index, frames)

        # Then each is the frame of its number, and neither of its neighbours
        assert list(pictures) == list(frames)
        for number, picture in pictures.items():
            likeness = psnr_db(picture, truth[number])
            assert likeness > ENOUGH_DB, (frames, number)
            for neighbour in {number - 1, number + 1} & set(range(last)):
                assert likeness > psnr_db(picture, truth[neighbour]) + SHARP_DB, (frames, number)


def test_sections_hold_what_a_damaged_file_has(tmp_path: Path) -> None:
    # Given a film of which a part is damaged, and what is decoded of it
    path = made("24, mp4", tmp_path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    path.write_bytes(data)
    request = requested(path)
    index = frame_index(request)
    whole = found(request, index, range(len(index)))

    # When sections are decoded that lie in the damage, Then they are the same as in all of it
    for start in range(20, len(index) - 4, 7):
        for number, picture in found(request, index, range(start, start + 4)).items():
            assert psnr_db(picture, whole[number]) > ENOUGH_DB


def test_frames_of_both_sizes_are_found_where_a_video_changes_its_size(tmp_path: Path) -> None:
    # Given a call that grows after a second
    vp8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "400k")
    parts = [
        geometries.chart(tmp_path / f"{size}.webm", *vp8, size=size, seconds=seconds)
        for size, seconds in (("160x90", 1), ("320x180", 1))
    ]
    request = requested(geometries.joined(parts, tmp_path / "call.webm"))
    # When a section across that moment is decoded
    sections = source_frames(request, frame_index(request), range(23, 27), decoded=DecodedPixels(MANY_PIXELS))
    # Then each frame has the size that it has there
    assert [frame.geometry.shown_size[0] for _, frame in sections] == [160, 160, 320, 320]


def test_a_frame_that_is_not_found_again_is_an_error(tmp_path: Path) -> None:
    # Given the index of a film that is another one
    path = made("24, mp4", tmp_path)
    index = frame_index(requested(path))
    other = FrameIndex()
    for frame in range(len(index)):
        stamp = index.stamp_of(frame)
        other.add(index.seconds_of(frame), 7 if frame == 30 or stamp is None else stamp)
    # When a section with the frame that differs is decoded, Then the frames before it are given, and then the error
    frames = source_frames(requested(path), other, range(28, 32), decoded=DecodedPixels(MANY_PIXELS))
    assert [number for number, _ in itertools.islice(frames, 2)] == [28, 29]
    with pytest.raises(RenderFailed, match="Frame 30"):
        next(frames)


def test_frames_without_stamps_are_counted_from_the_beginning(tmp_path: Path) -> None:
    # Given an index without stamps, as of a container that has none
    path = made("24, mp4", tmp_path)
    stamped, index = frame_index(requested(path)), FrameIndex()
    for frame in range(len(stamped)):
        index.add(stamped.seconds_of(frame))
    # When a section is decoded of a file whose frames do have stamps, Then none is taken for another
    with pytest.raises(RenderFailed):
        found(requested(path), index, range(30, 32))


def test_what_is_decoded_for_a_section_counts(tmp_path: Path) -> None:
    # Given a film, and a limit that is a third more than all of it
    path = made("24, mp4", tmp_path)
    index = frame_index(requested(path))
    decoded = DecodedPixels(80 * 160 * 96)
    # When it is decoded twice, Then the second time is too much
    frames = range(FRAMES)
    assert len(list(source_frames(requested(path), index, frames, decoded=decoded))) == FRAMES
    with pytest.raises(InvalidMedia, match="to decode"):
        list(source_frames(requested(path), index, frames, decoded=decoded))


def test_nothing_is_decoded_any_more_once_a_section_is_left(tmp_path: Path) -> None:
    # Given frames so large that they are decoded in a thread of their own
    path = tmp_path / "large.mov"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=640x480:duration=1", "-c:v", "mjpeg", "-q:v", "9", str(path))
    frames = source_frames(
        requested(path), frame_index(requested(path)), range(5, 25), decoded=DecodedPixels(MANY_PIXELS)
    )
    # When some are taken and the others are not wanted, Then the thread ends
    assert [number for number, _ in itertools.islice(frames, 3)] == [5, 6, 7]
    assert any(thread.name == "read-ahead" for thread in threading.enumerate())
    frames.close()
    assert not any(thread.name == "read-ahead" for thread in threading.enumerate())
