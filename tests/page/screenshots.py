"""`make screenshots`: the pictures of the web page in the documents, of a deployment made for them."""

import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipzy_storage.models.records import ErrorCode
from tests.page.analysed import DEMO, analysed, running_worker
from tests.page.web_page import WebPage
from tests.support.chromium import Page, running_chromium
from tests.support.forms import MP4_HEAD
from tests.support.media.clips import ffmpeg
from tests.support.played_worker import claim, complete, expire, fail, submit
from tests.support.servers import FrontEnd, running_front_end, running_redis
from tests.support.waiting import eventually

WIDTH, HEIGHT, TALL, CLIPS_HEIGHT = 1240, 820, 1300, 760
COLORS = 256
MAX_BYTES = 150_000
UPLOAD_BYTES, UPLOAD_BYTES_PER_SECOND = 48_000_000, 6_000_000
CLIPS = {"clips": {"count": 2, "min_seconds": 2, "max_seconds": 5, "loudness_lufs": -16}}
BROKEN = "The file cannot be read as mp4: it is damaged, incomplete or of another format."


def main(directory: Path) -> int:
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, _deployment(Path(name)) as (front_end, tab):
        tab.hide_scrollbars()
        camera = _Camera(WebPage(tab, "", front_end.url), directory, Path(name))
        camera.take("empty", "#/", "No jobs yet")
        _take_upload(camera, Path(name))
        _take_jobs(camera, front_end, _jobs(front_end, Path(name)))
    return 0


@contextmanager
def _deployment(directory: Path) -> Iterator[tuple[FrontEnd, Page]]:
    with (
        running_redis(directory / "redis") as redis,
        running_front_end(directory / "web", redis.url) as front_end,
        running_chromium(directory) as tab,
    ):
        yield front_end, tab


class _Camera:
    def __init__(self, page: WebPage, directory: Path, scratch: Path) -> None:
        self.page, self._directory, self._scratch = page, directory, scratch

    def take(self, name: str, route: str, *texts: str) -> None:
        """A picture of what is at this place, once it shows these texts."""
        self.page.tab.look(width=WIDTH, height=HEIGHT)
        self.page.open(route)
        self.page.see(*texts)
        self.save(name)

    def save(self, name: str) -> None:
        """A picture of what the page shows, with few colours."""
        taken, saved = self._scratch / f"{name}.png", self._directory / f"{name}.png"
        in_sight = "image => image.getBoundingClientRect().top < innerHeight"  # others may wait until they are
        decoded = f"Promise.all([...document.images].filter({in_sight}).map(image => image.decode().catch(() => {{}})))"
        self.page.tab.run(f"{decoded}.then(() => new Promise(settled => setTimeout(settled, 500)))")
        self.page.tab.screenshot(taken)
        palette = f"split[a][b];[a]palettegen=max_colors={COLORS}:stats_mode=full[p];[b][p]paletteuse=dither=none"
        ffmpeg("-i", str(taken), "-vf", palette, "-frames:v", "1", str(saved))
        assert saved.stat().st_size < MAX_BYTES, f"{saved} has {saved.stat().st_size} bytes"


def _take_upload(camera: _Camera, directory: Path) -> None:
    """Two files on their way, and one that waits for them."""
    page, files = camera.page, []
    for name in ("harbour at dawn.mp4", "interview, second take.mov", "harbour at dusk.mp4"):
        files.append(directory / name)
        files[-1].write_bytes(MP4_HEAD + secrets.token_bytes(UPLOAD_BYTES))
    page.tab.set_upload_speed(UPLOAD_BYTES_PER_SECOND)
    page.tab.choose("input[type=file]", *files)
    eventually(lambda: page.tab.run("document.querySelector('.upload progress').value > 34"), "a third of the file")
    camera.save("upload")
    for file in files:
        page.push(f"Discard {file.name}")
    page.find(".upload", count=0)
    page.tab.set_upload_speed(-1)


def _jobs(front_end: FrontEnd, directory: Path) -> dict[str, str]:
    """The id of a job in each state."""
    with running_worker(front_end, directory / "worker"):
        demo, clips = (analysed(front_end, DEMO, config)["job_id"] for config in ({}, CLIPS))
    ids = {
        name: submit(front_end, filename=f"{name}.mp4")["job_id"] for name in ("old", "broken", "unwanted", "running")
    }
    complete(front_end, ids["old"])
    expire(front_end, ids["old"])
    fail(front_end, ids["broken"], ErrorCode.INVALID_MEDIA, BROKEN)
    front_end.post(f"/api/v1/jobs/{ids['unwanted']}/cancel")
    front_end.store.heartbeat(claim(front_end, ids["running"]).claim, percent=62, stage="video_analysis")
    submit(front_end, filename="waiting.mp4")
    return ids | {"demo": demo, "clips": clips}


def _take_jobs(camera: _Camera, front_end: FrontEnd, ids: dict[str, str]) -> None:
    for theme in ("light", "dark"):
        camera.page.tab.look(width=WIDTH, height=TALL, theme=theme)
        camera.page.open(f"#/jobs/{ids['demo']}")
        camera.page.see("Timeline", "Shots")
        eventually(lambda: camera.page.tab.run("document.querySelector('.player video')?.readyState >= 1"), "the video")
        camera.page.find(".chart .u-over")
        box = camera.page.tab.run("document.querySelector('.chart .u-over').getBoundingClientRect().toJSON()")
        at = [(box["x"] + box["width"] * share, box["y"] + box["height"] / 2) for share in (0.52, 0.68)]
        camera.page.tab.click(*at[0])
        camera.page.tab.move(*at[1])
        camera.page.find(".preview")
        # The browser shows that it loads until it has played.
        camera.page.tab.run("(v => (v.muted = true, v.play().then(() => v.pause())))(document.querySelector('video'))")
        camera.save(f"job-{theme}")
    _take_clips(camera, ids["clips"])
    camera.take("list", "#/", "demo.mp4", "waiting.mp4", "62 %")
    camera.take("failed", f"#/jobs/{ids['broken']}", "This job failed")
    camera.take("cancelled", f"#/jobs/{ids['unwanted']}", "This job was cancelled")
    camera.take("expired", f"#/jobs/{ids['old']}", "The result has expired")
    camera.take("running", f"#/jobs/{ids['running']}", "62 %")
    assert front_end.process.is_running()


def _take_clips(camera: _Camera, job_id: str) -> None:
    """The clips of a job, each a little after its beginning."""
    tab = camera.page.tab
    tab.look(width=WIDTH, height=CLIPS_HEIGHT)
    camera.page.open(f"#/jobs/{job_id}")
    camera.page.see("Clips", "of 100")
    tab.run("document.querySelector('.clips').previousElementSibling.scrollIntoView({behavior: 'instant'})")
    played = "v => (v.muted = true, v.play().then(() => (v.pause(), v.currentTime = v.duration / 3, v.muted = false)))"
    for number in range(CLIPS["clips"]["count"]):
        tab.run(f"({played})(document.querySelectorAll('.clips video')[{number}])")
    camera.save("clips")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
