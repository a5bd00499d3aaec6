"""The commands that are clients of a front end: what they print and their exit statuses. The worker is played."""

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from clipzy_api.cli import client_commands, commands
from clipzy_api.exports import FORMAT_NAMES
from clipzy_storage.models.records import ErrorCode
from tests.exports.documents import output
from tests.models.test_output import EXAMPLE
from tests.support import played_worker
from tests.support.forms import mp4_bytes
from tests.support.processes import CLIPZY, clipzy, environment
from tests.support.scripted_server import COMPLETED, JOB, RUNNING, accept
from tests.support.scripted_server import front_end as stand_in
from tests.support.servers import FrontEnd, running_front_end, running_redis
from tests.support.waiting import eventually

SERVICES = ("up", "web", "worker", "flower", "demo")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def front_end(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnd]:
    with (
        running_redis(tmp_path_factory.mktemp("redis")) as redis,
        running_front_end(tmp_path_factory.mktemp("web"), redis.url, MAX_FILE_SIZE_MB="1") as running,
    ):
        yield running


@pytest.fixture
def run(front_end: FrontEnd, tmp_path: Path) -> Run:
    return lambda *arguments: clipzy(*arguments, cwd=tmp_path, CLIPZY_URL=front_end.url)


def new_job(front_end: FrontEnd, **options: Any) -> str:
    return str(played_worker.submit(front_end, **options)["job_id"])


def test_several_files_become_jobs(run: Run, front_end: FrontEnd, tmp_path: Path) -> None:
    # Given a directory with two videos, a file that is none and one that is too large; and a config in a file
    films = tmp_path / "films"
    films.mkdir()
    for name, content in {"a.mp4": mp4_bytes(999), "b.mp4": b"no video", "c.mp4": mp4_bytes(999)}.items():
        (films / name).write_bytes(content)
    (films / "large.mkv").write_bytes(mp4_bytes(2 << 20))
    (tmp_path / "config.json").write_text('{"sprites": false}')
    # When it is submitted
    ended = run("submit", "films", "--config", "config.json", "--queue", "batch")
    # Then each video has a job, each other file a line with the reason, and the status tells that there were some
    ids = [line.split("  ")[0] for line in ended.stdout.splitlines()]
    assert [line.split("  ")[1] for line in ended.stdout.splitlines()] == ["a.mp4", "c.mp4"]
    assert [line.split(": ")[1:3] for line in ended.stderr.splitlines()] == [
        ["films/b.mp4", "UNSUPPORTED_FORMAT"],
        ["films/large.mkv", "FILE_TOO_LARGE"],
    ]
    assert ended.returncode == 1
    # And the jobs are as asked for
    for job_id in ids:
        job = front_end.get(f"/api/v1/jobs/{job_id}").json()
        assert (job["config"], job["queue"]) == ({"sprites": False}, "batch")


def test_a_line_of_json_is_printed_for_each_job(run: Run, tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(mp4_bytes(999))
    ended = run("submit", "*.mp4", "--json")
    assert [json.loads(line)["filename"] for line in ended.stdout.splitlines()] == ["a.mp4", "b.mp4"]
    assert (ended.returncode, ended.stderr) == (0, "")


def test_what_concerns_all_files_ends_the_command(run: Run, tmp_path: Path, free_port: int) -> None:
    # Given two files
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(mp4_bytes(999))
    # When they are submitted with a config that is wrong, or where no front end is, Then that is said once
    ended = run("submit", "a.mp4", "b.mp4", "--config", '{"sprites": "no"}')
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    ended = clipzy("submit", "a.mp4", "b.mp4", cwd=tmp_path, CLIPZY_URL=f"http://127.0.0.1:{free_port}")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (75, "", 1)


@pytest.mark.parametrize("config", ["missing.json", "{", "{}}", "[]", '{"a": NaN}'])
def test_a_config_that_is_none_is_wrong_usage(run: Run, tmp_path: Path, config: str) -> None:
    (tmp_path / "a.mp4").write_bytes(mp4_bytes(999))
    ended = run("submit", "a.mp4", "--config", config)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Invalid value for '--config': " in ended.stderr


def test_jobs_are_listed(run: Run, front_end: FrontEnd) -> None:
    # Given jobs
    made = [new_job(front_end, filename=name) for name in ("a.mp4", "b.mp4", "c.mp4")]
    # When they are listed, Then there is a line for each, the newest first, and the rest is announced
    ended = run("list", "--page-size", "2")
    head, *rows = ended.stdout.splitlines()
    assert head.split() == ["JOB", "STATUS", "PROGRESS", "CREATED", "FILE"]
    assert [row.split()[0] for row in rows] == made[:0:-1]
    assert ended.stderr.startswith("page 1 of ")
    # And as JSON the page is one document, and all of them a line each
    page = json.loads(run("list", "--page", "2", "--page-size", "2", "--json").stdout)
    assert (page["page"], page["jobs"][0]["job_id"]) == (2, made[0])
    lines = run("list", "--all", "--json", "--status", "queued").stdout.splitlines()
    assert [json.loads(line)["job_id"] for line in lines][:3] == made[::-1]
    assert run("list", "--status", "lost").returncode == 2


def test_a_reader_that_leaves_is_no_error(front_end: FrontEnd, tmp_path: Path) -> None:
    new_job(front_end)
    command = f"{' '.join(CLIPZY)} list --all --json | head -c 1"
    env = environment(CLIPZY_URL=front_end.url)
    ended = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr) == ("{", "")


