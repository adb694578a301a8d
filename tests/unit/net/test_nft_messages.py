"""The bytes of our nf_tables messages, against pyroute2 where it knows them; `tests/net` asks the kernel and nft."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.nfnetlink.nftsocket import nft_chain_msg, nft_rule_msg, nft_table_msg

from crate.net.firewall import messages as nft_messages
from crate.net.firewall import nftables
from crate.net.firewall.messages import NFPROTO_INET, number, text

names = st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=31)


def decoded(kind: Any, payload: bytes) -> Any:
    message = kind(bytes(16) + payload)
    message["header"]["length"] = 16 + len(payload)
    message.data = (16 + len(payload)).to_bytes(4, "little") + bytes(12) + payload
    message.decode()
    return message


@given(names)
def test_a_table_is_read_by_pyroute2(name: str) -> None:
    _, _, payload = nft_messages.message(nft_messages.NFT_MSG_NEWTABLE, 0, text(1, name))
    message = decoded(nft_table_msg, payload)
    assert message["nfgen_family"] == NFPROTO_INET
    assert message.get_attr("NFTA_TABLE_NAME") == name


@given(names, names, st.integers(-(2**31), 2**31 - 1))
def test_a_chain_is_read_by_pyroute2(table: str, name: str, priority: int) -> None:
    hook = nft_messages.nested(4, number(1, 3), number(2, priority))
    parts = [text(1, table), text(3, name), hook, number(5, 1), text(7, "nat")]
    message = decoded(nft_chain_msg, nft_messages.message(nft_messages.NFT_MSG_NEWCHAIN, 0, *parts)[2])
    assert message.get_attr("NFTA_CHAIN_TABLE") == table
    assert message.get_attr("NFTA_CHAIN_NAME") == name
    assert message.get_attr("NFTA_CHAIN_TYPE") == "nat"


@given(names, names)
def test_a_question_about_rules_is_read_by_pyroute2(table: str, chain: str) -> None:
    message = decoded(nft_rule_msg, nft_messages.rules(table, chain)[2])
    assert message.get_attr("NFTA_RULE_TABLE") == table
    assert message.get_attr("NFTA_RULE_CHAIN") == chain


@given(st.binary(min_size=1, max_size=32), st.binary(min_size=1, max_size=32))
def test_an_element_comes_back(key: bytes, value: bytes) -> None:
    (message,) = nft_messages.add_elements("t", "m", [(key, value, False)])
    assert nft_messages.parse_element(message[2]) == value


def test_many_elements_take_several_messages() -> None:
    elements = [(number.to_bytes(24, "big"), bytes(20), False) for number in range(65535)]
    messages = nft_messages.add_elements("t", "m", elements)
    assert len(messages) == 132
    assert all(len(payload) < 65536 for _, _, payload in messages)


def element(host_ip: str, address: str = "10.88.0.2", address6: str = "") -> list[tuple[str, str, str]]:
    found = nftables.port_elements([[host_ip, 8080, 80, "tcp"]], address, address6)
    return [(name, key.hex(), value.hex()) for name, (key, value, _) in found]


def test_elements_of_ports() -> None:
    socket, target, target6 = "06000000" + "1f900000", "0a580002" + "00500000", "fd" + "00" * 14 + "02" + "00500000"
    assert element("") == [("any4", socket, target)]
    assert element("", address6="fd00::2") == [("any4", socket, target), ("any6", socket, target6)]
    assert element("0.0.0.0", address6="fd00::2") == [("any4", socket, target)]
    assert element("127.0.0.1") == [("published4", "7f000001" + socket, target)]
    assert element("::", address6="fd00::2") == [("any6", socket, target6)]


def test_what_rules_cannot_reach_is_left_to_the_proxy() -> None:
    assert element("::1", address6="fd00::2") == []
    assert element("2001:db8::1") == []
