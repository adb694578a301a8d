"""What --link asks for, its variables, and the class of packets."""

from __future__ import annotations

import pytest

from crate.errors import UsageError
from crate.plan.links import variables
from unit.plan.plan_cases import IMAGE, make


def test_links_in_the_record() -> None:
    made = make(IMAGE, link=["db", "/cache:fast", "x:/me/y"])
    assert made["record"]["links"] == [
        {"container": "db", "alias": "db"},
        {"container": "cache", "alias": "fast"},
        {"container": "x", "alias": "y"},
    ]
    assert "links" not in make(IMAGE)["record"]


@pytest.mark.parametrize("text", ["", ":", "a:", ":b", "a:b:c", "a:b c", "a:b;c", "a:b=c", "a:b\nc"])
def test_no_links(text: str) -> None:
    with pytest.raises(UsageError, match="bad format for links"):
        make(IMAGE, link=[text])


def test_variables() -> None:
    assert variables("me", "a-b", "10.0.0.2", ["443/tcp", "53/udp", "53/tcp"], ["X=1", "PATH=/", "Y"]) == [
        "A_B_NAME=/me/a-b",
        "A_B_PORT=tcp://10.0.0.2:53",
        "A_B_PORT_53_TCP=tcp://10.0.0.2:53",
        "A_B_PORT_53_TCP_ADDR=10.0.0.2",
        "A_B_PORT_53_TCP_PORT=53",
        "A_B_PORT_53_TCP_PROTO=tcp",
        "A_B_PORT_53_UDP=udp://10.0.0.2:53",
        "A_B_PORT_53_UDP_ADDR=10.0.0.2",
        "A_B_PORT_53_UDP_PORT=53",
        "A_B_PORT_53_UDP_PROTO=udp",
        "A_B_PORT_443_TCP=tcp://10.0.0.2:443",
        "A_B_PORT_443_TCP_ADDR=10.0.0.2",
        "A_B_PORT_443_TCP_PORT=443",
        "A_B_PORT_443_TCP_PROTO=tcp",
        "A_B_ENV_X=1",
        "A_B_ENV_Y",
    ]
    assert "C_PORT_80_TCP=tcp://[fd00::2]:80" in variables("me", "c", "fd00::2", ["80/tcp"], [])


@pytest.mark.parametrize(("text", "number"), [("10:1", 0x100001), ("0x100001", 0x100001), ("ffff:ffff", 0xFFFFFFFF)])
def test_class_of_packets(text: str, number: int) -> None:
    assert make(IMAGE, net_cls_classid=text)["spec"]["linux"]["resources"]["network"] == {"classID": number}


@pytest.mark.parametrize("text", ["x", "0", "10:", "10000:1", "-1", "0x100000000"])
def test_no_class_of_packets(text: str) -> None:
    with pytest.raises(UsageError, match="invalid net_cls class"):
        make(IMAGE, net_cls_classid=text)
