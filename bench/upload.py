"""A large upload to local disk, against two servers that neither hash nor flush: Flask on gunicorn, and tus."""

import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.sending import answers, large_file, peak_memory_mib, send_by_tus, send_form
from tests.support.deployment import Deployment
from tests.support.processes import Process, environment, free_port
from tests.support.waiting import eventually

SIZE_MIB = 1000
REPETITIONS = 5
SPEED_AIM, MEMORY_AIM_MIB = 2.0, 150
TUS = Path(__file__).parent / "tus"


def compare(directory: Path, *, redis_url: str) -> bool:
    """Measure and print; whether both aims were reached."""
    with (
        Deployment(directory, redis_url=redis_url) as deployment,
        _stock(directory) as (stock, stock_port),
        _tus(directory) as tus_port,
    ):
        source = large_file(directory / "large.mp4", size_mib=SIZE_MIB)
        port = deployment.web().port
        web = deployment.processes[-1]

        def send_to_each() -> tuple[float, float, float]:
            seconds = (
                send_form(port, "/api/v1/videos", source),
                send_form(stock_port, "/", source),
                send_by_tus(tus_port, source),
            )
            for written in (
                *directory.glob("storage/uploads/*/source.mp4"),
                *directory.glob("stock-*"),
                *directory.glob("tus/*"),
            ):
                written.unlink()
            return seconds

        send_to_each()
        runs = [send_to_each() for _ in range(REPETITIONS)]
        peak_mib, stock_mib = peak_memory_mib(web.pid), peak_memory_mib(stock.pid)
    ours, raw, tus = (SIZE_MIB / statistics.median(column) for column in zip(*runs, strict=True))
    print(f"\nUpload of {SIZE_MIB} MiB to local disk, median of {REPETITIONS}:")
    print(f"  Clipzy (sha256, fsync, write-once)      {ours:6.0f} MiB/s, peak memory {peak_mib:4.0f} MiB")
    print(f"  multipart to Flask's save() on gunicorn {raw:6.0f} MiB/s, peak memory {stock_mib:4.0f} MiB")
    print(f"  tus to the Node server's file store     {tus:6.0f} MiB/s")
    print(f"  {ours / raw:.2f} of raw multipart (aim: {SPEED_AIM:g}), {ours / tus:.2f} of tus;", end=" ")
    print(f"memory aim: under {MEMORY_AIM_MIB} MiB")
    return ours / raw >= SPEED_AIM and peak_mib < MEMORY_AIM_MIB


@contextmanager
def _stock(directory: Path) -> Iterator[tuple[Process, int]]:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--threads", "8", "--log-level", "error"]
    command += ["--bind", f"127.0.0.1:{port}", f"bench.stock_flask:create_app('{directory}')"]
    with _running(command, port, directory=directory) as process:
        yield process, port


@contextmanager
def _tus(directory: Path) -> Iterator[int]:
    if shutil.which("npm") is None:
        raise SystemExit("The comparison with tus needs Node.js and npm. Install them (on Debian: nodejs npm).")
    if not (TUS / "node_modules").is_dir():
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=TUS, check=True)
    port = free_port()
    with _running(["node", str(TUS / "server.mjs"), str(port), str(directory / "tus")], port, directory=directory):
        yield port


@contextmanager
def _running(command: list[str], port: int, *, directory: Path) -> Iterator[Process]:
    process = Process(command, cwd=Path(__file__).parents[1], env=environment(), log=directory / f"{port}.log")
    try:
        eventually(lambda: answers(port), command[-1])
        yield process
    finally:
        process.stop()
