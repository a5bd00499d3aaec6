"""What eight concurrent uploads cost the front end in memory, to local disk and into a bucket."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.sending import PeakMemory, large_file, send_form
from tests.support import s3_servers
from tests.support.deployment import Deployment

UPLOADS, SIZE_MIB = 8, 200
AIM_MIB = 200


def measure(directory: Path, *, redis_url: str) -> bool:
    """Measure and print; whether the aim was reached on both."""
    directory.mkdir(parents=True)
    source = large_file(directory / "large.mp4", size_mib=SIZE_MIB)
    with s3_servers.running("rclone", directory / "rclone") as server:
        bucket = {"STORAGE_TYPE": "s3", "S3_BUCKET_NAME": server.new_bucket(), **server.env}
        peaks = {
            "local disk": _peak_mib(directory / "local", redis_url, source, {}),
            "a bucket": _peak_mib(directory / "s3", redis_url, source, bucket),
        }
    print("\nPeak memory of the front end (both of its processes, shared pages counted once), sampled every 20 ms,")
    print(f"with {UPLOADS} uploads of {SIZE_MIB} MiB at a time:")
    for place, peak_mib in peaks.items():
        print(f"  to {place:<11} {peak_mib:4.0f} MiB (aim: under {AIM_MIB})")
    return max(peaks.values()) < AIM_MIB


def _peak_mib(directory: Path, redis_url: str, source: Path, settings: dict[str, str]) -> float:
    with Deployment(directory, redis_url=redis_url, **settings) as deployment:
        port = deployment.web().port
        with PeakMemory(deployment.processes[-1].pid) as memory, ThreadPoolExecutor(UPLOADS) as pool:
            for sent in [pool.submit(send_form, port, "/api/v1/videos", source) for _ in range(UPLOADS)]:
                sent.result()
        return memory.peak_mib
