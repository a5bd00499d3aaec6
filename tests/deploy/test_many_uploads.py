"""Hundreds of slow uploads at the same time, through nginx."""

import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
import requests

from tests.support.forms import mp4_bytes
from tests.support.nginx import running_nginx
from tests.support.requirements import missing
from tests.support.servers import running_front_end

UPLOADS, SIZE_BYTES, BYTES_PER_SECOND = 400, 2 << 20, 64_000
MANY = {"NGINX_BODIES_PER_CLIENT": str(UPLOADS), "NGINX_POSTS_PER_SECOND": "1000", "NGINX_POSTS_BURST": str(UPLOADS)}


@pytest.mark.long
@pytest.mark.timeout(300)
def test_400_slow_uploads_complete_and_keep_nobody_waiting(tmp_path: Path, redis_url: str) -> None:
    curl = shutil.which("curl")
    if curl is None:
        missing("curl is not installed")
    # Given a file, and 400 clients that send it at 64 kB/s each
    file = tmp_path / "slow.mp4"
    file.write_bytes(mp4_bytes(SIZE_BYTES))
    waits: list[float] = []
    with (
        running_front_end(tmp_path / "web", redis_url) as front_end,
        running_nginx(tmp_path / "nginx", upstream_port=front_end.port, max_file_size_mb=2000, **MANY) as nginx,
    ):
        command = [curl, "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--limit-rate", str(BYTES_PER_SECOND)]
        command += ["-F", f"file=@{file}", f"{nginx.url}/api/v1/videos"]
        clients = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(UPLOADS)]
        # When others ask meanwhile
        while any(client.poll() is None for client in clients):
            asked_at = time.monotonic()
            assert requests.get(f"{nginx.url}/api/v1/jobs", timeout=30).status_code == 200
            waits.append(time.monotonic() - asked_at)
            time.sleep(0.1)  # the pace of the questions
        # Then every upload is a video, and nobody has waited for a second
        assert Counter(client.communicate()[0] for client in clients) == {"201": UPLOADS}
        assert len([key for key in front_end.stored() if key.endswith("video.json")]) == UPLOADS
        assert front_end.unfinished() == []
    assert len(waits) > 50
    assert max(waits) < 1
