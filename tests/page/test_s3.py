"""The web page where the storage is S3: pictures, media and fetches come from another origin."""

from pathlib import Path

from tests.page.analysed import analysed_demo
from tests.page.clipped import clipped
from tests.page.web_page import WIDTH, WebPage
from tests.support.chromium import Page
from tests.support.deployment import s3_settings
from tests.support.s3_servers import S3Server, storage_of
from tests.support.servers import running_front_end, running_redis
from tests.support.waiting import eventually

CLIP = "video[aria-label='Clip 2']"
NOTICE = "Some files cannot be read from here."


def test_results_are_shown_from_the_bucket(
    tab: Page, tmp_path: Path, clips_directory: Path, moto_server: S3Server
) -> None:
    # Given a completed job in a bucket whose service lets every page read
    bucket = moto_server.new_bucket()
    settings = s3_settings(moto_server, bucket)
    with (
        running_redis(tmp_path / "redis") as redis,
        running_front_end(tmp_path / "web", redis.url, storage_path=None, **settings) as front_end,
    ):
        job = analysed_demo(front_end, tmp_path / "worker", **settings)

        # When its page is opened, then the video, the pictures and the curves come from there
        tab.look(width=WIDTH)
        page = WebPage(tab, "", front_end.url)
        page.open(f"#/jobs/{job['job_id']}")
        page.find(".lane-names span", count=5)
        eventually(lambda: tab.run("document.querySelector('.player video')?.readyState >= 1"), "the video")
        assert page.value(".player video", "src").startswith(moto_server.url)
        page.box(".shots")
        eventually(lambda: tab.run("document.querySelector('.shots img').naturalWidth") > 0, "a thumbnail")
        assert NOTICE not in page.text()

        # And a download, which is of another origin, does not take the place of the page
        elsewhere = "[...document.querySelectorAll('.files a')].filter(link => link.origin !== location.origin)"
        assert page.tab.run(f"{elsewhere}.length") > 0
        assert page.tab.run(f"{elsewhere}.every(link => link.target === '_blank')")

        # And so do clips with their captions, which are scripts' to read there
        clips_job = clipped(front_end, clips_directory, storage_of(moto_server, bucket))
        page.go(f"#/jobs/{clips_job['job_id']}")
        page.find(CLIP)
        assert page.value(CLIP, "src").startswith(moto_server.url)
        tab.run(f'document.querySelector("{CLIP}").textTracks[0].mode = "showing"')
        tab.run(f'document.querySelector("{CLIP}").focus()')
        tab.press(" ")
        eventually(lambda: page.value(CLIP, "currentTime") > 0, "a clip that plays")
        eventually(lambda: page.value(CLIP, "textTracks[0].cues?.length") == 2, "captions")

        # And where the browser may not read from there, for want of a CORS rule, the rest is shown, and a notice. Both
        # S3 servers that the tests have allow everything, so the browser's refusal is played.
        page.go("#/")
        page.see("demo.mp4")
        page.tab.run(
            f"void (globalThis.fetch = (fetch => (url, ...rest) => url.startsWith('{moto_server.url}')"
            " ? Promise.reject(new TypeError('Failed to fetch')) : fetch(url, ...rest))(fetch))"
        )
        page.go(f"#/jobs/{job['job_id']}")
        page.see(NOTICE, "Style DNA")
        page.find(".lane-names span", count=3)
        tab.open("about:blank")

    # And nothing was forbidden by the page's own policy
    complaints, tab.complaints = tab.complaints, []
    assert complaints == []
