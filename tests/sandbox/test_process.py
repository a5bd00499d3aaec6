"""The media process and its parent: nothing is left behind, and nothing the child does harms the parent."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clipzy_storage.models.analysis import Analysis, ArtifactFile
from clipzy_worker.errors import InvalidMedia, MediaCrashed, RenderFailed
from clipzy_worker.sandbox.process import STDERR_KEPT_BYTES, MediaProcess, MediaRequest
from tests.support.media import clips
from tests.support.media.nothing_found import nothing_found

STRANGER = ArtifactFile(file="../secret.jpg", kind="poster", content_type="image/jpeg")


def said(result: Analysis) -> str:
    """The message with this result, as a Python literal."""
    return repr(f'{{"result": {result.model_dump_json()}}}')


BROKEN = {
    "garbage": ("print('no message at all')", "not of the protocol"),
    "a wrong message": ('print(\'{"progress": "soon"}\')', "not of the protocol"),
    "a result of another form": ('print(\'{"result": {"shots": "none"}}\')', "not of the protocol"),
    "a number that is none": ('print(\'{"progress": NaN, "stage": "video_analysis"}\')', "not of the protocol"),
    "a stage that is none": ('print(\'{"progress": 0.5, "stage": "lunch"}\')', "not of the protocol"),
    "a segment that is a path": ('print(\'{"finished_segment": "../0123456789abcdef-00000"}\')', "not of the protocol"),
    "a segment twice": ('print(\'{"finished_segment": "0123456789abcdef-00000"}\\n\' * 2)', "more segments"),
    "a nested bomb": ("print('[' * 100000)", "not of the protocol"),
    "a flood": ("import sys\nwhile True: sys.stdout.write('x' * 65536)", "more output than allowed"),
    "an early end": ("raise SystemExit(0)", "without a result"),
    "an error": ("raise SystemExit(3)", "ended with status 3"),
    "a result, then a crash": (f"import os\nprint({said(nothing_found())}, flush=True)\nos.abort()", "died of SIGABRT"),
    "a kill": ("import os\nos.kill(os.getpid(), 9)", "was killed"),
    "closed pipes": ("import os\nos.close(1)\nos.close(2)\nos._exit(4)", "ended with status 4"),
    "a stranger's file": (f"print({said(nothing_found(artifacts=[STRANGER]))})", "not a file"),
}


@pytest.fixture
def request_(tmp_path: Path, clips_directory: Path) -> MediaRequest:
    return MediaRequest(clips.cuts_clip(clips_directory).path, "mp4", tmp_path)


@pytest.fixture
def long_request(tmp_path: Path, clips_directory: Path) -> MediaRequest:
    return MediaRequest(clips.long_clip(clips_directory).path, "mp4", tmp_path)


def python(script: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-c", script)


def followed(media: MediaProcess) -> list[float]:
    return list(media.updates())


def wait_until_at_work(media: MediaProcess) -> None:
    """Until it has begun to decode."""
    next(fraction for fraction in media.updates() if fraction > 0)


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def session_members(session: int) -> list[int]:
    stats = (stat.read_text() for stat in Path("/proc").glob("[0-9]*/stat") if stat.exists())
    fields = (stat.rpartition(")")[2].split() for stat in stats)
    return [int(field[3]) for field in fields if int(field[3]) == session and field[0] not in "ZX"]


def test_a_clip_is_analysed_to_its_result(request_: MediaRequest) -> None:
    # Given a clip
    with MediaProcess(request_) as media:
        # When the process is followed to its end
        fractions = followed(media)
        result = media.result()

    # Then progress never fell, and the result and its files are there
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] <= fractions[-1] == 1
    assert [shot.transition for shot in result.shots] == ["start", "cut", "cut"]
    assert all((request_.out_directory / one.file).stat().st_size > 0 for one in result.artifacts)


def test_the_parent_loads_no_media_library() -> None:
    # Given a fresh interpreter; When it imports the module of the parent
    script = (
        "import sys, clipzy_worker.sandbox.process; print({'av', 'cv2', 'numpy', 'scenedetect'} & set(sys.modules))"
    )
    loaded = subprocess.run(python(script), capture_output=True, text=True, check=True).stdout

    # Then no library is loaded that a file could attack
    assert loaded == "set()\n"


@pytest.mark.parametrize("name", BROKEN)
def test_a_faulty_child_is_a_crash(name: str, request_: MediaRequest) -> None:
    # Given a child that violates the protocol or dies
    script, reason = BROKEN[name]

    # When it is followed, Then that is a crash with a short reason
    with MediaProcess(request_, command=python(script)) as media:
        followed(media)
        with pytest.raises(MediaCrashed, match=reason):
            media.result()


def test_the_reason_why_a_file_is_invalid_is_truncated_and_printable(request_: MediaRequest) -> None:
    # Given a child that sends a long text with control characters
    script = "import json\nprint(json.dumps({'invalid_media': 'bad\\x1b[31m\\n' + 'x' * 9999}))"

    # When its result is read
    with MediaProcess(request_, command=python(script)) as media:
        followed(media)
        with pytest.raises(InvalidMedia) as caught:
            media.result()

    # Then the text is short and safe to print
    assert str(caught.value).startswith("bad[31mxxx")
    assert len(str(caught.value)) <= 300


def test_a_video_that_cannot_be_rendered_is_no_crash(request_: MediaRequest) -> None:
    # Given a child that reports so, when its result is read, Then that is final, with the reason
    with MediaProcess(request_, command=python('print(\'{"render_failed": "not found again"}\')')) as media:
        followed(media)
        with pytest.raises(RenderFailed, match="not found again"):
            media.result()


def test_only_the_end_of_stderr_is_kept(request_: MediaRequest) -> None:
    # Given a child that writes much to stderr
    script = "import sys\nsys.stderr.write('x' * 300_000 + 'the end')\nraise SystemExit(1)"

    # When it is followed
    with MediaProcess(request_, command=python(script)) as media:
        followed(media)

    # Then the end of it is available for the log
    assert media.stderr_tail.endswith("the end")
    assert len(media.stderr_tail) <= STDERR_KEPT_BYTES


def test_progress_never_falls_and_is_repeated(request_: MediaRequest) -> None:
    # Given a child whose progress falls, and which then sends nothing
    message = '{"progress": %s, "stage": "video_analysis"}'
    script = f"import signal\nfor f in (0.5, 0.2, 7): print('{message}' % f, flush=True)\nsignal.pause()"

    # When it is followed until the last message, and for three more updates
    with MediaProcess(request_, command=python(script)) as media:
        updates = media.updates(poll_seconds=0.01)
        seen = [next(fraction for fraction in updates if fraction == 1.0), *(next(updates) for _ in range(3))]

    # Then the progress stays, and the caller gets control each time
    assert seen == [1.0] * 4


@pytest.mark.parametrize("error", [None, RuntimeError, SystemExit, KeyboardInterrupt])
def test_nothing_is_left_behind_however_the_block_is_left(
    error: type[BaseException] | None, request_: MediaRequest
) -> None:
    # Given a child and a grandchild that would both run forever
    script = (
        "import subprocess, signal\n"
        "subprocess.Popen(['sleep', '1000'])\n"
        'print(\'{"progress": 1, "stage": "video_analysis"}\', flush=True)\n'
        "signal.pause()\n"
    )
    files_before = open_descriptors()

    # When the block is left in the middle
    media = MediaProcess(request_, command=python(script))
    try:
        with media:
            session = media.pid
            next(fraction for fraction in media.updates() if fraction == 1)
            assert len(session_members(session)) == 2
            if error:
                raise error
    except (RuntimeError, SystemExit, KeyboardInterrupt):
        assert error is not None

    # Then the whole group has exited, the child is reaped and the pipes are closed
    while session_members(session):
        os.sched_yield()  # they are killed already; the timeout of pytest bounds the wait
    with pytest.raises(ChildProcessError):
        os.waitpid(session, os.WNOHANG)
    assert open_descriptors() == files_before


def test_the_child_dies_with_its_parent(long_request: MediaRequest) -> None:
    # Given a parent whose media process is at work, and stopped so that it cannot exit by itself
    script = (
        "import os, pathlib, signal, sys\n"
        "from clipzy_worker.sandbox.process import MediaProcess, MediaRequest\n"
        "with MediaProcess(MediaRequest.from_json(sys.argv[1])) as media:\n"
        "    next(fraction for fraction in media.updates() if fraction > 0)\n"
        "    os.kill(media.pid, signal.SIGSTOP)\n"
        "    print(media.pid, flush=True)\n"
        "    signal.pause()\n"
    )
    with subprocess.Popen([*python(script), long_request.to_json()], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))

        # When the parent is killed
        parent.kill()

    # Then the child exits too: only then its descriptor becomes readable
    assert select.select([child], [], [], 30)[0] == [child]
    os.close(child)


def test_the_child_is_confined_and_gets_no_secret(long_request: MediaRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a parent whose environment holds secrets
    for name in ("REDIS_URL", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH"):
        monkeypatch.setenv(name, "s3cr3t")

    # When its media process is at work
    with MediaProcess(long_request) as media:
        wait_until_at_work(media)
        os.kill(media.pid, signal.SIGSTOP)
        proc = Path(f"/proc/{media.pid}")
        environment, limits, status = ((proc / name).read_text() for name in ("environ", "limits", "status"))
        opened = [str(link.readlink()) for link in (proc / "fd").iterdir()]

        # Then it has none of them, no new privileges, limits, and only the source open
        assert "s3cr3t" not in environment
        assert "NoNewPrivs:\t1" in status
        assert "Umask:\t0077" in status
        assert all(f"Max {what}" in limits for what in ("cpu time", "address space"))
        assert f"{long_request.limits.memory_bytes}" in limits
        assert [name for name in opened if name.startswith("/")] == [str(long_request.source)]
        assert os.getsid(media.pid) == media.pid
