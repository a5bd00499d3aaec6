"""Files that are not what they say: refused with a word, and nothing else is read."""

import dataclasses
import random
from pathlib import Path

import pytest

from clipzy_worker.errors import InvalidMedia, MediaCrashed
from clipzy_worker.media.process import MediaLimits, MediaProcess, MediaRequest
from tests import clips
from tests.media.conftest import Analyse

SDP = (
    b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
)

DISGUISES = {
    "ffconcat": b"ffconcat version 1.0\nfile neighbour.mp4\n",
    "playlist": b"#EXTM3U\n#EXTINF:4,\nneighbour.mp4\n#EXT-X-ENDLIST\n",
    "SDP": SDP,
    "noise": bytes((i * 7919 + i * i) % 256 for i in range(50_000)),
    "nothing": b"",
}

TOO_MUCH = {
    "million pixels": MediaLimits(max_pixels=10_000),
    "a side": MediaLimits(max_side=200),
    "frames a second": MediaLimits(max_frame_rate=20),
    "longer than": MediaLimits(max_duration_seconds=2),
    "tracks": MediaLimits(max_streams=1),
}


def analysed(request: MediaRequest) -> dict[str, object]:
    with MediaProcess(request) as media:
        for _fraction in media.updates():
            pass
        return media.result()


def request_for(path: Path, out_folder: Path, *, container: str = "mp4") -> MediaRequest:
    out_folder.mkdir(exist_ok=True)
    return MediaRequest(path, container, out_folder)


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("name", DISGUISES)
def test_what_is_no_video_is_refused(name: str, container: str, tmp_path: Path, clips_folder: Path) -> None:
    # Given something else under a video's name, beside a video that it may point to
    (tmp_path / "neighbour.mp4").symlink_to(clips.cuts_clip(clips_folder).path)
    disguised = tmp_path / "video.mp4"
    disguised.write_bytes(DISGUISES[name])

    # When it is analysed, Then its owner is told, without a path, and nothing was made of the neighbour
    with pytest.raises(InvalidMedia, match=f"cannot be read as {container}") as caught:
        analysed(request_for(disguised, tmp_path / "out", container=container))
    assert str(tmp_path) not in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_claims_too_much_is_refused(name: str, tmp_path: Path, clips_folder: Path) -> None:
    # Given a clip and a limit below what it claims
    request = request_for(clips.cuts_clip(clips_folder).path, tmp_path / "out")

    # When it is analysed, Then the text names what is too much, before a picture was made
    with pytest.raises(InvalidMedia, match=name):
        analysed(dataclasses.replace(request, limits=TOO_MUCH[name]))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_decoder_that_is_not_allowed_never_runs(tmp_path: Path) -> None:
    # Given a real video in a codec that is not on the list
    path = tmp_path / "rare.mkv"
    clips.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x64:duration=0.2", "-c:v", "magicyuv", str(path))

    # When it is analysed, Then it is refused by name
    with pytest.raises(InvalidMedia, match="magicyuv"):
        analysed(request_for(path, tmp_path / "out", container="mkv"))


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (MediaLimits(cpu_seconds=1), "ran out of CPU time"),
        (MediaLimits(output_bytes=1000), "wrote too large a file"),
        (MediaLimits(memory_bytes=64 << 20), "media process"),
    ],
)
def test_what_takes_too_much_is_stopped(limits: MediaLimits, reason: str, tmp_path: Path, clips_folder: Path) -> None:
    # Given a clip that takes more than this to analyse
    request = request_for(clips.long_clip(clips_folder).path, tmp_path / "out")

    # When it is analysed, Then that is a crash with a reason, not the file's fault
    with pytest.raises(MediaCrashed, match=reason):
        analysed(dataclasses.replace(request, limits=limits))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "webm"])
def test_damage_is_survived_or_refused(suffix: str, clips_folder: Path, tmp_path: Path, analyse: Analyse) -> None:
    # Given a clip in which bytes are wrong or missing, in twenty ways
    codec = "libvpx-vp9" if suffix == "webm" else "libx264"
    whole = clips.cuts_clip(clips_folder, suffix=suffix, codec=codec).path.read_bytes()
    path = tmp_path / f"damaged.{suffix}"
    outcomes = set()

    # When each is analysed
    for seed in range(20):
        path.write_bytes(damaged(whole, random.Random(seed)))
        try:
            outcomes.add(analyse(path)["source"]["container"])
        except InvalidMedia:
            outcomes.add("refused")

    # Then some are used and some refused, and nothing else happens
    assert outcomes == {suffix, "refused"}


def damaged(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    area = chance.choice([2000, len(data)])
    for _ in range(chance.choice([1, 40, 400])):
        changed[chance.randrange(area)] = chance.randrange(256)
    return bytes(changed[: chance.choice([len(data), chance.randrange(len(data))])])
