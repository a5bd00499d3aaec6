"""A client that keeps asking with its ETag always holds a link that lives for a while yet."""

from datetime import UTC, datetime, timedelta

import pytest

from clipzy_api.links import period_of
from clipzy_storage.models.records import Link

LIFE_SECONDS = 3600
START = datetime(2026, 1, 1, 12, 0, 7, tzinfo=UTC)


def word_at(seconds: int, *, ends_at: datetime | None = None) -> str:
    expires_at = START + timedelta(seconds=seconds + LIFE_SECONDS)
    return period_of(Link("https://…", min(expires_at, ends_at or expires_at)), life_seconds=LIFE_SECONDS)


@pytest.mark.parametrize("asked_after_seconds", [0, 1, 899, 1000])
def test_the_word_differs_once_half_of_the_life_is_over(asked_after_seconds: int) -> None:
    later = asked_after_seconds + LIFE_SECONDS // 2
    assert word_at(asked_after_seconds) != word_at(later)


def test_the_word_changes_no_more_often_than_that() -> None:
    words = [word_at(seconds) for seconds in range(0, 2 * LIFE_SECONDS, 60)]
    assert len(set(words)) <= 5


def test_links_that_end_with_the_same_credentials_are_as_good_as_each_other() -> None:
    ends_at = START + timedelta(seconds=300)
    assert word_at(0, ends_at=ends_at) == word_at(200, ends_at=ends_at)
    assert word_at(0, ends_at=ends_at) != word_at(0, ends_at=ends_at + timedelta(hours=1))


def test_a_link_that_does_not_die_has_no_word() -> None:
    assert period_of(Link("/storage/x", None), life_seconds=LIFE_SECONDS) == ""
