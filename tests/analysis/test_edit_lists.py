"""Edit lists of MP4 and MOV files: they set start and end, and cannot make a small file much work."""

import random
from contextlib import suppress
from pathlib import Path

import pytest

from clipzy_worker.decode.edit_lists import check_edit_lists
from clipzy_worker.decode.source import open_source
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.request import MediaLimits, MediaRequest
from tests.analysis.conftest import Analyse
from tests.support.hostile.edit_lists import Edit, write_edits
from tests.support.media import clips

FRAMES, SECONDS = 100, 4.0
MAX_EDITS = MediaLimits().max_edits


@pytest.fixture
def clip(clips_directory: Path) -> Path:
    """Video and audio of 4 s; the video has one key frame, and shots that begin at 1.2 s and 3 s."""
    return clips.cuts_clip(clips_directory).path


def packets_of(path: Path) -> int:
    """How many packets of the video are read. Raises ``InvalidMedia``."""
    with open_source(MediaRequest(path, "mp4", path.parent)) as source:
        return sum(1 for packet in source.packets([source.video]) if packet.size)


@pytest.mark.parametrize(
    ("edits", "seconds", "cuts"),
    [
        ([Edit(4)], 4.0, [1.2, 3.0]),
        ([Edit(3.5, 0.5)], 3.5, [0.7, 2.5]),
        ([Edit(2)], 2.0, [1.2]),
        ([Edit(1), Edit(1.4, 2.6)], 2.4, [1.0, 1.4]),
    ],
    ids=["all", "a later start", "an earlier end", "a part left out"],
)
def test_the_timeline_follows_them(
    clip: Path, tmp_path: Path, analyse: Analyse, edits: list[Edit], seconds: float, cuts: list[float]
) -> None:
    # Given a video whose tracks are edited alike
    video = write_edits(clip, edits, to=tmp_path / "video.mp4")
    both = write_edits(video, edits, to=tmp_path / "both.mp4", track=1)
    # When it is analysed, Then duration and shots are those of what is played
    result = analyse(both)
    assert result["source"]["duration_seconds"] == pytest.approx(seconds, abs=0.05)
    assert [shot["start_seconds"] for shot in result["shots"][1:]] == pytest.approx(cuts, abs=0.05)


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("track", [0, 1], ids=["video", "audio"])
@pytest.mark.parametrize(
    ("edits", "is_accepted"),
    [
        ([Edit(SECONDS)] + [Edit(0.4)] * 5, True),
        ([Edit(SECONDS)] + [Edit(0.42)] * 5, False),
        ([Edit(SECONDS)] * 3, False),
        ([Edit(SECONDS * 1.6)], False),
        ([Edit(100, None), Edit(SECONDS)], True),
    ],
    ids=["1.5 times", "1.52 times", "three times", "one segment", "an empty segment"],
)
def test_a_list_may_play_one_and_a_half_times_the_media(
    clip: Path, tmp_path: Path, edits: list[Edit], is_accepted: bool, track: int, version: int
) -> None:
    path = write_edits(clip, edits, to=tmp_path / "edited.mp4", track=track, version=version)
    if is_accepted:
        packets_of(path)
        return
    name = ("video", "audio")[track]
    with pytest.raises(InvalidMedia, match=rf"plays [\d.]+ seconds of the {name} track, which lasts 4\.\d"):
        packets_of(path)


def test_a_fragmented_file_may_play_more_than_its_header_has(clip: Path, tmp_path: Path) -> None:
    # Given a file that announces fragments; only the name of that part of the header counts here
    edited = write_edits(clip, [Edit(2 * SECONDS)], to=tmp_path / "edited.mp4")
    edited.write_bytes(edited.read_bytes().replace(b"udta", b"mvex"))
    # Then its edit list is not compared with the header
    with edited.open("rb") as file:
        check_edit_lists(file.fileno(), MediaLimits())


