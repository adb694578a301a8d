"""nf_tables messages in the form the kernel takes: batches, elements, questions (linux/netfilter/nf_tables.h).

The messages that make tables, chains, sets and rules are in `nft_rules`, which a running system needs once a boot.
"""

from __future__ import annotations

from struct import Struct

from crate.linux.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, attribute, attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.linux.netlink import Message

NFPROTO_UNSPEC, NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6 = 0, 1, 2, 10

NFT_MSG_NEWTABLE, NFT_MSG_GETTABLE, NFT_MSG_DELTABLE = 0, 1, 2
NFT_MSG_NEWCHAIN, NFT_MSG_GETCHAIN = 3, 4
NFT_MSG_NEWRULE, NFT_MSG_GETRULE, NFT_MSG_DELRULE = 6, 7, 8
NFT_MSG_NEWSET = 9
NFT_MSG_NEWSETELEM, NFT_MSG_GETSETELEM, NFT_MSG_DELSETELEM = 12, 13, 14
NFT_MSG_GETGEN = 16

_NFNL_SUBSYS_NFTABLES = 10
_NFNL_MSG_BATCH_BEGIN, _NFNL_MSG_BATCH_END = 0x10, 0x11
_NLA_F_NESTED = 0x8000
_NFTA_LIST_ELEM, _NFTA_DATA_VALUE = 1, 1
_NFTA_RULE_TABLE, _NFTA_RULE_CHAIN = 1, 2
_NFTA_SET_ELEM_LIST_TABLE, _NFTA_SET_ELEM_LIST_SET, _NFTA_SET_ELEM_LIST_ELEMENTS = 1, 2, 3
_NFTA_SET_ELEM_KEY, _NFTA_SET_ELEM_DATA, _NFTA_SET_ELEM_FLAGS = 1, 2, 3
_NFT_SET_ELEM_INTERVAL_END = 1
_NFTA_CHAIN_TABLE, _NFTA_CHAIN_NAME, _NFTA_CHAIN_POLICY = 1, 3, 5
NFTA_RULE_USERDATA = 7
_NFTA_GEN_ID = 1
# A list of elements is one attribute, whose length has 16 bits; an element with an IPv6 key and value takes 92 bytes.
_ELEMENTS_A_MESSAGE = 500

_nfgenmsg = Struct(">BBH")
_be32 = Struct(">I")

#: key, value (empty in a set), whether it closes an interval
Element = tuple[bytes, bytes, bool]


