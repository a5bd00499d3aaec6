import socket
from collections.abc import Iterator

import pytest

from tests.support import processes


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


@pytest.fixture
def free_port() -> int:
    return processes.free_port()