@pytest.mark.parametrize("command", ["list", "status", "submit", "cancel"])
def test_what_a_front_end_says_cannot_write_to_the_terminal(tmp_path: Path, command: str) -> None:
    """A front end may be a stranger's."""
    # Given a front end whose every word would clear the screen
    evil = "\x1b[2J"
    job = {**RUNNING, "filename": evil, "current_stage": evil}
    page = {"jobs": [job], "total": 1, "page": 1, "page_size": 20, "next_cursor": None}
    problem = {"code": evil, "detail": evil}
    (tmp_path / "a.mp4").write_bytes(mp4_bytes(999))
    # When commands ask it, Then nothing of that reaches the terminal
    arguments = {"list": (), "status": (JOB["job_id"],), "submit": ("a.mp4",), "cancel": (JOB["job_id"],)}[command]
    answers = {"list": (200, page), "status": (200, job), "submit": (202, job), "cancel": (409, problem)}[command]
    respond = lambda exchange: exchange.answer(*answers)  # noqa: E731
    with stand_in(respond, respond) as server:
        ended = clipzy(command, *arguments, cwd=tmp_path, CLIPZY_URL=server.url)
    assert "\x1b" not in ended.stdout + ended.stderr
    assert "[2J" in ended.stdout + ended.stderr


def test_a_job_is_shown(run: Run, front_end: FrontEnd) -> None:
    job_id = new_job(front_end)
    shown = dict(line.split(maxsplit=1) for line in run("status", job_id).stdout.splitlines())
    assert (shown["job_id"], shown["status"], shown["filename"]) == (job_id, "queued", "holiday.mp4")
    ended = run("status", job_id, "--json")
    assert (json.loads(ended.stdout)["job_id"], ended.returncode) == (job_id, 0)


def test_a_job_is_watched_to_its_end(run: Run, front_end: FrontEnd) -> None:
    # Given a job that completes, and one that fails
    done, failed = new_job(front_end), new_job(front_end)
    played_worker.complete(front_end, done)
    played_worker.fail(front_end, failed, ErrorCode.INVALID_MEDIA, "The file has no video frames.")
    # When they are watched, Then each change is a line, and the exit status says which completed
    ended = run("watch", done)
    assert ended.stdout.splitlines()[0] == "  0 %  queued"
    assert "100 %  completed" in ended.stdout.splitlines()
    assert ended.returncode == 0
    ended = run("watch", failed, "--json")
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (events[0]["status"], events[-1]["error"]["code"]) == ("queued", "INVALID_MEDIA")
    assert ended.returncode == 3


def test_files_are_downloaded(run: Run, front_end: FrontEnd, tmp_path: Path) -> None:
    # Given a completed job
    job_id = new_job(front_end)
    played_worker.complete(front_end, job_id, artifacts={"poster.jpg": b"a poster", "shots/0000.jpg": b"a shot"})
    # When it is downloaded, Then its files are in a directory of its name, and their paths are printed
    ended = run("download", job_id)
    paths = [f"{job_id}/poster.jpg", f"{job_id}/shots/0000.jpg", f"{job_id}/output.json"]
    assert (ended.returncode, ended.stdout.splitlines()) == (0, paths)
    assert (tmp_path / job_id / "shots/0000.jpg").read_bytes() == b"a shot"
    # And one of them alone elsewhere
    ended = run("download", job_id, "poster.jpg", "--to", "here", "--json")
    assert json.loads(ended.stdout) == {"job_id": job_id, "directory": "here", "files": ["here/poster.jpg"]}
    # But not over another file, unless it is told to
    (tmp_path / "here/poster.jpg").write_bytes(b"mine")
    assert run("download", job_id, "--to", "here").returncode == 1
    assert (tmp_path / "here/poster.jpg").read_bytes() == b"mine"
    assert run("download", job_id, "--to", "here", "--force").returncode == 0


