"""The socket that a front end listens on, on real ports of this machine."""

import socket
from contextlib import closing

import pytest

from clipzy_api.server.listening_socket import PortUnavailable, bind, listen
from tests.support.processes import own_host


def test_only_one_of_two_that_start_together_listens() -> None:
    # Given two processes that find the port free
    host = own_host()
    with bind(host, 0) as first, bind(host, first.getsockname()[1]) as second:
        # When both let clients connect
        listen(first)

        # Then the second is refused
        with pytest.raises(PortUnavailable, match=f"^port {first.getsockname()[1]} on {host} is taken"):
            listen(second)


def test_a_port_that_is_shared_by_another_process_is_taken() -> None:
    # Given a server that allows others to share its port
    with socket.socket() as shared:
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared.bind((own_host(), 0))
        shared.listen()
        with pytest.raises(PortUnavailable, match="is taken"):
            bind(*shared.getsockname())


def test_connections_of_an_earlier_process_are_not_in_the_way() -> None:
    # Given a port whose server closed a connection and has gone (TIME_WAIT)
    with bind(own_host(), 0) as earlier:
        listen(earlier)
        address = earlier.getsockname()
        with socket.create_connection(address) as client:
            with closing(earlier.accept()[0]) as accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert client.recv(1) == b""

    # When another is started, then it listens
    with bind(*address) as later:
        listen(later)


@pytest.mark.parametrize(
    ("host", "reason"),
    [("nowhere.invalid", "not known|failure in name"), ("203.0.113.1", "assign requested address")],
)
def test_an_address_that_is_not_this_machine_s_is_named(host: str, reason: str) -> None:
    with pytest.raises(PortUnavailable, match=rf"^cannot listen on {host} port 8000: .*({reason})") as caught:
        bind(host, 8000)
    assert "\n" not in str(caught.value)
