"""Clips in a real browser: how they are shown, played, exported and asked for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.page.clipped import clipped
from tests.page.test_keys import enter, key_of
from tests.page.web_page import WIDTH, WebPage
from tests.support.chromium import Page
from tests.support.servers import FrontEnd, running_front_end
from tests.support.waiting import eventually

CARD = ".clip-card"
CLIP = "video[aria-label='Clip 2']"
PLAYER = ".watch .player video"


@pytest.fixture(scope="module")
def job(front_end: FrontEnd, clips_directory: Path) -> dict[str, Any]:
    return clipped(front_end, clips_directory)


@pytest.fixture(scope="module")
def output(front_end: FrontEnd, job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = front_end.get(f"/api/v1/jobs/{job['job_id']}/result").json()
    return found


def press_button(page: WebPage, selector: str) -> None:
    """As by a user, whose gesture lets a video play with sound."""
    box = page.box(selector)
    page.tab.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def set_field(page: WebPage, name: str, value: str) -> None:
    kind = "change" if page.value(f"[name={name}]", "tagName") == "SELECT" else "input"
    event = f"new Event('{kind}', {{bubbles: true}})"
    page.tab.run(
        f"(e => (e.value = {json.dumps(value)}, e.dispatchEvent({event})))(document.querySelector('[name={name}]'))"
    )


def test_clips_are_shown_with_what_their_scores_are_made_of(
    page: WebPage, job: dict[str, Any], output: dict[str, Any]
) -> None:
    # Given a job with three clips, of which two were chosen and rendered
    page.open(f"#/jobs/{job['job_id']}")
    page.find(f".clips {CARD}", count=3)

    # Then the best is first, with its place, what it is and its score
    first = page.value(f".clips {CARD}", "innerText")
    for text in ("Clip 2", "rank 1", "0:02.0 to 0:04.0", "2 s", "shots 2 to 3", "320 × 180", "25 fps", "−14 LUFS"):
        assert text in first
    assert "begins at a shot · ends in a pause" in first
    best = output["clips"][1]
    assert f"{best['score']:g} of 100, weighed for talk" in first

    # And the table has each part, whose points are the widths of the bar and add up to the score
    rows = page.tab.run(
        f"[...document.querySelector('{CARD} table').rows].map(row => [...row.cells].map(cell => cell.textContent))"
    )
    assert rows[0] == ["Part", "Value", "Weight", "Points"]
    assert {row[0].lower(): float(row[3]) for row in rows[1:]} == {
        part["name"]: pytest.approx(part["points"], abs=0.05) for part in best["parts"]
    }
    widths = page.tab.run("[...document.querySelector('.score-bar').children].map(e => parseFloat(e.style.width))")
    assert sum(widths) == pytest.approx(best["score"])
    assert page.value(f"{CARD} caption", "textContent") == "What the score of Clip 2 is made of"

    # And a warning, a section that was asked for, the lane of the timeline, and the rendered video
    page.see("The clip is shorter than was asked for.", "begins as asked", "whole picture on a blurred copy")
    assert page.value(".lane-names", "innerText").split() == ["Shots", "Clips", "Motion"]
    assert page.count("video[aria-label='Rendered video']") == 1

    # And everybody can use it
    page.check()


def test_a_clip_plays_with_sound_and_captions_and_seeks(page: WebPage, job: dict[str, Any]) -> None:
    # Given a clip, of which nothing but the still is loaded yet
    page.open(f"#/jobs/{job['job_id']}")
    page.find(CLIP)
    assert page.value(CLIP, "poster").endswith("clips/01.jpg")
    assert page.value(CLIP, "readyState") == 0

    # When the user plays it, then there is a moving picture, and sound
    page.tab.run(f"document.querySelector(\"{CLIP}\").textTracks[0].mode = 'showing'")
    page.tab.run(f'document.querySelector("{CLIP}").focus()')
    page.tab.press(" ")
    eventually(lambda: page.value(CLIP, "currentTime") > 0, "a clip that plays")
    eventually(lambda: page.value(CLIP, "webkitAudioDecodedByteCount") > 0, "sound")
    assert (page.value(CLIP, "muted"), page.value(CLIP, "videoWidth")) == (False, 320)
    assert page.value(CLIP, "duration") == pytest.approx(2, abs=0.1)

    # And the speech in it is its captions
    eventually(lambda: page.value(CLIP, "textTracks[0].cues?.length") == 2, "captions")
    assert page.value(CLIP, "textTracks[0].cues[0].startTime") == 0.2

    # And it seeks
    page.tab.run(f'document.querySelector("{CLIP}").currentTime = 1.2')
    eventually(lambda: not page.value(CLIP, "seeking"), "a clip that has sought")
    assert page.value(CLIP, "currentTime") >= 1.2

    # When another video is played, then this one pauses, which would not by itself
    page.tab.run(f'(v => (v.loop = true, void v.play()))(document.querySelector("{CLIP}"))')
    assert page.value(CLIP, "paused") is False
    page.tab.run(f"document.querySelector('{PLAYER}').focus()")
    page.tab.press(" ")
    eventually(lambda: page.value(CLIP, "paused") is True, "a clip that is paused")

    # And the button of a clip leads to its place in the video
    page.push("Show in the video: Clip 2")
    eventually(lambda: abs(page.value(PLAYER, "currentTime") - 2.0) < 1, "a player at the clip")


def test_the_video_that_was_rendered_plays_and_every_file_downloads(
    page: WebPage, front_end: FrontEnd, job: dict[str, Any], output: dict[str, Any]
) -> None:
    page.open(f"#/jobs/{job['job_id']}")
    rendered = "video[aria-label='Rendered video']"
    page.find(rendered)
    page.tab.run(f'document.querySelector("{rendered}").focus()')
    page.tab.press(" ")
    eventually(lambda: page.value(rendered, "currentTime") > 0, "a rendered video that plays")

    links = page.tab.run("[...document.querySelectorAll('a.button[download]')].map(a => [a.download, a.href])")
    assert sorted(name for name, _ in links) == ["clips-00.mp4", "clips-01.mp4", "output.mp4"]
    for name, link in links:
        artifact = next(one for one in output["artifacts"] if one["name"].replace("/", "-") == name)
        assert len(front_end.get(link.removeprefix(front_end.url)).content) == artifact["size_bytes"]


def test_exports_are_downloaded(page: WebPage, job: dict[str, Any], tmp_path: Path) -> None:
    # Given the exports of a job
    page.open(f"#/jobs/{job['job_id']}")
    page.push("The clips or the shots as a timeline")
    page.see("Premiere Pro", "Final Cut Pro", "DaVinci Resolve")
    assert page.violations() == []
    page.tab.save_downloads(tmp_path)

    # When some are asked for, then they are saved under the names that the server gives them
    page.push("EDL")
    page.push("CSV")
    eventually(lambda: len([path for path in tmp_path.iterdir() if path.suffix in {".edl", ".csv"}]) == 2, "two files")
    (edl,) = tmp_path.glob("*.edl")
    (table,) = tmp_path.glob("*.csv")
    assert edl.read_text().startswith("TITLE:")
    assert len(table.read_text().splitlines()) == 1 + 3

    # And those of the shots too
    page.tab.run(
        "(e => (e.value = 'shots', e.dispatchEvent(new Event('change', {bubbles: true}))))"
        "(document.querySelector('.exports').closest('details').querySelector('select'))"
    )
    for path in (edl, table):
        path.unlink()
    page.push("CSV")
    eventually(lambda: list(tmp_path.glob("*.csv")), "a table of the shots")


def test_the_options_of_an_upload_become_the_config_of_its_job(
    page: WebPage, front_end: FrontEnd, tmp_path: Path
) -> None:
    # Given the options, without which a job has no config
    page.open()
    page.see("Clips and rendering: none")
    page.tab.run("void (document.querySelector('.options').open = true)")
    set_field(page, "clips", "best")
    page.find("[name=longest]")
    set_field(page, "render", "h264")
    page.see("up to 3 clips, the whole video")
    page.check()

    # When they make no sense, then nothing is sent, and it says why
    set_field(page, "longest", "5")
    file = tmp_path / "take.mp4"
    file.write_bytes(b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(2000))
    page.tab.choose("input[type=file]", file)
    page.see("Nothing was uploaded. The longest clip is shorter than the shortest.")
    assert page.count(".upload") == 0

    # When they do, then the job has them
    for name, value in {"longest": "30", "count": "5", "profile": "talk", "shape": "9:16", "loudness": "-14"}.items():
        set_field(page, name, value)
    page.find("[name=reframe]")
    set_field(page, "reframe", "fit")
    rendition = {"shape": "9:16", "reframe": "fit", "quality": "standard", "loudness_lufs": -14}
    chosen = {"count": 5, "min_seconds": 10, "max_seconds": 30, "profile": "talk", **rendition}
    assert config_of_upload(page, front_end, file) == {"clips": chosen, "render": {**rendition, "video_codec": "h264"}}

    # And so it is with exact sections, once each line is one
    set_field(page, "render", "")
    set_field(page, "clips", "ranges")
    page.find("[name=ranges]")
    set_field(page, "ranges", "0:10 - 0:25.5\n1:00:00 to 1:00:01\n3")
    other = tmp_path / "other.mp4"
    other.write_bytes(file.read_bytes() + b"1")
    page.tab.choose("input[type=file]", other)
    page.see("Line 3 is no section such as 0:10 - 0:25.5.")
    set_field(page, "ranges", "0:10 - 0:25.5\n\n1:00:00 to 1:00:01")
    config = config_of_upload(page, front_end, other)
    asked = [{"start_seconds": 10, "end_seconds": 25.5}, {"start_seconds": 3600, "end_seconds": 3601}]
    assert config == {"clips": {"ranges": asked, **rendition}}


def config_of_upload(page: WebPage, front_end: FrontEnd, file: Path) -> Any:
    """The config of the job that the page submits on this file."""
    page.tab.choose("input[type=file]", file)

    def newest() -> Any:
        jobs = front_end.get("/api/v1/jobs?page_size=1").json()["jobs"]
        return jobs and jobs[0]["filename"] == file.name and jobs[0]

    return eventually(newest, f"a job on {file.name}")["config"]


@pytest.fixture(scope="module")
def guarded(front_end: FrontEnd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnd]:
    """A front end on the same storage that asks for keys, whose links expire."""
    directory = tmp_path_factory.mktemp("guarded")
    with running_front_end(directory, front_end.redis_url, storage_path=front_end.root, CLIPZY_AUTH="keys") as running:
        yield running


def test_with_keys_clips_and_exports_come_by_signed_links_and_with_the_key(
    tab: Page, axe: str, guarded: FrontEnd, job: dict[str, Any], tmp_path: Path
) -> None:
    # Given the page of a server that asks for keys
    tab.look(width=WIDTH)
    page = WebPage(tab, axe, guarded.url)
    page.open(f"#/jobs/{job['job_id']}")
    enter(page, key_of(guarded, "everyone"))
    page.find(CLIP)

    # When a clip is played whose link has expired meanwhile, then it gets a new one and plays
    tab.run(f"(v => void (v.src = v.src.replace(/expires=\\d+/, 'expires=1')))(document.querySelector(\"{CLIP}\"))")
    tab.run(f'document.querySelector("{CLIP}").focus()')
    tab.press(" ")
    eventually(lambda: page.value(CLIP, "currentTime") > 0, "a clip that plays")
    assert "signature=" in page.value(CLIP, "src")

    # And an export is asked for with the key
    tab.save_downloads(tmp_path)
    page.push("The clips or the shots as a timeline")
    page.push("CSV")
    eventually(lambda: list(tmp_path.glob("*.csv")), "an export")
    tab.run("sessionStorage.clear()")
    tab.open("about:blank")
    complaints, tab.complaints = tab.complaints, []
    assert [text for text in complaints if "status of 40" not in text] == []
