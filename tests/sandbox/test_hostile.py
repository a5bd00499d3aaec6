"""Files that are not what they claim: refused with a reason, and nothing else is read, contacted or run."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from clipzy_storage.models.analysis import Analysis
from clipzy_worker.decode.input_limits import DEMUXERS, VIDEO_DECODERS
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.process import MediaProcess, MediaRequest
from tests.support.hostile import disguises, mutations
from tests.support.hostile.bombs import BOMBS, Bomb
from tests.support.hostile.canary import SECRET, running_canary
from tests.support.hostile.outcomes import harmful, outcomes_of
from tests.support.media import clips

CONTAINERS = tuple(DEMUXERS)

# Names that some program parses as an option, a path, a pattern, a protocol or the end of a line.
NAMES = (
    *("../../etc/passwd", "..", "-y", "-i", "--help", "concat:a|b", "%03d.mp4", "pipe:0", "http://127.0.0.1/x"),
    *("a\nb.mp4", "a\0b.mp4", "\x1b[31mred", "🎬.mp4", "\u202e4pm.exe", "x" * 4096, "; rm -rf /", "$(id)", "`id`"),
    "movie=a;[in]drawtext=text='x'[out]",
)


def analysed(request: MediaRequest) -> Analysis:
    with MediaProcess(request) as media:
        for _fraction in media.updates():
            pass
        return media.result()


def request_for(path: Path, out_directory: Path, *, container: str = "mp4") -> MediaRequest:
    out_directory.mkdir(exist_ok=True)
    return MediaRequest(path, container, out_directory)


@pytest.fixture
def neighbour(tmp_path: Path, clips_directory: Path) -> Path:
    """The video of another job, in the directory to which every disguise refers."""
    for directory in (tmp_path / "disguised", tmp_path / "out"):
        directory.mkdir()
        (directory / "neighbour.mp4").symlink_to(clips.cuts_clip(clips_directory).path)
    return tmp_path / "disguised" / "neighbour.mp4"


@pytest.mark.parametrize("container", ["mp4", "avi", "mkv"])
def test_a_file_that_refers_to_another_is_refused(container: str, tmp_path: Path, neighbour: Path) -> None:
    # Given texts that refer to a neighbour and to a server, and no sandbox, so that only the allow-lists protect
    with running_canary() as canary:
        for name in disguises.DISGUISES:
            disguises.write(name, neighbour.with_name(name), neighbour=neighbour, port=canary.port)
        neighbour.unlink()
        neighbour.parent.rename(tmp_path / "analysed")  # without the neighbour, which must not be analysed itself
        (tmp_path / "disguised").mkdir()
        (tmp_path / "disguised" / "neighbour.mp4").symlink_to((tmp_path / "out" / "neighbour.mp4").readlink())

        # When each is analysed as this container
        found = outcomes_of(tmp_path / "analysed", tmp_path / "out", container=container, sandbox="off")

    # Then each is refused with a reason without a path; the neighbour was not read, and the server not contacted
    expected = f"refused: The file cannot be read as {container}: it is damaged, incomplete or of another format."
    assert {name: outcome for name, outcome in found.items() if outcome not in (expected, "refused: " + NO_TRACK)} == {}
    assert len(found) == len(disguises.DISGUISES)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"neighbour.mp4", "outcomes.jsonl"}
    assert canary.requests == []


NO_TRACK = "The file has no video track."


def test_without_allow_lists_they_would_be_followed(neighbour: Path) -> None:
    """So the test above would notice a missing list."""
    # Given the same texts; When the library opens them without options, or with options that allow everything
    opened = {"ffconcat of a sibling": {}, "m3u8 of a URL": {"format": "hls"}}
    everything = {"protocol_whitelist": "file,http,tcp", "allowed_extensions": "ALL", "extension_picky": "0"}
    with running_canary() as canary:
        for name, how in opened.items():
            path = neighbour.with_name("disguise")
            disguises.write(name, path, neighbour=neighbour, port=canary.port)
            script = (
                "import av, json, sys\nhow = json.loads(sys.argv[2])\n"
                "with av.open(sys.argv[1], **how) as video: print(sum(1 for _ in video.decode(video=0)))"
            )
            options = json.dumps(how | {"options": everything if how else {}})
            command = [sys.executable, "-I", "-c", script, str(path), options]
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
            if not how:
                assert int(ended.stdout) == 100  # frames of the neighbour

    # Then the neighbour was decoded, and the server was contacted
    assert canary.requests


def test_a_decoder_that_is_not_allowed_never_runs(tmp_path: Path) -> None:
    # Given a real video in a codec that is not on the list
    path = tmp_path / "rare.mkv"
    clips.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x64:duration=0.2", "-c:v", "magicyuv", str(path))

    # When it is analysed, Then it is refused by name
    with pytest.raises(InvalidMedia, match="magicyuv"):
        analysed(request_for(path, tmp_path / "out", container="mkv"))


def test_audio_without_an_allowed_decoder_is_not_decoded(tmp_path: Path) -> None:
    # Given a video whose audio codec is not on the list
    path = tmp_path / "rare.mkv"
    audio = ("-f", "lavfi", "-i", "sine=duration=0.2", "-c:a", "wavpack")
    clips.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x64:duration=0.2", *audio, "-c:v", "libx264", str(path))

    # When it is analysed, Then its frames are, and its audio is not
    assert analysed(request_for(path, tmp_path / "out", container="mkv")).audio is None


@pytest.mark.parametrize("suffix", sorted({bomb.suffix for bomb in BOMBS.values()}))
def test_bombs_are_refused_or_bounded(suffix: str, tmp_path: Path) -> None:
    # Given small files that demand much
    bombs: dict[str, Bomb] = {name: bomb for name, bomb in BOMBS.items() if bomb.suffix == suffix}
    (tmp_path / "bombs").mkdir()
    (tmp_path / "made").mkdir()
    for name, bomb in bombs.items():
        bomb.make(tmp_path / "made" / f"x.{suffix}")
        (tmp_path / "made" / f"x.{suffix}").rename(tmp_path / "bombs" / name)

    # When they are analysed
    found = outcomes_of(tmp_path / "bombs", tmp_path / "out", container=suffix)

    # Then each has its required outcome, with the reason for its owner
    wrong = {
        name: found[name]
        for name, bomb in bombs.items()
        if not (found[name].startswith(bomb.outcome) and bomb.message in found[name])
    }
    assert wrong == {}


KINDS = [(container, codec) for container in CONTAINERS for codec in mutations.ENCODINGS[container]]


@pytest.mark.parametrize("container", CONTAINERS)
def test_damage_is_survived_or_refused(container: str, tmp_path: Path) -> None:
    """Three of each codec; the long test below has five hundred."""
    kinds = set[str]()
    for codec in mutations.ENCODINGS[container]:
        kinds |= outcomes_of_damage(tmp_path, container, codec, count=3)
    assert {"analysed", "refused"} <= kinds


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("container", "codec"), KINDS)
def test_damage_of_every_kind_is_survived_or_refused(container: str, codec: str, tmp_path: Path) -> None:
    assert {"analysed", "refused"} <= outcomes_of_damage(tmp_path, container, codec, count=500)


@pytest.mark.parametrize(("container", "codec"), KINDS)
def test_what_is_damaged_is_analysed_as_it_was(container: str, codec: str, tmp_path: Path) -> None:
    """So the tests of damage have what they say."""
    mutations.write_mutations(tmp_path / "none", container, codec, count=0)
    found = analysed(request_for(tmp_path / f"original.{container}", tmp_path / "out", container=container))
    names = {"msmpeg4": "msmpeg4v3", "h264, fragmented": "h264"}
    assert found.source.video_codec == names.get(codec, codec)


def test_every_decoder_has_damaged_files() -> None:
    codecs = {codec.partition(",")[0] for _, codec in KINDS}
    assert codecs == {name for name in VIDEO_DECODERS if name != "libdav1d"}  # it decodes AV1


def outcomes_of_damage(directory: Path, container: str, codec: str, *, count: int) -> set[str]:
    """How files of this kind end, in which bytes are changed, moved, repeated or missing: none kills its process."""
    # Given such files
    place = directory / f"{container} {codec}"
    place.mkdir()
    mutations.write_mutations(place / "files", container, codec, count=count)

    # When each is analysed in a confined process
    found = outcomes_of(place / "files", place / "out", container=container)

    # Then each has an outcome, and none another than these
    assert harmful(found) == {}
    assert len(found) == count
    kinds = {outcome.partition(":")[0] for outcome in found.values()}
    assert kinds <= {"analysed", "refused", "bounded"}
    return kinds


def test_the_metadata_of_a_file_is_not_passed_on(tmp_path: Path) -> None:
    # Given a video with many metadata tags
    path, word = tmp_path / "wordy.mkv", SECRET.decode()
    tags = [f"title={word}", f"comment=\x1b[31m{word}", f"artist={word}\n{word}", f"encoder={word}"]
    arguments = [part for tag in tags for part in ("-metadata", tag)]
    clips.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x64:duration=0.2", *arguments, "-c:v", "libx264", str(path))

    # When it is analysed
    with MediaProcess(request_for(path, tmp_path / "out", container="mkv")) as media:
        for _fraction in media.updates():
            pass
        result = media.result()

    # Then neither the result nor the log has any of them
    assert word not in result.model_dump_json() + media.stderr_tail
    assert all(SECRET not in file.read_bytes() for file in (tmp_path / "out").rglob("*") if file.is_file())


def test_no_name_from_a_client_is_part_of_a_command(tmp_path: Path, clips_directory: Path) -> None:
    # Given a video in storage, under a name given by storage; When its media process runs
    source = tmp_path / "source.mp4"
    source.symlink_to(clips.cuts_clip(clips_directory).path)
    with MediaProcess(request_for(source, tmp_path / "out")) as media:
        # It has sent progress once it runs; before its exec it has our arguments, or none.
        next(fraction for fraction in media.updates() if fraction > 0)
        arguments = Path(f"/proc/{media.pid}/cmdline").read_bytes().split(b"\0")
        environment = Path(f"/proc/{media.pid}/environ").read_bytes()
        for _fraction in media.updates():
            pass

    # Then its arguments and environment are the same for every video: it gets paths through a pipe, and no names
    assert arguments[1:-2] == [b"-I", b"-m", b"clipzy_worker.analysis"]
    assert arguments[-2].isdigit()
    assert b"source" not in environment
    assert not {field.name for field in dataclasses.fields(MediaRequest)} & {"filename", "name", "title"}


@pytest.mark.parametrize("name", NAMES)
def test_a_strange_name_of_a_path_is_only_a_name(name: str, tmp_path: Path, clips_directory: Path) -> None:
    """Names from clients are never part of a path; but if one were, FFmpeg gets a descriptor and does not parse it."""
    # Given a video under a name that programs parse, as far as a filesystem allows it
    safe = name.replace("/", "∕").replace("\0", "")[:60]
    path = tmp_path / (safe if safe != ".." else "...")
    path.symlink_to(clips.cuts_clip(clips_directory).path)

    # When it is opened, Then it is the video
    from clipzy_worker.decode.source import open_source

    with open_source(request_for(path, tmp_path / "out-of-it")) as source:
        assert source.declared_seconds == pytest.approx(4.0)
        assert source.container.name == "fd:"
