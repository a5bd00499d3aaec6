"""What `clipzy submit FILE…` sends."""

from pathlib import Path

import click
import pytest

from clipzy_api.cli.video_files import video_files

TREE = ("b.mp4", "a.MOV", "notes.txt", "day/c.mkv", "day/.d.mp4", "day/deep/e.webm", ".hidden/f.mp4", "odd [1].mp4")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in TREE:
        path = tmp_path / "films" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path / "films")
    return tmp_path / "films"


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["b.mp4", "a.MOV"], ["b.mp4", "a.MOV"]),
        (["notes.txt"], ["notes.txt"]),
        ([".hidden/f.mp4"], [".hidden/f.mp4"]),
        (["."], ["a.MOV", "b.mp4", "odd [1].mp4", "day/c.mkv", "day/deep/e.webm"]),
        (["day", "day/c.mkv"], ["day/c.mkv", "day/deep/e.webm"]),
        (["*.mp4"], ["b.mp4", "odd [1].mp4"]),
        (["odd [1].mp4"], ["odd [1].mp4"]),
        (["**/*.webm"], ["day/deep/e.webm"]),
        (["d?y"], ["day/c.mkv", "day/deep/e.webm"]),
        (["./b.mp4", "b.mp4", "../films/b.mp4"], ["b.mp4"]),
    ],
)
def test_files_directories_and_patterns(names: list[str], found: list[str]) -> None:
    assert [str(path) for path in video_files(names)] == found


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["b.mp4", "missing.mp4"], "missing.mp4 cannot be read: No such file or directory."),
        (["*.avi"], r"\*.avi matches no file"),
        ([".hidden/..", "day/deep/e.webm/x"], "e.webm/x cannot be read: Not a directory."),
    ],
)
def test_a_name_without_a_file_is_refused(names: list[str], complaint: str) -> None:
    with pytest.raises(click.ClickException, match=complaint):
        video_files(names)


def test_a_directory_without_videos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match=r"has no video files; their names end in \.3gp, \.avi"):
        video_files([str(tmp_path)])


def test_links_to_directories_are_not_followed(tree: Path) -> None:
    (tree / "day" / "loop").symlink_to(tree)
    assert [str(path) for path in video_files(["day"])] == ["day/c.mkv", "day/deep/e.webm"]
