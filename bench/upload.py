"""A large upload to local disk in three ways, against servers that neither hash nor flush, and against `dd`."""

import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.sending import answers, large_file, peak_memory_mib, send_by_tus, send_form, send_raw
from tests.support.deployment import Deployment
from tests.support.processes import Process, environment, free_port
from tests.support.waiting import eventually

SIZE_MIB = 1000
REPETITIONS = 5
SPEED_AIM, DISK_AIM, MEMORY_AIM_MIB = 2.0, 0.9, 150
TUS = Path(__file__).parent / "tus"


def compare(directory: Path, *, redis_url: str) -> bool:
    """Measure and print; whether the aims were reached."""
    with (
        Deployment(directory, redis_url=redis_url) as deployment,
        _stock(directory) as stock_port,
        _tus(directory) as tus_port,
    ):
        source = large_file(directory / "large.mp4", size_mib=SIZE_MIB)
        port = deployment.web().port
        web = deployment.processes[-1]

        def send_to_each() -> list[float]:
            seconds = [
                send_form(port, "/api/v1/videos", source),
                send_raw(port, "/api/v1/videos", source),
                send_by_tus(port, source, path="/api/v1/uploads"),
                send_form(stock_port, "/", source),
                send_by_tus(tus_port, source),
                _copy_by_dd(source, directory / "stock-dd"),
            ]
            for written in (
                *directory.glob("storage/uploads/*/source.mp4"),
                *directory.glob("stock-*"),
                *directory.glob("tus/*"),
            ):
                written.unlink()
            return seconds

        send_to_each()
        runs = [send_to_each() for _ in range(REPETITIONS)]
        peak_mib = peak_memory_mib(web.pid)
    form, raw, tus, stock_speed, node, disk = (
        SIZE_MIB / statistics.median(column) for column in zip(*runs, strict=True)
    )
    print(f"\nUpload of {SIZE_MIB} MiB to local disk, median of {REPETITIONS}:")
    ours = {"form": form, "raw body": raw, "tus": tus}
    for way, speed in ours.items():
        print(
            f"  Clipzy, {way:<9} (sha256, fsync, once)   {speed:6.0f} MiB/s: {speed / node:.2f} of Node's tus", end=""
        )
        print(f", {speed / disk:.2f} of dd")
    print(f"  form to Flask's save() on gunicorn       {stock_speed:6.0f} MiB/s")
    print(f"  tus to the Node server's file store      {node:6.0f} MiB/s")
    print(f"  dd bs=1M conv=fsync                      {disk:6.0f} MiB/s")
    print(
        f"  aims: each {SPEED_AIM:g} of Node's tus, or {DISK_AIM:g} of dd; memory under {MEMORY_AIM_MIB} MiB,", end=" "
    )
    print(f"peak {peak_mib:.0f} MiB")
    is_fast = all(speed >= min(SPEED_AIM * node, DISK_AIM * disk) for speed in ours.values())
    return is_fast and peak_mib < MEMORY_AIM_MIB


def _copy_by_dd(source: Path, target: Path) -> float:
    begun = time.perf_counter()
    subprocess.run(["dd", f"if={source}", f"of={target}", "bs=1M", "conv=fsync", "status=none"], check=True)
    return time.perf_counter() - begun


@contextmanager
def _stock(directory: Path) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--threads", "8", "--log-level", "error"]
    command += ["--bind", f"127.0.0.1:{port}", f"bench.stock_flask:create_app('{directory}')"]
    with _running(command, port, directory=directory):
        yield port


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
def _running(command: list[str], port: int, *, directory: Path) -> Iterator[None]:
    process = Process(command, cwd=Path(__file__).parents[1], env=environment(), log=directory / f"{port}.log")
    try:
        eventually(lambda: answers(port), command[-1])
        yield
    finally:
        process.stop()
