"""Which addresses belong to the public internet, and which to this machine, its networks and its cloud."""

import pytest

from oauthgw.guard.fetch import is_public


@pytest.mark.parametrize(
    "address",
    """
    0.0.0.0 0.1.2.3 10.1.2.3 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16 169.254.169.254 172.16.0.1 192.0.0.192
    192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255
    :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::808:808
    100::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:db8::1 2002:7f00:1:: 2002:a00:1::1 3fff::1 4000::1 5f00::1 fc00::1
    fd00:ec2::254 fe80::1 fec0::1 ff02::1
    2606:2800:220:1:0:5efe:10.0.0.1 2606:2800:220:1:200:5efe:127.0.0.1 2606:2800:220:1:0:5efe:169.254.169.254
    fd00::5efe:8.8.8.8 fe80::200:5efe:8.8.8.8
    """.split(),  # noqa: SIM905
)
def test_an_address_of_this_machine_or_its_networks_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    """
    1.1.1.1 93.184.216.34 100.128.0.1 172.32.0.1 168.63.129.17 2606:2800:220:1::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8
    2606:2800:220:1:0:5efe:8.8.8.8 2606:2800:220:1:200:5efe:8.8.8.8 2606:2800:220:1:100:5efe:10.0.0.1 2606:2800:220:5efe:0:1:10.0.0.1
    """.split(),  # noqa: SIM905
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)
