"""A large upload into a bucket through the front end, against boto3's own ``upload_file`` of the same file."""

import statistics
import time
from pathlib import Path

from bench.sending import large_file, send_form
from tests.support import s3_servers
from tests.support.deployment import Deployment
from tests.support.s3_servers import S3Server

SIZE_MIB = 500
REPETITIONS = 5
AIM = 0.9


def compare(directory: Path, *, redis_url: str) -> bool:
    """Measure and print; whether the aim was reached."""
    with s3_servers.running("rclone", directory / "rclone") as server:
        bucket = server.new_bucket()
        settings = {"STORAGE_TYPE": "s3", "S3_BUCKET_NAME": bucket, **server.env}
        with Deployment(directory / "deployment", redis_url=redis_url, **settings) as deployment:
            source = large_file(directory / "large.mp4", size_mib=SIZE_MIB)
            port = deployment.web().port

            def send_to_each() -> tuple[float, float]:
                seconds = send_form(port, "/api/v1/videos", source), _upload_file(server, bucket, source)
                for key in server.keys(bucket):
                    if key.endswith(".mp4"):
                        server.client.delete_object(Bucket=bucket, Key=key)
                return seconds

            send_to_each()
            runs = [send_to_each() for _ in range(REPETITIONS)]
    ours, theirs = (SIZE_MIB / statistics.median(column) for column in zip(*runs, strict=True))
    print(f"\nUpload of {SIZE_MIB} MiB into a bucket of `rclone serve s3`, median of {REPETITIONS}:")
    print(f"  Clipzy, HTTP to the front end and on  {ours:6.0f} MiB/s")
    print(f"  boto3's upload_file                   {theirs:6.0f} MiB/s")
    print(f"  ratio {ours / theirs:.2f} (aim: {AIM})")
    return bool(ours / theirs >= AIM)


def _upload_file(server: S3Server, bucket: str, source: Path) -> float:
    begun = time.perf_counter()
    server.client.upload_file(str(source), bucket, "direct.mp4")
    return time.perf_counter() - begun
