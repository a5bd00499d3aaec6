"""A job's page in a real browser: the player, the timeline under it, and everything that was measured."""

from functools import partial

from tests.page.conftest import CompletedJobs
from tests.page.web_page import WebPage
from tests.support.servers import FrontEnd
from tests.support.waiting import eventually

PLAYER = ".player video"
TIMELINE = "[role=slider]"


def test_everything_that_was_measured_is_shown(page: WebPage, front_end: FrontEnd, jobs: CompletedJobs) -> None:
    # Given a completed job
    job = jobs.demo
    output = front_end.get(f"/api/v1/jobs/{job['job_id']}/result").json()

    # When its page is opened
    page.open(f"#/jobs/{job['job_id']}")
    page.see("demo.mp4", "Completed", "Timeline", "Style DNA", "Downloads")

    # Then the shots are there with their stills, cameras and colours
    page.box(".shots")
    page.find(".shots button", count=len(output["shots"]))
    page.find(".shots img", count=len(output["shots"]))
    page.see("Zoom in", "Static", "fade", "0:05.4")
    assert page.count(".shots .palette i") == sum(len(shot["color"]["dominant"]) for shot in output["shots"])

    # And the lanes, the main figures and the Style DNA in words
    assert page.value(".lane-names", "innerText").split() == ["Shots", "Loudness", "Motion", "Speech", "Beats"]
    page.see("640 × 360", "25 fps", "120 bpm", "LUFS", "brisk", "cut, then fade of 1.2 s", "confidence")

    # And every file can be downloaded, and the video itself
    links = page.tab.run("[...document.querySelectorAll('.files a')].map(link => link.href)")
    assert len(links) == len(output["artifacts"]) + 2
    for link in links:
        assert front_end.get(link.removeprefix(front_end.url), stream=True).status_code == 200

    # And it can be used by everybody
    page.check()


def test_a_click_on_the_timeline_seeks_and_the_pointer_previews(page: WebPage, jobs: CompletedJobs) -> None:
    # Given the page of a video that the browser plays
    page.open(f"#/jobs/{jobs.demo['job_id']}")
    eventually(lambda: page.tab.run(f"document.querySelector('{PLAYER}')?.readyState >= 1"), "a video that is loaded")
    page.find(".chart .u-over")

    # When the pointer is over the middle of the timeline, then it shows that moment
    box = page.box(".chart .u-over")
    middle = (box["x"] + box["width"] / 2 + 2, box["y"] + box["height"] / 2)
    page.tab.move(*middle)
    page.see("0:06.7 · shot 3")
    assert page.value(".preview .frame-picture", "style.backgroundImage").startswith('url("http')

    # And a click there seeks
    page.tab.click(*middle)
    eventually(lambda: abs(page.value(PLAYER, "currentTime") - 6.7) < 0.05, "a player at the middle")
    assert page.value(TIMELINE, "ariaValueText") == "0:06.7 of 0:13, shot 3"
    assert "0:05.4" in page.value(".shot[aria-current]", "textContent")

    # And a shot in the strip seeks to its beginning
    page.tab.run("document.querySelectorAll('.shots button')[3].click()")
    eventually(lambda: abs(page.value(PLAYER, "currentTime") - 8.4) < 0.05, "a player at the fourth shot")


def _is_at(page: WebPage, seconds: str) -> bool:
    return bool(page.value(TIMELINE, "ariaValueNow") == seconds)


def test_the_timeline_can_be_used_with_the_keyboard(page: WebPage, jobs: CompletedJobs) -> None:
    # Given a timeline that has the focus, reached with Tab alone
    page.open(f"#/jobs/{jobs.demo['job_id']}")
    eventually(lambda: page.tab.run(f"document.querySelector('{PLAYER}')?.readyState >= 1"), "a video that is loaded")
    page.find(".chart .u-over")
    for _ in range(40):
        page.tab.press("Tab")
        if page.tab.run("document.activeElement.role === 'slider'"):
            break
    assert page.tab.run("document.activeElement.role") == "slider"

    # When keys are pressed, then it seeks by seconds, by shots, and to the ends
    for key, seconds in {"ArrowRight": 1.0, "PageDown": 3.0, "ArrowLeft": 2.0, "End": 13.4, "Home": 0.0}.items():
        page.tab.press(key)
        text = str(seconds).removesuffix(".0")
        eventually(partial(_is_at, page, text), f"{text} s after {key}")

    # And what is the browser's own, such as going back, stays so
    event = "new KeyboardEvent('keydown', {key: 'ArrowLeft', altKey: true, bubbles: true, cancelable: true})"
    assert page.tab.run(f"document.activeElement.dispatchEvent({event})")

    # And the space bar plays
    page.tab.press(" ")
    eventually(lambda: page.value(PLAYER, "paused") is False, "a video that plays")
    eventually(lambda: float(page.value(TIMELINE, "ariaValueNow")) > 0, "a playhead that moves")
    page.tab.press(" ")
    eventually(lambda: page.value(PLAYER, "paused") is True, "a video that is paused")


def test_zooming_keeps_to_the_video(page: WebPage, jobs: CompletedJobs) -> None:
    page.open(f"#/jobs/{jobs.demo['job_id']}")
    page.find(".chart .u-over")
    box = page.box(".chart .u-over")
    centre_y = box["y"] + box["height"] / 2
    page.tab.move(box["x"] + 2, centre_y)
    page.see("0:00.0")

    # When half of it is shown, and later all of it again, then the pointer is over other moments
    page.push("Zoom in")
    page.tab.move(box["x"] + box["width"] - 2, centre_y)
    page.see("0:06.6 · shot 3")
    page.push("Show all of the video")
    page.tab.move(box["x"] + box["width"] - 4, centre_y)
    page.see("shot 5")

    # And however near one looks, no two marks of time are called alike
    page.tab.run(
        "globalThis.drawn = []; CanvasRenderingContext2D.prototype.fillText = function (text) { drawn.push(text); }"
    )
    for _ in range(6):
        page.tab.run("drawn.length = 0")
        page.push("Zoom in")
        eventually(lambda: page.tab.run("drawn.length > 0"), "marks of time")
    marks = [text for text in page.tab.run("drawn") if ":" in text]
    assert len(marks) >= 4
    assert len(set(marks)) == len(marks)


def test_a_format_that_the_browser_cannot_play_is_a_storyboard(page: WebPage, jobs: CompletedJobs) -> None:
    # Given a video in an AVI file
    page.open(f"#/jobs/{jobs.avi['job_id']}")
    page.see("This browser cannot play the format.", "Play stills")

    # When the timeline is moved, then the small frame of that moment is shown
    page.find(".storyboard .frame-picture")
    first = page.value(".storyboard .frame-picture", "style.backgroundPosition")
    page.find(".chart .u-over")
    page.tab.run("document.querySelectorAll('.shots button')[2].click()")
    eventually(lambda: page.value(".storyboard .frame-picture", "style.backgroundPosition") != first, "another frame")

    # And it plays
    page.push("Play stills")
    page.see("Pause")
    page.push("Pause")
    page.check()