def test_shots_and_clips_are_exported(run: Run, front_end: FrontEnd, tmp_path: Path) -> None:
    # Given a completed job with two shots and a clip
    job_id = played_worker.publish(front_end, output(shots=(0, 50, 100), clips=[(10, 60)]))
    # When it is exported, Then the file is printed as it is, or written
    shots = run("export", job_id, "edl", "--media", "day 1.mov")
    assert (shots.returncode, shots.stderr) == (0, "")
    assert shots.stdout.startswith("TITLE: day 1 shots\nFCM: NON-DROP FRAME\n\n001  A001")
    written = run("export", job_id, "csv", "--of", "clips", "--output", "clips.csv")
    assert (written.returncode, written.stdout) == (0, "clips.csv\n")
    header, row = (tmp_path / "clips.csv").read_bytes().decode().removesuffix("\r\n").split("\r\n")
    assert (header.split(",")[0], row.split(",")[0]) == ("index", "0")
    # And with --json it is told in one document
    told = run("export", job_id, "edl", "--output", "a.edl", "--json").stdout
    assert json.loads(told) == {"job_id": job_id, "format": "edl", "of": "shots", "file": "a.edl"}
    # And what is wrong is said in a line
    refused = run("export", job_id, "edl", "--media", "two\nlines")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert refused.stderr.startswith("clipzy: INVALID_FIELD: The field `media` is ")
    unwritable = run("export", job_id, "edl", "--output", "nowhere/a.edl")
    assert (unwritable.returncode, unwritable.stderr.count("\n")) == (1, 1)


def test_a_result_is_shown_with_its_clips(run: Run, front_end: FrontEnd) -> None:
    job_id = played_worker.publish(front_end, EXAMPLE | {"artifacts": []})
    assert "shots        1\nclip 0       0.00 to 2.40 s, score 42.5\n" in run("result", job_id).stdout


def test_every_format_has_its_command() -> None:
    assert client_commands.EXPORT_FORMATS.choices == FORMAT_NAMES


def test_a_job_is_cancelled_retried_and_deleted(run: Run, front_end: FrontEnd) -> None:
    front_end.compare_records()
    job_id = new_job(front_end)
    assert run("cancel", job_id).stdout == f"{job_id} is cancelled.\n"
    again = json.loads(run("retry", job_id, "--json").stdout)
    assert again["status"] == "queued"
    # What is not finished is not deleted
    ended = run("delete", again["job_id"])
    assert (ended.returncode, ended.stderr.split(": ")[1]) == (1, "JOB_NOT_FINISHED")
    assert json.loads(run("cancel", again["job_id"], "--json").stdout)["status"] == "cancelled"
    for some_id in (job_id, again["job_id"], again["video_id"]):
        assert run("delete", some_id).stdout == f"{some_id} is deleted.\n"
        assert run("delete", some_id).returncode == 1


@pytest.mark.parametrize("job_id", ["job_01jd00000000000000000000zz", "../jobs"])
@pytest.mark.parametrize("command", ["status", "watch", "result", "download", "cancel", "retry", "delete", "plot"])
def test_a_job_that_is_not_there_is_an_error(run: Run, tmp_path: Path, command: str, job_id: str) -> None:
    ended = run(command, job_id)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("clipzy: JOB_NOT_FOUND: There is no such job. (CLIPZY_URL=")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["result", "download", "plot"])
def test_a_job_without_a_result_is_an_error(run: Run, front_end: FrontEnd, tmp_path: Path, command: str) -> None:
    job_id = new_job(front_end)
    ended = run(command, job_id)
    assert (ended.returncode, ended.stderr.split(": ")[1]) == (1, "JOB_NOT_FINISHED")
    assert not list(tmp_path.iterdir())


