"""The Python client and `clipzy submit` upload large files: over broken connections, after a kill, beside others."""

import os
import random
import signal
import stat
from pathlib import Path

import pytest

from clipzy_api.client import Client, ClipzyError, FrontEndUnreachable, Job, UnusableFile
from clipzy_api.client.uploads.uploader import FORM_BYTES
from tests.support.certificates import make_certificate
from tests.support.failpoint_file import FailpointFile
from tests.support.forms import mp4_bytes
from tests.support.processes import clipzy
from tests.support.tcp_proxy import Fault
from tests.support.waiting import eventually
from tests.uploads.client_line import CONTENT, MIB, Line, interrupted
from tests.uploads.tus_client import JOBS, UPLOADS, another, ask


def test_a_large_file_takes_the_best_method(line: Line, file: Path) -> None:
    # When a large file is submitted
    job = line.submit(file)
    # Then its bytes took the way that the storage offers
    line.check(job)
    assert len(CONTENT) <= line.proxy.received_bytes < len(CONTENT) + MIB
    with Client(line.url) as client:
        video = client.video(job.video_id)
        assert (video.filename, video.size_bytes, video.sha256 is None) == (file.name, len(CONTENT), line.is_direct)
        # And progress was reported to the end
        assert (line.seen[0], line.seen[-1]) == (0, len(CONTENT))
        # And without a job, or by another method, it is a video as well
        for method in (None, "form", "tus"):
            video = client.upload(file, method=method)
            assert video.size_bytes == len(CONTENT)


def test_over_https_a_file_that_is_no_video_is_refused_early(
    line: Line, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    with (
        certificate.in_front_of("127.0.0.1", line.front_end.port) as port,
        Client(f"https://127.0.0.1:{port}") as client,
    ):
        # Given a file that is no video, When it is sent, Then that is said after its first bytes
        file.write_bytes(bytes(len(CONTENT)))
        with pytest.raises(ClipzyError, match="UNSUPPORTED_FORMAT"):
            client.upload(file, method="tus", on_progress=line.report)
        assert max(line.seen) < MIB
        # And a video arrives whole
        file.write_bytes(CONTENT)
        video = client.upload(file, method="tus", on_progress=line.report)
        assert (video.size_bytes, line.seen[-1]) == (len(CONTENT), len(CONTENT))


def test_a_small_file_takes_one_request(line: Line, file: Path) -> None:
    file.write_bytes(CONTENT[: FORM_BYTES - 1])
    with Client(line.url) as client:
        assert client.upload(file).sha256
    assert not line.state.exists() or line.remembered() == []


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(4, 20))])
def test_broken_connections_cost_what_was_in_flight(line: Line, file: Path, seed: int) -> None:
    # Given connections that break at random places, some of them before the answer
    chance = random.Random(seed)
    kind, of = chance.choice(["reset", "cut"]), chance.choice(["request", "request", "answer"])
    after_bytes = chance.randrange(12 * MIB) if of == "request" else 0
    line.proxy.suffer(Fault(kind, of=of, after_bytes=after_bytes, connections=chance.randint(1, 4)))  # type: ignore[arg-type]
    # When the file is submitted, Then it arrives whole, once
    jobs = line.front_end.get(JOBS).json()["total"]
    line.check(line.submit(file))
    assert line.front_end.get(JOBS).json()["total"] == jobs + 1
    # And with tus less than twice; directly, a part is the least that is sent again
    assert line.proxy.received_bytes < (3 if line.is_direct else 2) * len(CONTENT)


def test_an_outage_is_bridged(line: Line, file: Path) -> None:
    # Given a command that is sending a file, when its server is out of reach for a while
    line.proxy.suffer(Fault("silence", of="request", after_bytes=10 * MIB))
    command = line.command(file)
    eventually(lambda: line.proxy.received_bytes > 9 * MIB, "some of the file")
    line.proxy.suffer(Fault("refuse"))
    command.wait_for_log("Trying again in")
    line.proxy.heal()
    # Then it goes on once that is back
    assert command.wait() == 0, command.output()
    assert line.proxy.received_bytes < 2 * len(CONTENT)
    assert list((line.state / "clipzy/uploads").iterdir()) == []


def test_a_killed_command_is_continued_by_the_next_one(line: Line, file: Path) -> None:
    # Given a command that was killed in the middle
    sent_bytes = interrupted(line, file)
    assert sent_bytes < len(CONTENT)
    # Then what it has kept is for its user alone, and has no secrets
    (path,) = line.remembered()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert "Signature" not in path.read_text()
    upload_id = line.unfinished()["upload_id"]
    # When the command is run again
    ended = clipzy("submit", str(file), "--json", cwd=file.parent, CLIPZY_URL=line.url, XDG_STATE_HOME=str(line.state))
    # Then the upload is finished, with what was missing
    assert ended.returncode == 0, ended.stderr
    job = Job.model_validate_json(ended.stdout)
    assert job.video_id == upload_id
    line.check(job)
    assert line.proxy.received_bytes < len(CONTENT) - 7 * MIB
    assert line.proxy.received_bytes + sent_bytes < len(CONTENT) + 33 * MIB


def test_what_has_arrived_is_reported_at_once(line: Line, file: Path) -> None:
    interrupted(line, file)
    line.check(line.submit(file))
    assert line.seen[0] >= 7 * MIB
    assert line.seen[-1] == len(CONTENT)


