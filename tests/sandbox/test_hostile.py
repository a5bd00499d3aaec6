"""Files that are not what they say: refused with a word, and nothing else is read, called or run."""

import dataclasses
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from clipzy_storage.models.analysis import Analysis
from clipzy_worker.decode.input_limits import DEMUXERS
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.process import MediaProcess, MediaRequest
from tests.support.hostile import disguises, mutations
from tests.support.hostile.bombs import BOMBS, Bomb
from tests.support.hostile.canary import SECRET, listener
from tests.support.hostile.outcomes import harmful, outcomes_of
from tests.support.media import clips

CONTAINERS = tuple(DEMUXERS)

# Names that some program takes for an option, a path, a pattern, a protocol or the end of a line.
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


def request_for(path: Path, out_folder: Path, *, container: str = "mp4") -> MediaRequest:
    out_folder.mkdir(exist_ok=True)
    return MediaRequest(path, container, out_folder)


@pytest.fixture
def neighbour(tmp_path: Path, clips_folder: Path) -> Path:
    """The film of another job, which lies where every disguise looks for it."""
    for folder in (tmp_path / "disguised", tmp_path / "out"):
        folder.mkdir()
        (folder / "neighbour.mp4").symlink_to(clips.cuts_clip(clips_folder).path)
    return tmp_path / "disguised" / "neighbour.mp4"


@pytest.mark.parametrize("container", ["mp4", "avi", "mkv"])
def test_what_points_elsewhere_is_refused(container: str, tmp_path: Path, neighbour: Path) -> None:
    # Given texts that point to a neighbour and to a server, and no walls, so that the allow-lists stand alone
    with listener() as canary:
        for name in disguises.DISGUISES:
            disguises.write(name, neighbour.with_name(name), neighbour=neighbour, port=canary.port)
        neighbour.unlink()
        neighbour.parent.rename(tmp_path / "one")  # so that the neighbour is not analysed itself
        (tmp_path / "disguised").mkdir()
        (tmp_path / "disguised" / "neighbour.mp4").symlink_to((tmp_path / "out" / "neighbour.mp4").readlink())

        # When each is analysed as this container
        found = outcomes_of(tmp_path / "one", tmp_path / "out", container=container, sandbox="off")

    # Then the owner of each is told, without a path; nothing was made of the neighbour, and nobody was called
    expected = f"refused: The file cannot be read as {container}: it is damaged, incomplete or of another format."
    assert {name: what for name, what in found.items() if what not in (expected, "refused: " + NO_TRACK)} == {}
    assert len(found) == len(disguises.DISGUISES)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"neighbour.mp4", "outcomes.jsonl"}
    assert canary.calls == []


NO_TRACK = "The file has no video track."


def test_without_allow_lists_they_would_be_followed(neighbour: Path) -> None:
    """So the test above would notice a list that is missing."""
    # Given the same texts; When a library opens them that was told nothing, or to allow everything
    opened = {"ffconcat of a sibling": {}, "m3u8 of an address": {"format": "hls"}}
    everything = {"protocol_whitelist": "file,http,tcp", "allowed_extensions": "ALL", "extension_picky": "0"}
    with listener() as canary:
        for name, how in opened.items():
            path = neighbour.with_name("disguise")
            disguises.write(name, path, neighbour=neighbour, port=canary.port)
            script = (
                "import av, json, sys\nhow = json.loads(sys.argv[2])\n"
                "with av.open(sys.argv[1], **how) as film: print(sum(1 for _ in film.decode(video=0)))"
            )
            told = json.dumps(how | {"options": everything if how else {}})
            command = [sys.executable, "-I", "-c", script, str(path), told]
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
            if not how:
                assert int(ended.stdout) == 100  # pictures of the neighbour

    # Then the neighbour was decoded, and the server was called
    assert canary.calls


def test_a_decoder_that_is_not_allowed_never_runs(tmp_path: Path) -> None:
    # Given a real video in a codec that is not on the list
    path = tmp_path / "rare.mkv"
    clips.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x64:duration=0.2", "-c:v", "magicyuv", str(path))

    # When it is analysed, Then it is refused by name
    with pytest.raises(InvalidMedia, match="magicyuv"):
        analysed(request_for(path, tmp_path / "out", container="mkv"))


def test_sound_that_no_allowed_decoder_reads_is_left_alone(tmp_path: Path) -> None:
    # Given a film whose sound is in a codec that is not on the list
    path = tmp_path / "rare.mkv"
    sound = ("-f", "lavfi", "-i", "sine=duration=0.2", "-c:a", "wavpack")
    clips.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x64:duration=0.2", *sound, "-c:v", "libx264", str(path))

    # When it is analysed, Then the pictures are, and the sound was not decoded
    assert analysed(request_for(path, tmp_path / "out", container="mkv")).audio is None


