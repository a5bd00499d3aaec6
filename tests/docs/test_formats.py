"""docs/formats.md lists what the code accepts, no more and no less, each with its reason."""

import re
from pathlib import Path

from clipzy_worker.decode.input_limits import AUDIO_DECODERS, DEMUXERS, VIDEO_DECODERS
from clipzy_worker.sandbox.request import MediaLimits

SECTIONS = (Path(__file__).parents[2] / "docs" / "formats.md").read_text().split("\n## ")


def rows(title: str) -> list[list[str]]:
    [section] = [section for section in SECTIONS if section.startswith(title + "\n")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "| `" in line]


def named(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def test_containers_are_those_of_the_code() -> None:
    assert {named(row[0])[0]: named(row[2])[0] for row in rows("Containers")} == DEMUXERS


def test_video_decoders_are_those_of_the_code() -> None:
    assert sorted(named(row[0])[0] for row in rows("Video")) == sorted(VIDEO_DECODERS)


def test_audio_decoders_are_those_of_the_code() -> None:
    assert sorted(name for row in rows("Audio") for name in named(row[0])) == sorted(AUDIO_DECODERS)


def test_limits_are_those_of_the_code() -> None:
    limits = {named(row[0])[0]: int(row[1].replace(",", "")) for row in rows("Limits")}
    expected = {name: value for name, value in vars(MediaLimits()).items() if name.startswith("max_")}
    assert limits == expected


def test_each_has_its_reason() -> None:
    for title in ("Containers", "Video", "Audio", "Limits"):
        assert all(row[-1] for row in rows(title))
