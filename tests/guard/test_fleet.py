"""What a member costs Redis does not grow with their number."""

import pytest

from clipzy_storage.backends.local.storage import LocalStorage
from tests.support.fleet import Cost, Fleet

FEW, MANY = 4, 200
WORK = ("heartbeat", "look_for_probes", "one_more", "readiness_check", "reaper_pass", "janitor_pass")


@pytest.fixture(scope="module")
def fleets(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Cost]]:
    """The cost of each kind of work with a few members, and with many."""
    found: dict[str, list[Cost]] = {}
    for size in (FEW, MANY):
        directory = tmp_path_factory.mktemp("share")
        fleet = Fleet(redis_server, LocalStorage(directory, shared=True), size=size)
        for work in WORK:
            found.setdefault(work, []).append(getattr(fleet, work)())
        fleet.close()
    return found


@pytest.mark.parametrize("work", WORK)
def test_a_member_of_many_costs_what_a_member_of_a_few_does(fleets: dict[str, list[Cost]], work: str) -> None:
    few, many = fleets[work]
    assert many.commands <= few.commands * 1.1
    assert many.received_bytes <= few.received_bytes * 1.1
    assert many.sent_bytes <= few.sent_bytes * 1.1
