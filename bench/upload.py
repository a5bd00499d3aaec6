"""A large multipart upload, against Flask's stock ``request.files[...].save`` on gunicorn, with the peak memory."""

import http.client
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from clipzy_storage.process import leashed
from tests.stack import Stack, descendants, eventually, free_port

SIZE_MIB = 1000
ROUNDS = 5
SPEED_AIM, MEMORY_AIM_MIB = 2.0, 150
BOUNDARY = "clipzy-bench"


def compare(folder: Path, *, redis_url: str) -> bool:
    """Measure and print; whether both aims were reached."""
    with Stack(folder, redis_url=redis_url) as stack:
        source = _large_file(folder / "large.mp4")
        api = stack.web()
        ours_pid = stack.processes[-1].pid
        port = free_port()
        stock = _start_stock(folder, port)
        try:
            ours_port = int(api.url.rpartition(":")[2])
            _send(ours_port, "/api/v1/videos", source)
            _send(port, "/", source)
            pairs = [(_send(ours_port, "/api/v1/videos", source), _send(port, "/", source)) for _ in range(ROUNDS)]
            peak_mib = sum(_peak_kib(pid) for pid in (ours_pid, *descendants(ours_pid))) / 1024
            stock_mib = sum(_peak_kib(pid) for pid in (stock.pid, *descendants(stock.pid))) / 1024
        finally:
            stock.terminate()
            stock.wait()
    ours, theirs = (SIZE_MIB / statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"\nUpload of {SIZE_MIB} MiB by multipart, median of {ROUNDS}:")
    print(f"  Clipzy (sha256, fsync, write-once)  {ours:6.0f} MiB/s, peak memory {peak_mib:4.0f} MiB in all processes")
    print(
        f"  Flask's save() on gunicorn          {theirs:6.0f} MiB/s, peak memory {stock_mib:4.0f} MiB in all processes"
    )
    print(f"  ratio {ours / theirs:.2f} (aim: {SPEED_AIM:g}); memory aim: under {MEMORY_AIM_MIB} MiB")
    return ours / theirs >= SPEED_AIM and peak_mib < MEMORY_AIM_MIB


def _large_file(path: Path) -> Path:
    """Random bytes behind the first box of an MP4: the front end looks at no more than that."""
    with path.open("wb") as file:
        file.write(b"\0\0\0\x18ftypisom\0\0\2\0isomiso2")
        for _ in range(SIZE_MIB):
            file.write(os.urandom(1 << 20))
        file.truncate(SIZE_MIB << 20)
    return path


def _start_stock(folder: Path, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--threads", "8", "--log-level", "error"]
    command += ["--bind", f"127.0.0.1:{port}", f"bench.stock_flask:create_app('{folder}')"]
    process = subprocess.Popen(leashed(*command))
    eventually(lambda: _answers(port), "the stock server")
    return process


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


def _send(port: int, path: str, source: Path) -> float:
    """Seconds from the first byte sent to the answer's last byte; the same client for both."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="large.mp4"\r\n\r\n'.encode()
    tail = f"\r\n--{BOUNDARY}--\r\n".encode()
    headers = {
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        "Content-Length": str(len(head) + source.stat().st_size + len(tail)),
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    begun = time.perf_counter()
    connection.request("POST", path, body=_body(head, source, tail), headers=headers)
    answer = connection.getresponse()
    answer.read()
    seconds = time.perf_counter() - begun
    connection.close()
    assert answer.status in (200, 201), answer.status
    for written in (*source.parent.glob("storage/uploads/*/source.mp4"), *source.parent.glob("stock-*.mp4")):
        written.unlink()
    return seconds


def _body(head: bytes, source: Path, tail: bytes) -> Iterator[bytes]:
    yield head
    with source.open("rb") as file:
        while block := file.read(1 << 20):
            yield block
    yield tail


def _peak_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
