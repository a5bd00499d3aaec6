"""Keys and ids: what is allowed, and nothing else."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipzy_storage import keys
from clipzy_storage.errors import BadKey

SEGMENTS = st.from_regex(r"[A-Za-z0-9._-]{1,100}", fullmatch=True).filter(lambda text: text not in {".", ".."})
GOOD_KEYS = st.builds(
    lambda top, rest: "/".join([top, *rest]),
    st.sampled_from(["uploads", "jobs", "results", ".clipzy"]),
    st.lists(SEGMENTS, min_size=1, max_size=3),
)


@given(GOOD_KEYS)
def test_a_key_of_the_allowed_form_is_taken_as_it_is(key: str) -> None:
    assert keys.checked(key) == key


@given(st.text() | st.text(alphabet="./ab\\\0\n%~", max_size=12).map("uploads/".__add__))
def test_whatever_passes_is_a_plain_path_below_a_known_directory(text: str) -> None:
    # When any text at all is offered as a key
    try:
        key = keys.checked(text)
    except BadKey:
        return

    # Then what passes is a path that means exactly what it says
    path = PurePosixPath(key)
    assert key == text == str(path)
    assert path.parts[0] in {"uploads", "jobs", "results", ".clipzy"}
    assert len(path.parts) >= 2
    assert ".." not in path.parts
    assert re.fullmatch(r"[A-Za-z0-9._/-]+", key)


@given(GOOD_KEYS, st.sampled_from(["..", ".", "", "a\n", "\0", "é", "a b", "a" * 101]), st.integers(1, 4))
def test_one_bad_segment_spoils_a_key(key: str, segment: str, position: int) -> None:
    # Given a good key with one bad segment in it
    segments = key.split("/")
    segments.insert(position, segment)

    # Then it is refused
    with pytest.raises(BadKey):
        keys.checked("/".join(segments))


def test_a_key_has_a_longest_length() -> None:
    longest = "uploads/" + "a" * 95 + "/" + "b" * 95 + "/" + "c" * 100 + "/" + "d" * 99
    assert len(longest) == keys.MAX_KEY_LENGTH
    assert keys.checked(longest) == longest
    with pytest.raises(BadKey):
        keys.checked(longest + "d")


def test_a_refusal_shows_little_of_a_long_text() -> None:
    with pytest.raises(BadKey) as refusal:
        keys.checked("x" * 100_000)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("prefix", ["job", "vid"])
def test_ids_are_unique_and_of_one_form(prefix: str) -> None:
    ids = [keys.new_id(prefix) for _ in range(10_000)]
    assert len(set(ids)) == len(ids)
    assert all(keys.is_job_id(text) == (prefix == "job") for text in ids)
    assert all(keys.is_video_id(text) == (prefix == "vid") for text in ids)


@given(moments_ms=st.lists(st.integers(0, 2**48 - 1), min_size=2, max_size=5, unique=True))
def test_ids_sort_by_age(moments_ms: list[int]) -> None:
    # Given ids of different milliseconds; the clock is set because no test can wait for the year 10889
    with pytest.MonkeyPatch.context() as patch:
        ids = {}
        for moment_ms in moments_ms:
            patch.setattr("time.time_ns", lambda moment_ms=moment_ms: moment_ms * 1_000_000)
            ids[keys.new_id("job")] = moment_ms

    # Then their order is that of their moments
    assert [ids[text] for text in sorted(ids)] == sorted(moments_ms)


@given(st.text() | st.from_regex(r"(job|vid)_[0-9a-zA-Z]{25,27}\n?", fullmatch=True))
def test_only_the_exact_form_is_an_id(text: str) -> None:
    form = re.compile(r"(job|vid)_[0123456789abcdefghjkmnpqrstvwxyz]{26}", re.ASCII)
    assert (keys.is_job_id(text) or keys.is_video_id(text)) == (form.fullmatch(text) is not None)


def test_every_key_that_is_made_here_is_allowed() -> None:
    job_id, video_id = keys.new_id("job"), keys.new_id("vid")
    made = [
        keys.upload(video_id, "mp4"),
        keys.video_record(video_id),
        keys.open_job(job_id),
        keys.done_job(job_id),
        keys.result_index(job_id),
        keys.result_prefix(job_id) + "x",
        keys.attempt_prefix(job_id, 3, "0a1b2c") + "poster.jpg",
        keys.STORAGE_ID,
        f"{keys.PROBE}/x",
    ]
    assert [keys.checked(key) for key in made] == made
    assert keys.result_index(job_id).startswith(keys.result_prefix(job_id))
    assert keys.attempt_prefix(job_id, 3, "0a1b2c").startswith(keys.result_prefix(job_id))


def test_the_first_id_of_a_moment_sorts_before_those_that_are_made_later() -> None:
    now = datetime.now(UTC)
    before, later = keys.first_id("vid", now), keys.first_id("vid", now + timedelta(minutes=1))
    assert before <= keys.new_id("vid") < later
    # And a time to live of a century leads to no id at all
    assert keys.first_id("vid", now - timedelta(days=36500)) == "vid_" + "0" * 26
