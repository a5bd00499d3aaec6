"""A large upload into a bucket: through the front end, and directly by `clipzy submit`, against boto3 and s5cmd."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.sending import large_file, send_form
from tests.support import s3_servers
from tests.support.deployment import Deployment
from tests.support.processes import CLIPZY, environment
from tests.support.s3_servers import S3Server

SIZE_MIB = 500
REPETITIONS = 5
AIM, DIRECT_AIM = 0.9, 0.95


def compare(directory: Path, *, redis_url: str) -> bool:
    """Measure and print; whether the aims were reached."""
    with s3_servers.running("rclone", directory / "rclone") as server:
        bucket = server.new_bucket()
        settings = {"STORAGE_TYPE": "s3", "S3_BUCKET_NAME": bucket, **server.env}
        with Deployment(directory / "deployment", redis_url=redis_url, **settings) as deployment:
            source = large_file(directory / "large.mp4", size_mib=SIZE_MIB)
            port = deployment.web().port

            def send_to_each() -> list[float]:
                seconds = [
                    send_form(port, "/api/v1/videos", source),
                    _upload_file(server, bucket, source),
                    _seconds([*CLIPZY, "submit", str(source)], {"CLIPZY_URL": f"http://127.0.0.1:{port}"}),
                    _seconds([_s5cmd(), "cp", str(source), f"s3://{bucket}/s5cmd.mp4"], _s5cmd_settings(server)),
                ]
                for key in server.keys(bucket):
                    if key.endswith(".mp4"):
                        server.client.delete_object(Bucket=bucket, Key=key)
                return seconds

            send_to_each()
            runs = [send_to_each() for _ in range(REPETITIONS)]
    ours, boto3, direct, s5cmd = (SIZE_MIB / statistics.median(column) for column in zip(*runs, strict=True))
    print(f"\nUpload of {SIZE_MIB} MiB into a bucket of `rclone serve s3`, median of {REPETITIONS}:")
    print(f"  Clipzy, HTTP to the front end and on  {ours:6.0f} MiB/s")
    print(f"  boto3's upload_file                   {boto3:6.0f} MiB/s: ratio {ours / boto3:.2f} (aim: {AIM})")
    print(f"  clipzy submit, directly               {direct:6.0f} MiB/s")
    print(f"  s5cmd cp                              {s5cmd:6.0f} MiB/s: ratio {direct / s5cmd:.2f} (aim: {DIRECT_AIM})")
    return ours / boto3 >= AIM and direct / s5cmd >= DIRECT_AIM


def _seconds(command: list[str], settings: dict[str, str]) -> float:
    """How long a whole command takes, its start included."""
    begun = time.perf_counter()
    subprocess.run(command, env=environment(**settings), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def _s5cmd() -> str:
    return str(Path(sys.executable).with_name("s5cmd"))


def _s5cmd_settings(server: S3Server) -> dict[str, str]:
    return {**server.env, "S3_ENDPOINT_URL": server.url}


def _upload_file(server: S3Server, bucket: str, source: Path) -> float:
    begun = time.perf_counter()
    server.client.upload_file(str(source), bucket, "direct.mp4")
    return time.perf_counter() - begun
