"""What one address may have of a front end behind nginx, so that nobody can fill it alone."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import read_bytes
from clipzy_storage.models.output import attempt_prefix_of
from tests.support.event_stream import EventStream
from tests.support.ipv6_clients import ADDRESSES, IN_OWN_NETWORK
from tests.support.nginx import Nginx, running_nginx
from tests.support.played_worker import complete, submit
from tests.support.requirements import missing
from tests.support.servers import FrontEnd
from tests.support.waiting import eventually
from tests.support.wire import Answer, connect, exchange, head

HOSTILE, OTHER = "127.0.0.2", "127.0.0.1"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, front_end: FrontEnd) -> Iterator[Nginx]:
    """nginx that allows one address two downloads, two event streams, and few posts."""
    few = {"NGINX_DOWNLOADS_PER_CLIENT": "2", "NGINX_EVENT_STREAMS_PER_CLIENT": "2", "NGINX_POSTS_BURST": "4"}
    directory = tmp_path_factory.mktemp("nginx")
    with running_nginx(
        directory, upstream_port=front_end.port, max_file_size_mb=1, NGINX_POSTS_PER_SECOND="1", **few
    ) as running:
        yield running


def assert_overloaded(answer: Answer) -> None:
    assert (answer.status, answer.headers["content-type"]) == (503, "application/problem+json")
    assert answer.json()["code"] == "OVERLOADED"
    assert int(answer.headers["retry-after"]) > 0


@pytest.fixture(scope="module")
def large_file(front_end: FrontEnd) -> dict[str, str]:
    """The addresses of a file that is larger than what is buffered on its way."""
    job_id = submit(front_end)["job_id"]
    complete(front_end, job_id, artifacts={"large.mp4": bytes(50 << 20)})
    key = f"{attempt_prefix_of(job_id, read_bytes(front_end.storage, keys.result_index(job_id)))}large.mp4"
    return {"link": f"/storage/{key}", "file": f"/api/v1/jobs/{job_id}/files/large.mp4"}


@pytest.mark.parametrize("address", ["link", "file"])
def test_one_address_has_a_limit_of_downloads(nginx: Nginx, large_file: dict[str, str], address: str) -> None:
    request = head(large_file[address], method="GET")
    with ExitStack() as stack:
        # Given as many readers of a file as one address may have
        for _ in range(2):
            reader = stack.enter_context(connect(nginx.port, host=HOSTILE))
            reader.sendall(request)
            assert reader.recv(1)
        # When it asks for another, then it is refused
        for path in (large_file[address], "/docs/page.js"):
            assert_overloaded(exchange(nginx.port, head(path, method="GET"), host=HOSTILE))
        # And its polls are answered, and so are the downloads of others
        assert exchange(nginx.port, head("/api/v1/jobs", method="GET"), host=HOSTILE).status == 200
        assert exchange(nginx.port, head("/docs/page.js", method="GET"), host=OTHER).status == 200
    assert eventually(lambda: exchange(nginx.port, head("/docs/page.js", method="GET"), host=HOSTILE).status == 200)


def test_one_address_has_a_limit_of_event_streams(nginx: Nginx, front_end: FrontEnd) -> None:
    job_id = submit(front_end)["job_id"]
    request = head(f"/api/v1/jobs/{job_id}/events", method="GET")
    with ExitStack() as stack:
        # Given as many event streams as one address may have
        for _ in range(2):
            follower = stack.enter_context(connect(nginx.port, host=HOSTILE))
            follower.sendall(request)
            assert follower.recv(1)
        # When it asks for another, then it is refused
        assert_overloaded(exchange(nginx.port, request, host=HOSTILE))
        # And its polls are answered, and others may follow
        assert exchange(nginx.port, head(f"/api/v1/jobs/{job_id}", method="GET"), host=HOSTILE).status == 200
        assert stack.enter_context(EventStream(nginx.port, job_id)).status == 200


def test_one_address_has_a_limit_of_posts(nginx: Nginx) -> None:
    # When one address posts more often than it may
    post, get = head("/api/v1/jobs/job_none/cancel"), head("/api/v1/jobs", method="GET")
    answers = [exchange(nginx.port, post, host=HOSTILE) for _ in range(10)]
    # Then the first are answered, and others are refused
    assert [answer.status for answer in answers[:5]] == [404] * 5
    assert_overloaded(next(answer for answer in answers[5:] if answer.status != 404))
    # And its polls are answered, and so are the posts of others
    assert exchange(nginx.port, get, host=HOSTILE).status == 200
    assert exchange(nginx.port, post, host=OTHER).status == 404


def test_a_network_of_64_bits_is_one_address(tmp_path: Path) -> None:
    # Given a network with several addresses of this machine
    if subprocess.run([*IN_OWN_NETWORK, "ip", "link"], check=False, capture_output=True).returncode != 0:
        missing("needs network namespaces, and ip")
    command = [*IN_OWN_NETWORK, sys.executable, "-m", "tests.support.ipv6_clients", str(tmp_path)]
    # When each posts as often as one address may, one after the other
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    # Then a second address of the same network has less left, and those of others have as much
    first, second, *others = (json.loads(done.stdout)[address] for address in ADDRESSES)
    assert first == [502] * 3
    assert 503 in second
    assert others == [first] * 3
