"""`make bench`: every comparison, one after the other."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in a media process; numpy reads it when it is imported

import platform
import sys
import tempfile
from pathlib import Path

from bench import (
    analysis,
    api_keys,
    eight_uploads,
    fleet,
    metrics,
    moments,
    page,
    protocol,
    render,
    slow_clients,
    speech,
    submit_to_start,
    upload,
    upload_s3,
    webhooks,
)
from clipzy_api.cli.embedded_redis import EmbeddedRedis
from clipzy_storage.config import logs
from clipzy_storage.config.environment import log_settings_from_env


def main() -> int:
    logs.configure(log_settings_from_env({"LOG_LEVEL": "WARNING"}))
    print(f"Python {platform.python_version()} on {platform.machine()}; each pair runs in turn, medians are compared.")
    with tempfile.TemporaryDirectory(prefix="clipzy-bench-") as name:
        directory = Path(name)
        with EmbeddedRedis(directory / "redis") as redis_url:
            reached = [
                analysis.compare(directory / "analysis"),
                render.compare(directory / "render"),
                moments.measure(None),
                speech.compare(),
                protocol.compare(directory / "protocol", redis_url=redis_url),
                submit_to_start.compare(directory / "start", redis_url=redis_url),
                upload.compare(directory / "upload", redis_url=redis_url),
                upload_s3.compare(directory / "upload-s3", redis_url=redis_url),
                eight_uploads.measure(directory / "eight", redis_url=redis_url),
                slow_clients.measure(directory / "slow", redis_url=redis_url),
                fleet.measure(directory / "fleet", redis_url=redis_url),
                metrics.measure(directory / "metrics", redis_url=redis_url),
                page.measure(directory / "page", redis_url=redis_url),
                api_keys.compare(directory / "keys", redis_url=redis_url),
                webhooks.measure(directory / "webhooks", redis_url=redis_url),
            ]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