def text(kind: int, value: str) -> bytes:
    """A string attribute."""
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    """A 32 bit attribute, in network order as nf_tables wants all numbers; negative ones as two's complement."""
    return attribute(kind, _be32.pack(value & 0xFFFFFFFF))


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute of attributes."""
    return attribute(kind | _NLA_F_NESTED, b"".join(parts))


def message(kind: int, flags: int, *parts: bytes, family: int = NFPROTO_INET) -> Message:
    """One nf_tables message."""
    return _NFNL_SUBSYS_NFTABLES << 8 | kind, flags, _nfgenmsg.pack(family, 0, 0) + b"".join(parts)


def batch(messages: Sequence[Message]) -> list[Message]:
    """Messages that the kernel applies all at once or not at all."""
    frame = _nfgenmsg.pack(NFPROTO_UNSPEC, 0, _NFNL_SUBSYS_NFTABLES)
    return [(_NFNL_MSG_BATCH_BEGIN, 0, frame), *messages, (_NFNL_MSG_BATCH_END, 0, frame)]


def add_elements(table: str, name: str, elements: Sequence[Element]) -> list[Message]:
    """Adds elements to a set or map; those that are there already are no failure, those with another value EEXIST."""
    return _elements(NFT_MSG_NEWSETELEM, NLM_F_ACK | NLM_F_CREATE, table, name, elements)


def delete_elements(table: str, name: str, elements: Sequence[Element]) -> list[Message]:
    """Deletes elements by their keys; ENOENT when one is not there."""
    return _elements(NFT_MSG_DELSETELEM, NLM_F_ACK, table, name, [(key, b"", end) for key, _, end in elements])


def flush_elements(table: str, name: str) -> Message:
    """Deletes all elements of a set or map."""
    parts = text(_NFTA_SET_ELEM_LIST_TABLE, table), text(_NFTA_SET_ELEM_LIST_SET, name)
    return message(NFT_MSG_DELSETELEM, NLM_F_ACK, *parts)


def get_element(table: str, name: str, key: bytes) -> Message:
    """Asks for one element; ENOENT when it is not there."""
    return _elements(NFT_MSG_GETSETELEM, NLM_F_ACK, table, name, [(key, b"", False)])[0]


def _elements(kind: int, flags: int, table: str, name: str, elements: Sequence[Element]) -> list[Message]:
    messages = []
    for start in range(0, len(elements), _ELEMENTS_A_MESSAGE):
        items = []
        for key, value, end in elements[start : start + _ELEMENTS_A_MESSAGE]:
            parts = [nested(_NFTA_SET_ELEM_KEY, attribute(_NFTA_DATA_VALUE, key))]
            if value:
                parts.append(nested(_NFTA_SET_ELEM_DATA, attribute(_NFTA_DATA_VALUE, value)))
            if end:
                parts.append(number(_NFTA_SET_ELEM_FLAGS, _NFT_SET_ELEM_INTERVAL_END))
            items.append(nested(_NFTA_LIST_ELEM, *parts))
        messages.append(
            message(
                kind,
                flags,
                text(_NFTA_SET_ELEM_LIST_TABLE, table),
                text(_NFTA_SET_ELEM_LIST_SET, name),
                nested(_NFTA_SET_ELEM_LIST_ELEMENTS, *items),
            )
        )
    return messages


def parse_element(payload: bytes) -> bytes:
    """The value of the element that answers `get_element`."""
    listed = attributes(payload, _nfgenmsg.size)[_NFTA_SET_ELEM_LIST_ELEMENTS]
    element = attributes(attributes(listed)[_NFTA_LIST_ELEM])
    return attributes(element.get(_NFTA_SET_ELEM_DATA, b"")).get(_NFTA_DATA_VALUE, b"")


def generation() -> Message:
    """Asks for the number of the rule set, which every change by anybody counts up."""
    return message(NFT_MSG_GETGEN, NLM_F_ACK, family=NFPROTO_UNSPEC)


def parse_generation(payload: bytes) -> int:
    """The number in the answer to `generation`."""
    return int(_be32.unpack(attributes(payload, _nfgenmsg.size)[_NFTA_GEN_ID])[0])


def chain(table: str, name: str, family: int) -> Message:
    """Asks for one chain; ENOENT when it is not there."""
    return message(
        NFT_MSG_GETCHAIN, NLM_F_ACK, text(_NFTA_CHAIN_TABLE, table), text(_NFTA_CHAIN_NAME, name), family=family
    )


def parse_policy(payload: bytes) -> int | None:
    """What a base chain does with packets that no rule decides: 0 drops them; None for other chains."""
    policy = attributes(payload, _nfgenmsg.size).get(_NFTA_CHAIN_POLICY)
    return None if policy is None else int(_be32.unpack(policy)[0])


def parse_comment(payload: bytes) -> bytes:
    """The user's data at a rule."""
    return attributes(payload, _nfgenmsg.size).get(NFTA_RULE_USERDATA, b"")


def rules(table: str, chain: str = "", family: int = NFPROTO_INET) -> Message:
    """Asks for the rules of a table or of one of its chains; no answer at all when it is not there."""
    parts = [text(_NFTA_RULE_TABLE, table)]
    if chain:
        parts.append(text(_NFTA_RULE_CHAIN, chain))
    return message(NFT_MSG_GETRULE, NLM_F_DUMP, *parts, family=family)
