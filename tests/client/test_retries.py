"""What is sent again, and what is not; against a stand-in, since a real front end cannot be made to fail on demand."""

import re
import socket
import threading
import time
from pathlib import Path

import pytest

from clipzy_api.client import Client, ClipzyError, FrontEndUnreachable, UnexpectedAnswer
from tests.support.certificates import make_certificate
from tests.support.scripted_server import COMPLETED, JOB, RESULT, Exchange, Respond, accept, front_end

SOON = "0.1"
JOB_ID = str(JOB["job_id"])


def answers(status: int, body: object = None, **headers: str) -> Respond:
    return lambda exchange: exchange.answer(status, body, **headers)


def disconnect(exchange: Exchange) -> None:
    exchange.connection.shutdown(socket.SHUT_RDWR)


OVERLOADED = answers(503, {"code": "OVERLOADED", "detail": "Try again soon."}, Retry_After=SOON)
FOUND = answers(200, JOB)


def test_a_call_is_repeated_until_it_is_answered() -> None:
    # Given a front end that is overloaded, disconnects, and shows the error page of a proxy
    pauses: list[float] = []
    full = answers(429, {"code": "QUOTA_EXCEEDED", "limit": "unfinished_jobs"}, Retry_After=SOON)
    failing = (OVERLOADED, disconnect, answers(502, "<html>", Retry_After=SOON), full)
    with front_end(accept, *failing, FOUND) as server:
        # When a job is asked for, Then it is found, and each pause was as long as asked for, where it was
        client = Client(server.url, on_retry=lambda _error, seconds: pauses.append(seconds))
        assert client.job(JOB_ID).job_id == JOB_ID
    assert (pauses[0], pauses[2]) == (0.1, 0.1)


def test_a_call_is_repeated_a_few_times_at_most() -> None:
    with front_end(accept, *[OVERLOADED] * 9) as server, pytest.raises(ClipzyError, match="OVERLOADED"):
        Client(server.url, attempts=3).job(JOB_ID)
    assert len(server.polls) == 6


@pytest.mark.parametrize(
    "refusal",
    [
        answers(404, {"code": "JOB_NOT_FOUND"}),
        answers(409, {"code": "JOB_NOT_FINISHED"}, Retry_After="1"),
        answers(507, {"code": "STORAGE_FULL"}),
        answers(429, {"code": "QUOTA_EXCEEDED", "limit": "stored_bytes"}, Retry_After=SOON),
        answers(503, {"code": "QUEUE_FULL"}, Retry_After="3600"),
        answers(503, {"code": "QUEUE_FULL"}, Retry_After="Fri, 31 Dec 9999 23:59:59 GMT"),
    ],
)
def test_what_waiting_does_not_help_is_not_repeated(refusal: Respond) -> None:
    with front_end(accept, refusal, FOUND) as server, pytest.raises(ClipzyError):
        Client(server.url).job(JOB_ID)
    assert len(server.polls) == 1


def test_where_no_server_ever_was_nothing_is_repeated() -> None:
    # Given an address where no server listens
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    pauses: list[float] = []
    # When anything is asked for, Then it is an error at once
    with pytest.raises(FrontEndUnreachable, match="Connection refused") as error:
        Client(url, on_retry=lambda _error, seconds: pauses.append(seconds)).job(JOB_ID)
    assert (pauses, error.value.is_connected, error.value.is_transient) == ([], False, True)