def test_an_interrupt_tells_how_to_go_on(line: Line, file: Path) -> None:
    line.proxy.suffer(Fault("silence", of="request", after_bytes=MIB))
    command = line.command(file)
    eventually(lambda: line.proxy.received_bytes >= MIB, "some of the file")
    command.send(signal.SIGINT)
    assert command.wait() == 130
    assert f"clipzy: {file} is not submitted. Submit it again, and the upload goes on.\n" in command.output()
    line.proxy.heal()
    line.check(line.submit(file))


def test_a_file_that_was_changed_begins_anew(line: Line, file: Path) -> None:
    # Given an interrupted upload of a file that another one has replaced
    interrupted(line, file)
    before = str(line.unfinished()["upload_id"])
    content = mp4_bytes(len(CONTENT))
    file.write_bytes(content)
    # When it is submitted, Then all of it is sent, and of the old one nothing is left
    job = line.submit(file)
    line.check(job, content)
    assert job.video_id != before
    assert line.proxy.received_bytes >= len(CONTENT)
    assert line.deployed.left(before) == []


def test_a_file_that_changes_while_it_is_sent_is_refused(line: Line, file: Path) -> None:
    def change(done_bytes: int, _total_bytes: int) -> None:
        if done_bytes:
            os.utime(file)

    with Client(line.url) as client, pytest.raises(UnusableFile, match="was changed while it was sent"):
        client.submit(file, on_progress=change)
    assert line.remembered() == []
    assert line.front_end.get("/api/v1/me").json()["usage"]["uploads"] == 0


def test_an_upload_that_the_front_end_knows_no_more_begins_anew(line: Line, file: Path) -> None:
    interrupted(line, file)
    before = line.unfinished()
    path = f"{UPLOADS}/s3/{before['upload_id']}" if line.is_direct else f"{UPLOADS}/{before['upload_id']}"
    eventually(lambda: ask(line.front_end, "DELETE", path).status_code == 204, "an upload that nobody writes")
    job = line.submit(file)
    line.check(job)
    assert job.video_id != before["upload_id"]


def test_two_commands_at_once_make_two_jobs(line: Line, file: Path) -> None:
    # Given a command that is sending a file
    line.proxy.suffer(Fault("silence", of="request", after_bytes=MIB, connections=3))
    first = line.command(file)
    eventually(lambda: line.proxy.received_bytes >= MIB, "some of the file")
    # When another one submits it too
    job = line.submit(file)
    # Then they are two, and what the first one remembers is its own
    assert job.video_id != line.unfinished()["upload_id"]
    line.proxy.heal()
    assert first.wait() == 0, first.output()
    assert job.job_id not in first.output()
    line.check(job)


def test_a_job_whose_answer_was_lost_is_not_made_twice(line: Line, file: Path, tmp_path: Path) -> None:
    # Given a front end that dies once it has made the job, and is back soon
    orders = FailpointFile(tmp_path / "failpoint")
    orders.order("job-submitted", "exit-once")
    jobs = line.front_end.get(JOBS).json()["total"]
    with another(line.deployed, tmp_path / "doomed", **orders.settings) as doomed:
        with Client(doomed.url, attempts=1) as client, pytest.raises(FrontEndUnreachable):
            client.submit(file)
        assert orders.has_fired()
        upload_id = line.unfinished()["upload_id"]
        # When the file is submitted again, Then it is the same job, and nothing is sent
        with Client(doomed.url) as client:
            job = client.submit(file, on_progress=line.report)
    assert set(line.seen) == {len(CONTENT)}
    assert job.video_id == upload_id
    assert line.front_end.get(JOBS).json()["total"] == jobs + 1
    line.check(job)


def test_options_may_be_corrected_without_sending_the_file_again(line: Line, file: Path) -> None:
    with Client(line.url) as client:
        with pytest.raises(ClipzyError, match="INVALID_FIELD"):
            client.submit(file, config={"colour": "red"})
        line.proxy.received_bytes = 0
        job = client.submit(file, config={"reuse": False})
    line.check(job)
    assert line.proxy.received_bytes < MIB


def test_under_a_key_of_ones_own_a_repetition_sends_nothing(line: Line, file: Path) -> None:
    key = f"key-{os.urandom(8).hex()}"
    jobs = []
    for _ in range(2):
        with Client(line.url) as client:
            jobs.append(client.submit(file, idempotency_key=key).job_id)
    assert jobs[0] == jobs[1]
    assert line.proxy.received_bytes < len(CONTENT) + MIB


def test_without_a_place_for_its_state_a_file_is_sent_as_well(
    line: Line, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    with Client(line.url) as client:
        assert client.upload(file).size_bytes == len(CONTENT)


def test_what_is_no_video_ends_early_and_is_forgotten(line: Line, file: Path) -> None:
    file.write_bytes(b"no video".ljust(len(CONTENT)))
    with Client(line.url) as client, pytest.raises(ClipzyError, match="UNSUPPORTED_FORMAT"):
        client.submit(file)
    assert line.remembered() == []


def test_what_is_remembered_wrongly_is_not_used(line: Line, file: Path) -> None:
    interrupted(line, file)
    (path,) = line.remembered()
    path.write_text("{")
    line.check(line.submit(file))