def test_a_wrong_key_is_named(tmp_path: Path) -> None:
    unauthorized = {"code": "UNAUTHORIZED", "detail": "This API key is unknown."}
    with stand_in(accept, lambda exchange: exchange.answer(401, unauthorized)) as server:
        ended = clipzy("list", cwd=tmp_path, CLIPZY_URL=server.url, CLIPZY_API_KEY="clz_a_b")
    assert ended.returncode == 1
    assert "UNAUTHORIZED: This API key is unknown. Set CLIPZY_API_KEY to a key that is valid." in ended.stderr
    assert server.seen[0]["Authorization"] == "Bearer clz_a_b"


def all_commands(parent: click.Context) -> Iterator[click.Context]:
    """Every command below this one, as a context that has parsed no arguments."""
    assert isinstance(parent.command, click.Group)
    for name, command in parent.command.commands.items():
        context = command.make_context(name, [], parent=parent, resilient_parsing=True)
        if isinstance(command, click.Group):
            yield from all_commands(context)
        else:
            yield context


def test_every_command_has_short_help_and_json() -> None:
    for command in all_commands(commands.make_context("clipzy", [], resilient_parsing=True)):
        options = {option for parameter in command.command.get_params(command) for option in parameter.opts}
        assert {"-h", "--help"} <= options, command.command_path
        assert ("--json" in options) == (command.info_name not in SERVICES), command.command_path


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("clipzy su", {"plain,submit"}),
        ("clipzy submit --", {"plain,--wait", "plain,--json", "plain,--queue"}),
        ("clipzy submit holi", {"file,holi"}),
        ("clipzy submit --config con", {"file,con"}),
        ("clipzy download JOB --to fi", {"dir,fi"}),
    ],
)
def test_the_shell_completes_commands_options_and_files(tmp_path: Path, line: str, offered: set[str]) -> None:
    env = environment(_CLIPZY_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(line.split()) - 1))
    ended = subprocess.run([*CLIPZY], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert offered <= set(ended.stdout.splitlines())


def test_a_terminal_has_bars(tmp_path: Path) -> None:
    # Given a terminal
    (tmp_path / "a.mp4").write_bytes(mp4_bytes(999))
    reader, writer = os.openpty()
    answers = [lambda exchange, job=job: exchange.answer(200, job, Retry_After="0.1") for job in (RUNNING, COMPLETED)]
    # When a file is submitted in it and waited for
    with stand_in(accept, *answers) as server:
        command = [*CLIPZY, "submit", "a.mp4", "--wait"]
        env = environment(CLIPZY_URL=server.url)
        process = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=writer, stderr=writer)
        assert process.wait(60) == 0
    # Then there are bars for the upload and for the job, before the finished job
    output = os.read(reader, 1 << 16).decode()
    for fd in (reader, writer):
        os.close(fd)
    assert "uploading a.mp4" in output
    assert "video_analysis" in output
    assert "\r" in output
    assert "####" in output
    assert output.index("uploading") < output.index(JOB["job_id"]) < output.index("video_analysis")


def test_output_that_cannot_be_written_is_said(front_end: FrontEnd, tmp_path: Path) -> None:
    env = environment(CLIPZY_URL=front_end.url)
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run([*CLIPZY, "list"], cwd=tmp_path, env=env, stdout=full, stderr=-1, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (1, "clipzy: the output cannot be written: No space left on device.\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_does_not_matter(front_end: FrontEnd, tmp_path: Path, closed: str) -> None:
    (tmp_path / "a.mp4").write_bytes(mp4_bytes(999))
    before = front_end.get("/api/v1/jobs").json()["total"]
    shell = f"{shlex.join(CLIPZY)} submit a.mp4 {closed}"
    env = environment(CLIPZY_URL=front_end.url)
    assert subprocess.run(["bash", "-c", shell], cwd=tmp_path, env=env, timeout=60).returncode == 0
    assert front_end.get("/api/v1/jobs").json()["total"] == before + 1


def test_an_interrupted_watch_says_that_the_job_goes_on(front_end: FrontEnd, tmp_path: Path) -> None:
    # Given a job that is watched
    job_id = new_job(front_end)
    env = environment(CLIPZY_URL=front_end.url)
    log = tmp_path / "output"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*CLIPZY, "watch", job_id], cwd=tmp_path, env=env, stdout=output, stderr=subprocess.PIPE, text=True
        )
        eventually(lambda: "queued" in log.read_text())
        # When that is interrupted
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    # Then it says how to go on
    assert process.returncode == 130
    assert stderr == f"\nclipzy: {job_id} goes on. Follow it with `clipzy watch {job_id}`.\n"
