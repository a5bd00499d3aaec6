"""`clipzy submit`, as a real process, against a stand-in for the front end."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest
from werkzeug.formparser import parse_form_data

from tests.support.processes import CLIPZY, clipzy, environment
from tests.support.scripted_server import COMPLETED, FAILED, JOB, RUNNING, Exchange, Respond, accept, front_end
from tests.support.waiting import TIMEOUT_SECONDS

SOON = "0.1"


def answers(job: dict[str, object], *, etag: str) -> Respond:
    return lambda exchange: exchange.answer(200, job, ETag=etag, Retry_After=SOON)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / 'my "best" holiday ☀.mp4'
    path.write_bytes(os.urandom(700_001))
    return path


def test_the_file_arrives_unchanged_and_only_the_job_is_printed(video: Path, tmp_path: Path) -> None:
    # Given a front end that keeps what it receives
    received = io.BytesIO()
    content_type = ""

    def keep(exchange: Exchange) -> None:
        nonlocal content_type
        content_type = exchange.headers["Content-Type"]
        received.writelines(exchange.body())
        exchange.answer(202, JOB)

    # When a file is submitted
    with front_end(keep) as server:
        options = ("--json", "--webhook-url", "https://hooks.example.com/")
        ended = clipzy("submit", str(video), *options, cwd=tmp_path, CLIPZY_URL=server.url)

    # Then it has arrived under its name, with its webhook, and standard output is the job only
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == JOB
    length = str(received.tell())
    received.seek(0)
    environ = {"wsgi.input": received, "CONTENT_TYPE": content_type, "CONTENT_LENGTH": length, "REQUEST_METHOD": "POST"}
    _, form, files = parse_form_data(environ)
    sent = files["file"]
    with sent.stream:
        assert (sent.filename, sent.read()) == (video.name, video.read_bytes())
    assert dict(form) == {"webhook_url": "https://hooks.example.com/"}


def test_an_upload_without_an_answer_is_sent_again_under_the_same_key(video: Path, tmp_path: Path) -> None:
    """Without the key, each of these uploads would create a job."""
    # Given a front end that receives the file but loses its answer, is overloaded, disconnects, and then answers
    keys: list[str] = []
    sizes: list[int] = []

    def lose(exchange: Exchange) -> None:
        sizes.append(sum(len(data) for data in exchange.body()))
        exchange.connection.shutdown(socket.SHUT_RDWR)

    def be_overloaded(exchange: Exchange) -> None:
        exchange.answer(503, {"code": "OVERLOADED", "detail": "Try again soon."}, Retry_After=SOON)
        sizes.append(sum(len(data) for data in exchange.body()))

    def disconnect(exchange: Exchange) -> None:
        sizes.append(len(next(exchange.body())))
        exchange.connection.shutdown(socket.SHUT_RDWR)

    responses = [lose, be_overloaded, disconnect, accept]

    def respond(exchange: Exchange) -> None:
        keys.append(exchange.headers["Idempotency-Key"])
        responses.pop(0)(exchange)

    # When a file is submitted
    with front_end(respond) as server:
        ended = clipzy("submit", str(video), "--json", cwd=tmp_path, CLIPZY_URL=server.url)

    # Then it is sent until it is accepted, each time under the same key
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == JOB
    assert (len(keys), len(set(keys))) == (4, 1)
    assert len(keys[0]) >= 32
    assert sizes[0] > video.stat().st_size


def test_an_upload_is_sent_a_few_times_at_most(video: Path, tmp_path: Path) -> None:
    # Given a front end that is always overloaded, one that fails, and one that refuses
    answered: list[int] = []

    def answer(status: int) -> Respond:
        def respond(exchange: Exchange) -> None:
            for _ in exchange.body():
                pass
            answered.append(status)
            exchange.answer(status, {"code": f"CODE_{status}", "detail": "No."}, Retry_After=SOON)

        return respond

    # When a file is submitted, then the command stops after some attempts or the first, and prints the problem
    for status, times, exit_status in ((503, 5, 75), (500, 1, 1), (422, 1, 1)):
        with front_end(answer(status)) as server:
            ended = clipzy("submit", str(video), cwd=tmp_path, CLIPZY_URL=server.url)
        assert ended.returncode == exit_status
        assert f"clipzy: CODE_{status}: No." in ended.stderr
        assert answered.count(status) == times


@pytest.mark.parametrize(("limit", "times", "exit_status"), [("stored_bytes", 1, 1), ("uploads", 2, 0)])
def test_a_quota_is_waited_for_where_that_helps(
    video: Path, tmp_path: Path, limit: str, times: int, exit_status: int
) -> None:
    # Given an owner who has as much as is allowed, until later
    asked: list[str] = []

    def respond(exchange: Exchange) -> None:
        asked.append(exchange.path)
        if len(asked) > 1:
            accept(exchange)
            return
        sum(map(len, exchange.body()))
        exchange.answer(429, {"code": "QUOTA_EXCEEDED", "detail": "There are 2.", "limit": limit}, Retry_After="1")

    # When a file is submitted, Then it waits for a slot, and says so; but not for files that somebody has to delete
    with front_end(respond) as server:
        ended = clipzy("submit", str(video), cwd=tmp_path, CLIPZY_URL=server.url)
    assert (len(asked), ended.returncode) == (times, exit_status)
    line = "QUOTA_EXCEEDED: There are 2."
    assert ended.stderr.startswith(f"{line} Trying again in 1 s.\n" if times > 1 else f"clipzy: {line} (CLIPZY_URL=")


def test_a_job_is_followed_through_outages_until_it_is_finished(video: Path, tmp_path: Path) -> None:
    # Given a front end that is unavailable in several ways while the job runs
    polls: list[Respond] = [
        answers(RUNNING, etag='W/"1"'),
        lambda exchange: exchange.answer(304, ETag='W/"1"', Retry_After=SOON),
        lambda exchange: exchange.answer(503, {"code": "QUEUE_UNAVAILABLE"}, Retry_After=SOON),
        lambda exchange: exchange.connection.shutdown(socket.SHUT_RDWR),
        answers(COMPLETED, etag='W/"2"'),
    ]

    # When a file is submitted and waited for
    with front_end(accept, *polls) as server:
        ended = clipzy("submit", str(video), "--wait", "--json", cwd=tmp_path, CLIPZY_URL=server.url)
        sent_etags = [headers.get("If-None-Match") for headers in server.seen]

    # Then the finished job is printed as the front end answered it
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["result"]["storage_url"] == COMPLETED["result"]["storage_url"]
    assert sent_etags == [None, 'W/"1"', 'W/"1"', 'W/"1"', 'W/"1"']


def test_the_result_is_printed_as_an_absolute_link(video: Path, tmp_path: Path) -> None:
    link = COMPLETED["result"]["storage_url"] + "?expires=1&signature=2"
    signed = COMPLETED | {"result": {"storage_url": link, "expires_at": None}}
    with front_end(accept, answers(signed, etag='W/"1"')) as server:
        ended = clipzy("submit", str(video), "--wait", cwd=tmp_path, CLIPZY_URL=server.url)
    assert ended.returncode == 0
    assert f" {server.url}{link}\n" in ended.stdout


def test_waiting_for_a_failed_job_fails(video: Path, tmp_path: Path) -> None:
    with front_end(accept, answers(FAILED, etag='W/"1"')) as server:
        ended = clipzy("submit", str(video), "--wait", cwd=tmp_path, CLIPZY_URL=server.url)
    assert ended.returncode == 3
    assert "INVALID_MEDIA: The file has no video frames." in ended.stdout


def test_a_refusal_during_an_upload_is_read(tmp_path: Path) -> None:
    # Given a file larger than the socket buffers of both sides
    size_bytes = 64 << 20
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(size_bytes)
    drained: list[int] = []

    def refuse(exchange: Exchange) -> None:
        exchange.answer(413, {"code": "FILE_TOO_LARGE", "detail": "At most 1 MiB."}, Connection="close")
        drained.append(sum(len(data) for data in exchange.body()))

    # When the front end refuses it without reading it
    with front_end(refuse) as server:
        ended = clipzy("submit", str(large), cwd=tmp_path, CLIPZY_URL=server.url)

    # Then the rest is not sent, and the reason is printed on one line
    assert drained[0] < size_bytes
    assert ended.returncode == 1
    assert ended.stderr == f"clipzy: FILE_TOO_LARGE: At most 1 MiB. (CLIPZY_URL={server.url})\n"


def test_a_large_file_is_not_held_in_memory(tmp_path: Path) -> None:
    # Given a file larger than the memory limit below
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(400 << 20)

    # When it is submitted by way of a small process, since a child inherits the peak of its parent
    measure = "import resource, subprocess, sys; print(subprocess.run(sys.argv[1:]).returncode);"
    measure += " print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"
    with front_end() as server:
        command = [sys.executable, "-c", measure, *CLIPZY, "submit", str(large)]
        env = environment(CLIPZY_URL=server.url)
        ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)

    # Then the command has used little memory
    assert ended.stdout.splitlines()[-1] == "0"
    peak_kib = int(ended.stderr.splitlines()[-1])
    assert peak_kib < 150 << 10


@pytest.mark.parametrize(
    ("name", "complaint"), [("missing.mp4", "No such file"), ("empty", "has no video files"), ("empty.mp4", "is empty")]
)
def test_a_file_that_cannot_be_sent_is_reported_on_one_line(name: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "empty").mkdir()
    ended = clipzy("submit", str(tmp_path / name), cwd=tmp_path)
    assert ended.returncode == 1
    assert complaint in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_an_address_without_a_server_is_reported(video: Path, tmp_path: Path) -> None:
    # Given an address where no server listens
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    # When a file is submitted to it
    ended = clipzy("submit", str(video), cwd=tmp_path, CLIPZY_URL=url)

    # Then one line reports that and the remedy
    assert ended.returncode == 75
    assert ended.stderr.startswith(f"clipzy: no front end can be reached at CLIPZY_URL={url} (Connection refused)")
    assert ended.stderr.count("\n") == 1


def test_an_address_of_another_service_is_reported(video: Path, tmp_path: Path) -> None:
    with front_end(lambda exchange: exchange.answer(404, "no such page")) as server:
        ended = clipzy("submit", str(video), cwd=tmp_path, CLIPZY_URL=server.url)
    assert ended.returncode == 1
    assert ended.stderr == (
        "clipzy: the server answered with status 404, but not as Clipzy does. Set the address to that of the front end."
        f" (CLIPZY_URL={server.url})\n"
    )


def test_an_interrupt_tells_that_the_job_goes_on(video: Path, tmp_path: Path) -> None:
    # Given a command that waits for a job
    polled = Event()

    def still_running(exchange: Exchange) -> None:
        polled.set()
        exchange.answer(200, RUNNING, Retry_After="30")

    with front_end(accept, still_running) as server:
        command = [*CLIPZY, "submit", str(video), "--wait"]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment(CLIPZY_URL=server.url),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert polled.wait(TIMEOUT_SECONDS)

        # When it is interrupted
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=TIMEOUT_SECONDS)

    # Then it exits immediately, and says that the job goes on
    assert process.returncode == 130
    assert stderr.endswith(f"clipzy: {JOB['job_id']} goes on. Follow it with `clipzy watch {JOB['job_id']}`.\n")
    assert "Traceback" not in stderr
