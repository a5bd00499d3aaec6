"""The web page where API keys are asked for."""

from collections.abc import Iterator

import pytest

from clipzy_storage.access.api_keys import ApiKeys
from clipzy_storage.models.access import Scope
from tests.page.conftest import CompletedJobs
from tests.page.web_page import WIDTH, WebPage
from tests.support.chromium import Page
from tests.support.servers import FrontEnd, running_front_end
from tests.support.waiting import eventually

EXPECTED = ("status of 401", "status of 403", "status of 422")  # the browser itself notes every refusal


@pytest.fixture(scope="module")
def guarded(front_end: FrontEnd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnd]:
    """A front end on the same storage that asks for keys, and is also reached by a name that the browser lacks."""
    directory = tmp_path_factory.mktemp("guarded")
    settings = {"CLIPZY_AUTH": "keys", "PUBLIC_URL": "https://clips.example.com"}
    with running_front_end(directory, front_end.redis_url, storage_path=front_end.root, **settings) as running:
        yield running


@pytest.fixture
def page(tab: Page, axe: str, guarded: FrontEnd) -> Iterator[WebPage]:
    tab.look(width=WIDTH)
    yield WebPage(tab, axe, guarded.url)
    tab.run("sessionStorage.clear()")
    complaints, tab.complaints = tab.complaints, []
    assert [text for text in complaints if not any(part in text for part in EXPECTED)] == []


def key_of(front_end: FrontEnd, owner: str, *scopes: Scope) -> str:
    """A new key of this owner, once the front end knows it."""
    scopes = scopes or (Scope.READ, Scope.WRITE)
    made = ApiKeys(front_end.storage).create("laptop", owner=owner, scopes=scopes, expires_at=None)
    headers = {"Authorization": f"Bearer {made[1]}"}
    eventually(lambda: front_end.get("/api/v1/me", headers=headers).status_code != 401, "a key that is known")
    return str(made[1])


def enter(page: WebPage, key: str) -> None:
    page.see("This server asks for a key.")
    page.find("dialog[open] input")
    for letter in key:
        page.tab.press(letter, text=letter)
    page.tab.press("Enter", text="\r")


def test_a_key_is_asked_for_once_and_kept_for_the_tab(page: WebPage, guarded: FrontEnd) -> None:
    # Given the page of a server that asks for keys
    page.open()

    # When a wrong key is entered, then it says why it asks again
    page.see("This server asks for a key.")
    assert page.violations() == []
    enter(page, "clz_…")
    page.see("This is no API key, or not all of it.")
    enter(page, f"clz_{12 * '0'}_{43 * '0'}")
    page.see("The API key is unknown or revoked.")

    # When a right one is entered, then the list of its owner is there, which is empty
    enter(page, key_of(guarded, "ada"))
    page.see("No jobs yet.", "Drop videos here", "ada")
    page.check()

    # And it is kept in this tab, and sent with uploads, events and everything else
    page.open()
    page.see("No jobs yet.")
    page.push("Try the demo video")
    page.see("demo.mp4", "Waiting for a worker")
    page.push("Cancel")
    page.see("This job was cancelled")

    # And it can be forgotten
    page.push("Forget key")
    page.see("This server asks for a key.")
    assert page.tab.run("sessionStorage.length") == 0


def test_files_that_were_dropped_before_the_key_are_sent_with_it(page: WebPage, guarded: FrontEnd) -> None:
    # Given a page that asks for a key
    page.open()
    page.see("This server asks for a key.")

    # When a file is dropped, then it waits for the key
    page.tab.run("""{
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(["no video"], "early.mp4"));
      document.body.dispatchEvent(new DragEvent("drop", {dataTransfer, bubbles: true, cancelable: true}));
    }""")
    page.see("early.mp4")
    enter(page, key_of(guarded, "ada"))
    page.see("The file is not mp4, mov, avi, mkv or webm")


def test_a_key_that_may_not_look_can_be_forgotten(page: WebPage, guarded: FrontEnd) -> None:
    page.open()
    enter(page, key_of(guarded, "ada", Scope.METRICS))
    page.see("The API key lacks the scope `read`")
    page.push("Forget key")
    page.see("This server asks for a key.")


def test_pictures_and_the_video_need_no_key_of_their_own(page: WebPage, guarded: FrontEnd, jobs: CompletedJobs) -> None:
    # Given a completed job of the owner that everything belonged to before there were keys
    page.open()
    enter(page, key_of(guarded, "everyone"))

    # Then its still is on the list, and its page has the video, the curves and the pictures
    page.find(".filters")
    page.tab.run("[...document.querySelectorAll('.job')].find(e => e.textContent.includes('demo')).scrollIntoView()")
    eventually(lambda: page.count("img.still[src^='blob:']") > 0, "a still")
    page.go(f"#/jobs/{jobs.demo['job_id']}")
    page.see("Timeline", "Style DNA")
    eventually(lambda: page.tab.run("document.querySelector('.player video')?.readyState >= 1"), "the video")
    source = page.value(".player video", "src")
    assert "signature=" in source
    assert source.startswith(guarded.url), "the name under which the page was opened"
    page.find(".lane-names span", count=5)
    page.box(".shots")
    eventually(lambda: page.tab.run("document.querySelector('.shots img').naturalWidth") > 0, "a thumbnail")
