"""Which addresses Clipzy connects to on behalf of a client: public ones, and those that the operator allows."""

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from clipzy_storage.errors import ServerUnreachable, UrlRefused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], list[str]]
"""The addresses of a host, as texts. Raises ``OSError``."""

NOT_ALLOWED = "its host has an address to which this service does not connect"

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_SIX_TO_FOUR = IPv6Network("2002::/16")
# Those whose last 32 bits are an IPv4 address that the packets, or the connection, go to.
_EMBEDDING_IPV4 = tuple(
    map(IPv6Network, ("::ffff:0:0/96", "::ffff:0:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48"))
)
# Whatever the operator allows. Behind them is this machine by another name, a whole network at once, or the service
# from which a cloud's machines read their credentials: most of those have link-local addresses, and the last line is
# the others, of AWS, Google, Alibaba, Azure and Oracle.
_NEVER: tuple[Network, ...] = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"),
            *("::/128", "fe80::/10", "ff00::/8", "2001::/32"),
            *("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
        ),
    )
)


# Assigned for special purposes, whatever this version of Python knows of them.
_SPECIAL: tuple[Network, ...] = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "2001::/23", "3fff::/20")))


def may_connect(address: Address, *, allowed: tuple[Network, ...]) -> bool:
    """Whether the address is public, or in one of the ``allowed`` networks and not one that never is."""
    address = _destination(address)
    if any(address in network for network in _NEVER):
        return False
    return _is_public(address) or any(address in network for network in allowed)


def system_resolve(host: str, port: int) -> list[str]:
    """As the system resolves names; also an IPv4 address in decimal, octal or hexadecimal, of one part or several."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(socket_address[0]) for *_, socket_address in found]


@dataclass(frozen=True)
class AddressPolicy:
    """The addresses that are allowed besides public ones, and how names are resolved."""

    allowed: tuple[Network, ...] = ()
    resolve: Resolve = system_resolve

    def addresses_of(self, host: str, port: int) -> list[str]:
        """The addresses of the host, all of which are allowed: connect to these, and do not resolve the name again.

        Raises ``UrlRefused`` if one is not, ``ServerUnreachable`` if the name has none now.
        """
        try:
            found = self.resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise ServerUnreachable("the name of its host has no address") from error
        if not all(may_connect(ipaddress.ip_address(text), allowed=self.allowed) for text in found):
            raise UrlRefused(NOT_ALLOWED)
        return list(dict.fromkeys(found))

    def check_literal(self, host: str) -> None:
        """The same at once for a host that is an address in whichever form; a name is not looked up."""
        try:
            found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            return
        for *_, socket_address in found:
            if not may_connect(ipaddress.ip_address(str(socket_address[0])), allowed=self.allowed):
                raise UrlRefused(NOT_ALLOWED)


def _destination(address: Address) -> Address:
    """Where packets to this address end: an IPv4 address that an IPv6 one contains, else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    bits = int(address)
    if address in _SIX_TO_FOUR:
        return IPv4Address(bits >> 80 & 0xFFFFFFFF)
    is_embedding = any(address in network for network in _EMBEDDING_IPV4)
    if is_embedding and bits > 1:  # :: and ::1 are the unspecified address and loopback
        return IPv4Address(bits & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if any(address in network for network in _SPECIAL):
        return False
    return address.is_global and (isinstance(address, IPv4Address) or address in _GLOBAL_UNICAST)
