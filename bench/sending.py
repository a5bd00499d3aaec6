"""The client of every upload that is measured, and what it sends: the same for all servers."""

import http.client
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Self

from tests.support.processes import descendants

BOUNDARY = "clipzy-bench"
HEAD = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="large.mp4"\r\n\r\n'.encode()
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()
BLOCK_BYTES = 1 << 20


def large_file(path: Path, *, size_mib: int) -> Path:
    """Random bytes behind the first box of an MP4: the front end checks no more than that."""
    with path.open("wb") as file:
        file.write(b"\0\0\0\x18ftypisom\0\0\2\0isomiso2")
        for _ in range(size_mib):
            file.write(os.urandom(1 << 20))
        file.truncate(size_mib << 20)
    return path


def send_form(port: int, path: str, source: Path) -> float:
    """Upload by multipart; seconds from the first byte sent to the answer's last byte."""
    headers = {
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        "Content-Length": str(len(HEAD) + source.stat().st_size + len(TAIL)),
    }
    begun = time.perf_counter()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=300)) as connection:
        _ask(connection, "POST", path, headers, _form(source))
    return time.perf_counter() - begun


def send_raw(port: int, path: str, source: Path) -> float:
    """Upload with the file as the body; seconds as above."""
    headers = {"Content-Type": "video/mp4", "Content-Length": str(source.stat().st_size)}
    begun = time.perf_counter()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=300)) as connection:
        _ask(connection, "POST", path, headers, _blocks(source))
    return time.perf_counter() - begun


def send_by_tus(port: int, source: Path, *, path: str = "/files") -> float:
    """Upload by tus, in one piece; seconds from the first byte sent to the last answer's last byte."""
    protocol, length = {"Tus-Resumable": "1.0.0"}, str(source.stat().st_size)
    begun = time.perf_counter()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=300)) as connection:
        answer = _ask(connection, "POST", path, {**protocol, "Upload-Length": length, "Content-Length": "0"})
        to = f"{path}/" + str(answer.headers["Location"]).rpartition("/")[2]
        piece = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream", "Content-Length": length}
        _ask(connection, "PATCH", to, protocol | piece, _blocks(source))
    return time.perf_counter() - begun


def peak_memory_mib(pid: int) -> float:
    """The sum of the peaks of the process and all below it, which need not have been at one time."""
    return sum(_peak_kib(one) for one in (pid, *descendants(pid))) / 1024


class PeakMemory:
    """Samples the memory of a process and all below it together, shared pages counted once."""

    def __init__(self, pid: int) -> None:
        self.peak_mib = 0.0
        self._pids = (pid, *descendants(pid))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopping.wait(0.02):
            self.peak_mib = max(self.peak_mib, sum(map(_proportional_kib, self._pids)) / 1024)


def answers(port: int) -> bool:
    """Whether an HTTP server answers."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", "/")
            return connection.getresponse().status < 500
        except OSError:
            return False


def _ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: dict[str, str],
    body: Iterator[bytes] | None = None,
) -> http.client.HTTPResponse:
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status in (200, 201, 204), (answer.status, text)
    return answer


def _form(source: Path) -> Iterator[bytes]:
    yield HEAD
    yield from _blocks(source)
    yield TAIL


def _blocks(source: Path) -> Iterator[bytes]:
    with source.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def _proportional_kib(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")))


def _peak_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