@pytest.mark.parametrize("suffix", sorted({bomb.suffix for bomb in BOMBS.values()}))
def test_bombs_are_refused_or_bounded(suffix: str, tmp_path: Path) -> None:
    # Given small files that ask for much
    bombs: dict[str, Bomb] = {name: bomb for name, bomb in BOMBS.items() if bomb.suffix == suffix}
    (tmp_path / "bombs").mkdir()
    (tmp_path / "made").mkdir()
    for name, bomb in bombs.items():
        bomb.make(tmp_path / "made" / f"x.{suffix}")
        (tmp_path / "made" / f"x.{suffix}").rename(tmp_path / "bombs" / name)

    # When they are analysed
    found = outcomes_of(tmp_path / "bombs", tmp_path / "out", container=suffix)

    # Then each ends as it must, and its owner is told why
    wrong = {
        name: found[name]
        for name, bomb in bombs.items()
        if not (found[name].startswith(bomb.ends) and bomb.says in found[name])
    }
    assert wrong == {}


def test_damage_is_survived_or_refused(tmp_path: Path) -> None:
    """Five of each container; the long test below has five hundred."""
    check_mutations(tmp_path, count=5)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_damage_of_every_kind_is_survived_or_refused(tmp_path: Path) -> None:
    check_mutations(tmp_path, count=500)


def check_mutations(tmp_path: Path, *, count: int) -> None:
    kinds: dict[str, set[str]] = defaultdict(set)
    harm: dict[str, str] = {}
    for container in CONTAINERS:
        # Given files in which bytes are wrong, moved, repeated or missing
        mutations.write_mutations(tmp_path / container, container, count=count)

        # When each is analysed in a confined process
        found = outcomes_of(tmp_path / container, tmp_path / f"{container}-out", container=container)
        harm |= {f"{container}/{name}": what for name, what in harmful(found).items()}
        kinds[container] |= {what.partition(":")[0] for what in found.values()}
        assert len(found) == count

    # Then some are used and some refused, none kills its process, and nothing else comes of any
    assert harm == {}
    assert all({"analysed", "refused"} <= seen <= {"analysed", "refused", "bounded"} for seen in kinds.values())


def test_what_a_file_says_of_itself_goes_nowhere(tmp_path: Path) -> None:
    # Given a film full of words of its maker
    path, word = tmp_path / "wordy.mkv", SECRET.decode()
    told = [f"title={word}", f"comment=\x1b[31m{word}", f"artist={word}\n{word}", f"encoder={word}"]
    arguments = [part for tag in told for part in ("-metadata", tag)]
    clips.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x64:duration=0.2", *arguments, "-c:v", "libx264", str(path))

    # When it is analysed
    with MediaProcess(request_for(path, tmp_path / "out", container="mkv")) as media:
        for _fraction in media.updates():
            pass
        result = media.result()

    # Then neither the result nor what is written for the log has any of them
    assert word not in result.model_dump_json() + media.stderr_tail
    assert all(SECRET not in file.read_bytes() for file in (tmp_path / "out").rglob("*") if file.is_file())


def test_no_name_of_a_client_comes_near_a_command(tmp_path: Path, clips_folder: Path) -> None:
    # Given a film in storage, where its name is the store's own; When its media process runs
    source = tmp_path / "source.mp4"
    source.symlink_to(clips.cuts_clip(clips_folder).path)
    with MediaProcess(request_for(source, tmp_path / "out")) as media:
        # The first word comes when it runs; until it has become another program it has our own arguments, or none.
        next(fraction for fraction in media.updates() if fraction > 0)
        arguments = Path(f"/proc/{media.pid}/cmdline").read_bytes().split(b"\0")
        environment = Path(f"/proc/{media.pid}/environ").read_bytes()
        for _fraction in media.updates():
            pass

    # Then its arguments and environment are the same for every film: paths come by a pipe, names not at all
    assert arguments[1:-2] == [b"-I", b"-m", b"clipzy_worker.analysis"]
    assert arguments[-2].isdigit()
    assert b"source" not in environment
    assert not {field.name for field in dataclasses.fields(MediaRequest)} & {"filename", "name", "title"}


@pytest.mark.parametrize("name", NAMES)
def test_a_strange_name_of_a_path_is_only_a_name(name: str, tmp_path: Path, clips_folder: Path) -> None:
    """No client's name becomes one; but should it, FFmpeg gets a descriptor and reads nothing into it."""
    # Given a film under a name that programs take for something else, as far as a system can have it
    safe = name.replace("/", "∕").replace("\0", "")[:60]
    path = tmp_path / (safe if safe != ".." else "...")
    path.symlink_to(clips.cuts_clip(clips_folder).path)

    # When it is opened, Then it is the film
    from clipzy_worker.decode.source import open_source

    with open_source(request_for(path, tmp_path / "out-of-it")) as source:
        assert source.declared_seconds == pytest.approx(4.0)
        assert source.container.name == "fd:"
