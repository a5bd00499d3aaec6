"""Posts to nginx from several addresses, in a network of their own: `python -m tests.support.ipv6_clients DIRECTORY`.

Prints a line of JSON: by address, the statuses of three posts. There is no front end, so those that pass are 502.
"""

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.nginx import running_nginx
from tests.support.processes import free_port

ADDRESSES = ("fd00:0:0:1::1", "fd00:0:0:1:ffff::2", "fd00:0:0:2::1", "127.0.0.2", "127.0.0.3")
"""Two of one network of 64 bits, one of another, and two of IPv4."""
IN_OWN_NETWORK = ("unshare", "--net", *(() if os.geteuid() == 0 else ("--map-current-user", "--keep-caps")))


def main(arguments: Sequence[str]) -> None:
    _run("ip", "link", "set", "lo", "up")
    for address in ADDRESSES[:3]:
        _run("ip", "address", "add", f"{address}/128", "dev", "lo")
    few = {"NGINX_POSTS_PER_SECOND": "1", "NGINX_POSTS_BURST": "2"}
    listen, upstream_port = "[::]:{port} ipv6only=off", free_port()
    with running_nginx(
        Path(arguments[0]), upstream_port=upstream_port, max_file_size_mb=1, listen=listen, **few
    ) as nginx:
        print(json.dumps({address: [_post(address, nginx.port) for _ in range(3)] for address in ADDRESSES}))  # noqa: T201


def _post(address: str, port: int) -> int:
    host = "fd00:0:0:1::1" if ":" in address else "127.0.0.1"
    connection = http.client.HTTPConnection(host, port, timeout=30, source_address=(address, 0))
    try:
        connection.request("POST", "/api/v1/jobs")
        return connection.getresponse().status
    finally:
        connection.close()


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