def test_many_segments_are_refused_before_they_are_read(clip: Path, tmp_path: Path) -> None:
    """FFmpeg's time to read the header grows with segments times frames."""
    # Given as many as are accepted, with the one of the audio track, and more
    at_most = write_edits(clip, [Edit(0.004)] * (MAX_EDITS - 1), to=tmp_path / "at-most.mp4")
    # When they are checked, Then only the others are refused
    with at_most.open("rb") as file:
        check_edit_lists(file.fileno(), MediaLimits())
    more = write_edits(clip, [Edit(0.001)] * MAX_EDITS, to=tmp_path / "more.mp4")
    with more.open("rb") as file, pytest.raises(InvalidMedia, match=f"{MAX_EDITS + 1} segments; at most {MAX_EDITS}"):
        check_edit_lists(file.fileno(), MediaLimits())


def test_segments_that_each_decode_all_frames_are_refused(clip: Path, tmp_path: Path) -> None:
    """Without the limit 100 frames become 10,000: a file of 73 kB took half an hour."""
    # Given a list that plays each frame once, in order, of which all depend on the first
    edits = [Edit(0.04, number * 0.04) for number in range(FRAMES)]
    path = write_edits(clip, edits, to=tmp_path / "replays.mp4")
    # When it is read, Then that ends at ten times the bytes of the file
    with open_source(MediaRequest(path, "mp4", tmp_path)) as source:
        packets = source.packets([source.video])
        sizes: list[int] = []
        with pytest.raises(InvalidMedia, match="over 10 times"):
            sizes.extend(packet.size for packet in packets)
    assert sum(sizes) <= 10 * path.stat().st_size


def test_a_compressed_header_is_refused(clip: Path, tmp_path: Path) -> None:
    """It would hide an edit list."""
    # Given a file with one, as QuickTime wrote them; only its name counts here
    path = tmp_path / "compressed.mov"
    path.write_bytes(clip.read_bytes().replace(b"mvhd", b"cmov"))
    with pytest.raises(InvalidMedia, match="header is compressed"):
        packets_of(path)


def test_a_header_of_countless_parts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "parts.mp4"
    path.write_bytes(b"\0\0\0\x08free" * 200_000)
    with path.open("rb") as file, pytest.raises(InvalidMedia, match="more parts"):
        check_edit_lists(file.fileno(), MediaLimits())


def test_parts_within_parts_are_followed_so_far_only(tmp_path: Path) -> None:
    # Given thousands of boxes, each in the one before
    path = tmp_path / "nested.mp4"
    path.write_bytes(b"".join((8 * number).to_bytes(4, "big") + b"udta" for number in range(5000, 0, -1)))
    # Then that is no reason to fail
    with path.open("rb") as file:
        check_edit_lists(file.fileno(), MediaLimits())


@pytest.mark.parametrize(
    ("old", "new", "offset"),
    [(b"mvhd", b"mdhd", 0), (b"mdhd", bytes(4), 16), (b"mdhd", (12).to_bytes(4, "big"), -4)],
    ids=["a clock without a track", "a clock that stands still", "a clock cut short"],
)
def test_a_wrong_header_is_left_to_ffmpeg(clip: Path, old: bytes, new: bytes, offset: int, tmp_path: Path) -> None:
    data, path = bytearray(clip.read_bytes()), tmp_path / "wrong.mp4"
    at = data.index(old) + offset
    data[at : at + 4] = new
    path.write_bytes(data)
    with path.open("rb") as file:
        check_edit_lists(file.fileno(), MediaLimits())


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_header_is_left_to_ffmpeg(clip: Path, tmp_path: Path, seed: int) -> None:
    # Given files with edit lists, damaged anywhere in their headers
    data = write_edits(clip, [Edit(0.1)] * 8, to=tmp_path / "edited.mp4").read_bytes()
    chance, path = random.Random(seed), tmp_path / "damaged.mp4"
    for _ in range(50):
        damaged = bytearray(data)
        for _ in range(chance.randrange(1, 8)):
            damaged[chance.randrange(data.index(b"moov"), len(data))] = chance.choice((0, 1, 127, 255))
        path.write_bytes(damaged[: chance.choice((len(data), chance.randrange(len(data))))])
        # When they are checked, Then nothing but a refusal comes of it
        with path.open("rb") as file, suppress(InvalidMedia):
            check_edit_lists(file.fileno(), MediaLimits())
            assert file.tell() == 0
