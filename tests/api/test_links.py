"""A client that polls with its ETag always has a link that does not expire soon."""

from datetime import UTC, datetime, timedelta

import pytest

from clipzy_api.links import period_of
from clipzy_storage.models.records import Link

LIFE_SECONDS = 3600
START = datetime(2026, 1, 1, 12, 0, 7, tzinfo=UTC)


def period_at(seconds: int, *, credentials_end_at: datetime | None = None) -> str:
    expires_at = START + timedelta(seconds=seconds + LIFE_SECONDS)
    return period_of(Link("https://…", min(expires_at, credentials_end_at or expires_at)), life_seconds=LIFE_SECONDS)


@pytest.mark.parametrize("asked_after_seconds", [0, 1, 899, 1000])
def test_the_period_differs_after_half_of_the_life(asked_after_seconds: int) -> None:
    later = asked_after_seconds + LIFE_SECONDS // 2
    assert period_at(asked_after_seconds) != period_at(later)


def test_the_period_changes_no_more_often_than_that() -> None:
    periods = [period_at(seconds) for seconds in range(0, 2 * LIFE_SECONDS, 60)]
    assert len(set(periods)) <= 5


def test_links_that_expire_with_the_same_credentials_have_the_same_period() -> None:
    credentials_end_at = START + timedelta(seconds=300)
    assert period_at(0, credentials_end_at=credentials_end_at) == period_at(200, credentials_end_at=credentials_end_at)
    assert period_at(0, credentials_end_at=credentials_end_at) != period_at(
        0, credentials_end_at=credentials_end_at + timedelta(hours=1)
    )


def test_a_link_that_does_not_expire_has_no_period() -> None:
    assert period_of(Link("/storage/x", None), life_seconds=LIFE_SECONDS) == ""