@pytest.mark.parametrize(
    ("proxy", "cause"),
    [
        ("http://user:secret@127.0.0.1:1", "the proxy: Connection refused"),
        ("127.0.0.1:1", "the proxy: Connection refused"),
        ("socks5://127.0.0.1:1", "its address, or that of the proxy, is none"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_where_no_proxy_is_nothing_is_repeated(
    monkeypatch: pytest.MonkeyPatch, scheme: str, proxy: str, cause: str
) -> None:
    monkeypatch.setenv(f"{scheme}_proxy", proxy)
    pauses: list[float] = []
    with pytest.raises(FrontEndUnreachable, match=re.escape(f"at {scheme}://clipzy.test ({cause}).")) as error:
        Client(f"{scheme}://clipzy.test", on_retry=lambda _error, seconds: pauses.append(seconds)).job(JOB_ID)
    assert (pauses, error.value.is_connected) == ([], False)


def test_a_deletion_whose_answer_was_lost_is_done() -> None:
    gone = answers(404, {"code": "JOB_NOT_FOUND", "detail": "There is no such job."})
    with front_end(accept, disconnect, gone) as server:
        Client(server.url).delete(JOB_ID)
    with front_end(accept, gone) as server, pytest.raises(ClipzyError, match="JOB_NOT_FOUND"):
        Client(server.url).delete(JOB_ID)


def test_a_redirect_is_not_followed_with_the_key() -> None:
    # Given an address that redirects, as a proxy does that wants https
    with front_end(accept, FOUND) as elsewhere:
        moved = answers(301, Location=f"{elsewhere.url}/?key=secret")
        with front_end(accept, moved) as server, pytest.raises(UnexpectedAnswer, match="301, a redirect to") as error:
            # When a job is asked for, Then the error names where it leads, and nothing was sent there
            Client(server.url, api_key="clz_a_b").job(JOB_ID)
    assert "secret" not in str(error.value)
    assert (server.seen[0]["Authorization"], elsewhere.seen) == ("Bearer clz_a_b", [])


def test_a_file_elsewhere_is_fetched_without_the_key() -> None:
    with front_end(accept, answers(200, {"step_seconds": 1})) as storage:
        moved = answers(302, Location=f"{storage.url}/bucket/motion.json?Signature=x")
        with front_end(accept, moved) as server:
            client = Client(server.url, api_key="clz_a_b")
            assert client.read_json(JOB_ID, "motion.json") == {"step_seconds": 1}
    assert ("Authorization" in server.seen[0], "Authorization" in storage.seen[0]) == (True, False)


@pytest.mark.parametrize("body", [{"hello": "world"}, {**JOB, "status": "lost"}, [], "text"])
def test_what_is_not_an_answer_of_clipzy_is_an_error(body: object) -> None:
    with front_end(accept, answers(200, body)) as server, pytest.raises(UnexpectedAnswer, match="not a Job"):
        Client(server.url).job(JOB_ID)


def test_what_a_later_version_adds_is_ignored() -> None:
    with front_end(accept, answers(200, {**JOB, "later": 1})) as server:
        assert Client(server.url).job(JOB_ID).job_id == JOB_ID
    with front_end(accept, answers(200, {**RESULT, "later": 1, "source": {**RESULT["source"], "later": 2}})) as server:
        assert Client(server.url).result(JOB_ID).source.width == 640


def test_a_login_in_the_address_is_sent() -> None:
    with front_end(accept, FOUND) as server:
        Client(server.url.replace("//", "//user:pass%40word@")).job(JOB_ID)
    assert server.seen[0]["Authorization"] == "Basic dXNlcjpwYXNzQHdvcmQ="


def test_a_proxy_of_the_environment_is_used(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths: list[str] = []

    def respond(exchange: Exchange) -> None:
        paths.append(exchange.path)
        exchange.answer(200, JOB)

    def respond_to_upload(exchange: Exchange) -> None:
        paths.append(exchange.path)
        accept(exchange)

    # Given an address that can be reached through a proxy alone, which wants a login
    with front_end(respond_to_upload, respond, FOUND) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//user:secret@"))
        # When it is asked, Then by way of the proxy
        client = Client("http://clipzy.test")
        assert client.job(JOB_ID).job_id == client.submit(video).job_id
        assert paths == [f"http://clipzy.test/api/v1/jobs/{JOB_ID}", "http://clipzy.test/api/v1/jobs"]
        assert proxy.seen[0]["proxy-authorization"] == "Basic dXNlcjpzZWNyZXQ="
        # And this machine itself without it, as what NO_PROXY names
        monkeypatch.setenv("http_proxy", "127.0.0.1:1")
        assert Client(proxy.url).job(JOB_ID).job_id == JOB_ID
        monkeypatch.setenv("no_proxy", "clipzy.test")
        with pytest.raises(FrontEndUnreachable, match=r"no front end can be reached at http://clipzy\.test"):
            Client("http://clipzy.test").job(JOB_ID)


def test_outages_are_bridged_while_a_job_is_waited_for() -> None:
    polls = [FOUND, OVERLOADED, disconnect, answers(304), answers(200, COMPLETED)]
    with front_end(accept, *polls) as server:
        assert Client(server.url).wait(JOB_ID, poll_seconds=0.05).status == "completed"


def test_an_upload_over_https(tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's certificates are believed, and what SSL_CERT_FILE names."""
    certificate = make_certificate(tmp_path)
    with front_end() as server, certificate.in_front_of("127.0.0.1", server.server_port) as port:
        url = f"https://127.0.0.1:{port}"
        with pytest.raises(FrontEndUnreachable, match="certificate"):
            Client(url).submit(video)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
        assert Client(url).submit(video).job_id == JOB_ID


def test_a_silent_front_end_is_given_up() -> None:
    # Given a server that accepts connections and says nothing
    done = threading.Event()

    def be_silent(_exchange: Exchange) -> None:
        done.wait(60)

    with front_end(accept, be_silent, FOUND) as server:
        started_at = time.monotonic()
        # When a job is asked for, Then the call ends after the client's own time, and is repeated
        assert Client(server.url, timeout_seconds=0.2).job(JOB_ID).job_id == JOB_ID
        done.set()
    assert time.monotonic() - started_at < 30
