"""The addresses that Clipzy connects to on behalf of a client, in every form in which they can be written."""

import ipaddress
from typing import Any

import pytest

from clipzy_storage.errors import ServerUnreachable, UrlRefused
from clipzy_storage.outbound.addresses import AddressPolicy, may_connect

EVERYTHING = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
PUBLIC = ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
PRIVATE = {
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fd00::1", "fec0::1"],
    "shared by carriers": ["100.64.0.1"],
    "special": [
        "192.0.0.8",
        "198.18.0.1",
        "192.0.2.1",
        "203.0.113.9",
        "2001:db8::1",
        "2001:20::1",
        "3fff::1",
    ],
    "IPv4-mapped": ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:7f00:1"],
    "IPv4-compatible": ["::127.0.0.1", "::10.0.0.1"],
    "IPv4-translated": ["::ffff:0:127.0.0.1"],
    "6to4": ["2002:7f00:1::1", "2002:a00:1::", "2002:c0a8:101::5"],
    "NAT64": ["64:ff9b::127.0.0.1", "64:ff9b::c0a8:101", "64:ff9b:1::7f00:1"],
    "no unicast that is routed": ["4000::1", "5f00::1"],
}
NEVER = {
    "link-local": ["169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0"],
    "link-local in IPv6": ["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::169.254.169.254"],
    "link-local by NAT64 in this network": ["64:ff9b:1::a9fe:a9fe", "64:ff9b:1:a::a9fe:1"],
    "unspecified": ["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0"],
    "multicast": ["224.0.0.1", "239.255.255.250", "ff02::1", "::ffff:224.0.0.1"],
    "reserved": ["240.0.0.1", "255.255.255.255"],
    "Teredo": ["2001:0:a00:1::f5ff:fffe"],
    "where clouds keep credentials": [
        *("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
        "::ffff:100.100.100.200",
    ],
}


def listed(groups: dict[str, list[str]]) -> list[Any]:
    return [pytest.param(text, id=f"{name}-{text}") for name, texts in groups.items() for text in texts]


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_connected_to(text: str) -> None:
    assert may_connect(ipaddress.ip_address(text), allowed=())


@pytest.mark.parametrize("text", listed(PRIVATE))
def test_private_addresses_are_only_if_they_are_allowed(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert not may_connect(address, allowed=())
    assert may_connect(address, allowed=EVERYTHING)


@pytest.mark.parametrize("text", listed(NEVER))
def test_some_addresses_never_are(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert not may_connect(address, allowed=())
    assert not may_connect(address, allowed=EVERYTHING)


def test_only_the_networks_that_are_listed_are_allowed() -> None:
    allowed = (ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd12::/16"))
    found = {text: may_connect(ipaddress.ip_address(text), allowed=allowed) for text in ("10.1.2.3", "10.2.0.1")}
    assert found == {"10.1.2.3": True, "10.2.0.1": False}
    assert may_connect(ipaddress.ip_address("fd12::1"), allowed=allowed)
    assert may_connect(ipaddress.ip_address("::ffff:10.1.2.3"), allowed=allowed)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "2130706433", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "017700000001", "127.1", "127.0.1"),
        *("::1", "::ffff:127.0.0.1", "0", "169.254.169.254", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376"),
    ],
)
def test_forms_of_one_address_are_one_address(host: str) -> None:
    policy = AddressPolicy()
    with pytest.raises(UrlRefused):
        policy.check_literal(host)
    with pytest.raises(UrlRefused):
        policy.addresses_of(host, 80)


def test_a_name_is_refused_if_one_of_its_addresses_is() -> None:
    policy = AddressPolicy(resolve=lambda _host, _port: ["93.184.215.14", "10.0.0.1"])
    policy.check_literal("mixed.test")  # it is not asked yet
    with pytest.raises(UrlRefused) as refused:
        policy.addresses_of("mixed.test", 443)
    assert "10.0.0.1" not in str(refused.value)


def test_the_names_of_this_machine_lead_to_it() -> None:
    """As the system resolves them, from /etc/hosts."""
    with pytest.raises(UrlRefused):
        AddressPolicy().addresses_of("localhost", 80)


def test_a_name_without_an_address_may_get_one() -> None:
    with pytest.raises(ServerUnreachable):
        AddressPolicy().addresses_of("nowhere.invalid", 80)
