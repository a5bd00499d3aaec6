"""Resumable uploads while front ends, connections and Redis fail: nothing that was kept is lost."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from clipzy_api.inputs.request_body import BLOCK_BYTES, BLOCK_SECONDS, FIRST_BLOCK_BYTES
from clipzy_storage import keys
from clipzy_storage.backends.base import read_bytes
from clipzy_storage.failpoints import UploadFailpoint
from clipzy_storage.uploads import locks
from clipzy_storage.uploads.resumable import SILENT_SECONDS
from tests.support.disks import small_disk
from tests.support.failpoint_file import FailpointFile
from tests.support.servers import FrontEnd
from tests.support.waiting import eventually
from tests.support.wire import answer_on, connect, head
from tests.uploads.tus_client import (
    CHUNK,
    CONTENT,
    UPLOADS,
    Deployed,
    another,
    ask,
    begin,
    checksum,
    id_of,
    offset_of,
    send,
    video,
)


@contextmanager
def half_sent(front_end: FrontEnd, path: str, content: bytes, *, of_bytes: int) -> Iterator[socket.socket]:
    """A request that has sent this much of its body, and waits."""
    first = head(
        path,
        method="PATCH",
        length=of_bytes,
        content_type=CHUNK["Content-Type"],
        more="Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n",
    )
    with connect(front_end.port) as connection:
        connection.sendall(first + content)
        yield connection


def locked(deployed: Deployed, path: str) -> None:
    """Wait until a request writes the upload."""
    lock = f"{keys.REDIS_PREFIX}upload:{id_of(path)}:lock"
    eventually(lambda: deployed.redis.admin.exists(lock), "a lock")


def finish(deployed: Deployed, path: str) -> None:
    """Send what is missing, as a client does that was cut off, and tries again if it is refused."""

    def is_sent() -> bool:
        offset = offset_of(deployed.first, path)
        return offset == len(CONTENT) or send(deployed.first, path, CONTENT[offset:], offset=offset).status_code == 204

    eventually(is_sent, "an upload that is continued")
    assert video(deployed.first, path)["size_bytes"] == len(CONTENT)
    assert read_bytes(deployed.storage, keys.upload(id_of(path), "mp4")) == CONTENT
    assert deployed.left(id_of(path)) == []


def test_two_writers_at_once_are_one_too_many(deployed: Deployed) -> None:
    # Given a request that writes the upload
    path = begin(deployed.first, len(CONTENT))
    with half_sent(deployed.first, path, CONTENT[:1_000_000], of_bytes=len(CONTENT)) as connection:
        # Then any other that would write it or end it is refused, at every front end, while something comes
        locked(deployed, path)
        for number, front_end in enumerate(deployed.front_ends, start=1):
            connection.sendall(CONTENT[number * 1_000_000 : (number + 1) * 1_000_000])
            refused = send(front_end, path, CONTENT[:10], offset=0)
            assert (refused.status_code, refused.json()["code"]) == (423, "UPLOAD_LOCKED")
            assert refused.headers["Retry-After"] == "1"
            assert ask(front_end, "DELETE", path).status_code == 423
    # And once it is gone, the upload goes on after what it has sent
    finish(deployed, path)


def test_a_silent_writer_gives_way(deployed: Deployed) -> None:
    """Its client has changed its network, and the front end does not know."""
    # Given a request from which nothing comes any more, and whose connection lasts
    path, sent_bytes = begin(deployed.first, len(CONTENT)), 26 * BLOCK_BYTES + 3 * FIRST_BLOCK_BYTES
    with half_sent(deployed.first, path, CONTENT[:sent_bytes], of_bytes=len(CONTENT)) as connection:
        locked(deployed, path)
        # When the upload is continued at another front end
        other = deployed.front_ends[1]
        eventually(lambda: send(other, path, b"", offset=offset_of(other, path)).status_code == 204, "a lock given up")
        # Then what had arrived is kept, but for a block that is not full
        assert sent_bytes - BLOCK_BYTES < offset_of(other, path) <= sent_bytes
        finish(deployed, path)
        # And the silent one is not told at its end that something is kept
        connection.shutdown(socket.SHUT_WR)
        assert answer_on(connection).json()["code"] == "UPLOAD_LOCKED"


@pytest.mark.long
def test_a_slow_writer_does_not_give_way(deployed: Deployed) -> None:
    # Given a request that is sent so slowly that its first block, sent again, would look like silence
    path, piece_bytes, every_seconds = begin(deployed.first, len(CONTENT)), 5_000, 0.25
    assert FIRST_BLOCK_BYTES / piece_bytes * every_seconds > SILENT_SECONDS + locks.TTL_SECONDS / locks.HOLDS_PER_TTL
    sent_bytes = FIRST_BLOCK_BYTES // 2
    with half_sent(deployed.first, path, CONTENT[:sent_bytes], of_bytes=len(CONTENT)) as connection:
        for size_bytes in (FIRST_BLOCK_BYTES // 2, FIRST_BLOCK_BYTES // 4, FIRST_BLOCK_BYTES // 4, *[piece_bytes] * 20):
            time.sleep(every_seconds if size_bytes == piece_bytes else 1.1 * BLOCK_SECONDS)
            connection.sendall(CONTENT[sent_bytes : sent_bytes + size_bytes])
            sent_bytes += size_bytes
            # When another one wants the upload all the time, then it is refused
            assert send(deployed.front_ends[1], path, b"", offset=0).status_code == 423


def test_what_a_broken_connection_has_sent_is_kept(deployed: Deployed) -> None:
    path = begin(deployed.first, len(CONTENT))
    with half_sent(deployed.first, path, CONTENT[:7_000_000], of_bytes=len(CONTENT)) as connection:
        connection.shutdown(socket.SHUT_WR)
        eventually(lambda: offset_of(deployed.front_ends[1], path) == 7_000_000, "all that was sent")
    finish(deployed, path)


def test_a_piece_for_whose_comparison_there_is_no_room_is_refused(deployed: Deployed, tmp_path: Path) -> None:
    path = begin(deployed.first, len(CONTENT))
    with (
        small_disk(tmp_path / "work", mib=6) as disk,
        another(deployed, tmp_path / "cramped", WORK_DIR=str(disk)) as front_end,
    ):
        refused = send(front_end, path, CONTENT, offset=0, Upload_Checksum=checksum(CONTENT))
    assert (refused.status_code, refused.json()["code"]) == (507, "STORAGE_FULL")
    assert offset_of(deployed.first, path) == 0


def test_a_killed_front_end_costs_the_bytes_in_flight(deployed: Deployed, tmp_path: Path) -> None:
    # Given a front end that is killed while it receives a piece
    path = begin(deployed.first, len(CONTENT))
    with another(deployed, tmp_path / "killed") as doomed:
        assert send(doomed, path, CONTENT[:100_000], offset=0).status_code == 204
        with connect(doomed.port) as connection:
            rest = CONTENT[100_000:9_000_000]
            more = "Tus-Resumable: 1.0.0\r\nUpload-Offset: 100000\r\n"
            length = len(CONTENT) - 100_000
            first = head(path, method="PATCH", length=length, content_type=CHUNK["Content-Type"], more=more)
            connection.sendall(first + rest)
            eventually(lambda: offset_of(deployed.first, path) > 1_000_000, "some of the piece")
            os.kill(doomed.serving_pid(), signal.SIGKILL)
    # Then another one continues after what had arrived
    assert 1_000_000 < offset_of(deployed.first, path) <= 9_000_000
    finish(deployed, path)


@pytest.mark.parametrize("failpoint", ["upload-begun", "upload-received", "upload-published", "upload-recorded"])
def test_a_crash_at_any_step_is_carried_on(deployed: Deployed, tmp_path: Path, failpoint: UploadFailpoint) -> None:
    orders = FailpointFile(tmp_path / "failpoint")
    orders.order(failpoint, "exit")
    before = {blob.key for blob in deployed.storage.list(keys.UPLOADS_IN_PROGRESS)}
    with another(deployed, tmp_path / "doomed", **orders.settings) as doomed, suppress(requests.ConnectionError):
        # When a front end dies there
        if failpoint == "upload-begun":
            begin(doomed, len(CONTENT))
            pytest.fail("it did not die")
        path = begin(deployed.first, len(CONTENT))
        send(doomed, path, CONTENT, offset=0)
        pytest.fail("it did not die")
    # Then an upload that was begun without an answer can be found, and any other is a video for whoever asks
    if failpoint == "upload-begun":
        (record,) = {blob.key for blob in deployed.storage.list(keys.UPLOADS_IN_PROGRESS)} - before
        path = f"{UPLOADS}/{keys.upload_id_in(record)}"
        assert ask(deployed.first, "DELETE", path).status_code == 204
        return
    eventually(lambda: ask(deployed.first, "HEAD", path).status_code == 200, "a lock that has expired")
    if failpoint == "upload-received":  # some of the last bytes may lack
        finish(deployed, path)
    assert offset_of(deployed.first, path) == len(CONTENT)
    assert video(deployed.first, path)["size_bytes"] == len(CONTENT)
    assert deployed.left(id_of(path)) == []


def test_a_loss_of_redis_loses_no_upload(deployed: Deployed) -> None:
    path = begin(deployed.first, len(CONTENT))
    send(deployed.first, path, CONTENT[:6_000_000], offset=0)
    deployed.redis.forget_everything(open_guard=True)
    for front_end in deployed.front_ends:
        front_end.compare_records()
    eventually(lambda: offset_of(deployed.first, path) == 6_000_000, "an upload that is known")
    finish(deployed, path)


def test_a_writer_that_has_lost_its_lock_writes_no_more(deployed: Deployed) -> None:
    """It was paused for longer than its lock, and another has continued the upload meanwhile."""
    path = begin(deployed.first, len(CONTENT))
    pid = deployed.first.serving_pid()
    with half_sent(deployed.first, path, CONTENT[:1_000_000], of_bytes=len(CONTENT)) as connection:
        locked(deployed, path)
        os.kill(pid, signal.SIGSTOP)
        try:
            eventually(
                lambda: (
                    send(deployed.front_ends[1], path, b"", offset=offset_of(deployed.front_ends[1], path)).status_code
                    == 204
                ),
                f"a lock that has expired after {locks.TTL_SECONDS} s",
            )
            kept = offset_of(deployed.front_ends[1], path)
        finally:
            os.kill(pid, signal.SIGCONT)
        # When it goes on, then it is refused, and has changed nothing
        with suppress(OSError):
            connection.sendall(CONTENT[1_000_000:])
            assert b" 423 " in connection.recv(1000)
    assert offset_of(deployed.front_ends[1], path) == kept
    finish(deployed, path)
