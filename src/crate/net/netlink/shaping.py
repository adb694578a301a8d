"""The rtnetlink messages of traffic control that shaping needs (linux/pkt_sched.h, pkt_cls.h, tc_act/tc_mirred.h)."""

from __future__ import annotations

from struct import Struct

from crate.linux.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, attribute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.linux.netlink import Message

_RTM_NEWQDISC, _RTM_DELQDISC, _RTM_NEWTFILTER = 36, 37, 44
_NLM_F_REPLACE = 0x100
_ROOT, _INGRESS, _INGRESS_HANDLE, _TBF_HANDLE = 0xFFFFFFFF, 0xFFFFFFF1, 0xFFFF0000, 0x10000
_TCA_KIND, _TCA_OPTIONS = 1, 2
_TCA_TBF_PARMS, _TCA_TBF_RATE64, _TCA_TBF_BURST = 1, 4, 6
_TCA_U32_SEL, _TCA_U32_ACT, _TC_U32_TERMINAL = 5, 7, 1
_TCA_ACT_KIND, _TCA_ACT_OPTIONS, _TCA_MIRRED_PARMS = 1, 2, 2
_TC_ACT_STOLEN, _TCA_EGRESS_REDIR = 4, 1
_LINKLAYER_ETHERNET = 1
_ETH_P_ALL = 3

_tcmsg = Struct("=BxxxiIII")
_ratespec = Struct("=BBHhHI")
_tbf = Struct("=III")
_u32_selector = Struct("=BBBxHHhhI")
_u32_key = Struct("=IIii")
_mirred = Struct("=IIiiiiI")
_u32, _u64 = Struct("=I"), Struct("=Q")


def bucket(index: int, bits: int, burst: int, limit: int) -> Message:
    """A token bucket as the root of an interface, in place of what is there: bits a second; bytes at once; in wait."""
    rate = bits // 8
    spec = _ratespec.pack(0, _LINKLAYER_ETHERNET, 0, 0, 0, min(rate, 0xFFFFFFFF))
    options = (
        attribute(_TCA_TBF_PARMS, spec + bytes(_ratespec.size) + _tbf.pack(limit, 0, 0))
        + attribute(_TCA_TBF_RATE64, _u64.pack(rate))
        + attribute(_TCA_TBF_BURST, _u32.pack(burst))
    )
    flags = NLM_F_ACK | NLM_F_CREATE | _NLM_F_REPLACE
    return _RTM_NEWQDISC, flags, _message(index, _TBF_HANDLE, _ROOT, 0, "tbf", options)


def no_bucket(index: int) -> Message:
    """Takes away what is the root of an interface. ENOENT for the kernel's own default."""
    return _RTM_DELQDISC, NLM_F_ACK, _tcmsg.pack(0, index, 0, _ROOT, 0)


def ingress(index: int) -> Message:
    """Lets filters see what comes in by an interface. EEXIST when they do already."""
    flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
    return _RTM_NEWQDISC, flags, _message(index, _INGRESS_HANDLE, _INGRESS, 0, "ingress", b"")


def no_ingress(index: int) -> Message:
    """Takes the filters away again. EINVAL or ENOENT for none."""
    return _RTM_DELQDISC, NLM_F_ACK, _tcmsg.pack(0, index, _INGRESS_HANDLE, _INGRESS, 0)


def redirect(index: int, target: int) -> Message:
    """Sends everything that comes in by an interface through another one, which gives it back."""
    selector = _u32_selector.pack(_TC_U32_TERMINAL, 0, 1, 0, 0, 0, 0, 0) + _u32_key.pack(0, 0, 0, 0)
    parameters = attribute(_TCA_MIRRED_PARMS, _mirred.pack(0, 0, _TC_ACT_STOLEN, 0, 0, _TCA_EGRESS_REDIR, target))
    action = attribute(_TCA_ACT_KIND, b"mirred\0") + attribute(_TCA_ACT_OPTIONS, parameters)
    options = attribute(_TCA_U32_SEL, selector) + attribute(_TCA_U32_ACT, attribute(1, action))
    info = 1 << 16 | _ETH_P_ALL << 8  # priority 1; every protocol, in network order
    flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
    return _RTM_NEWTFILTER, flags, _message(index, 0, _INGRESS_HANDLE, info, "u32", options)


def _message(index: int, handle: int, parent: int, info: int, kind: str, options: bytes) -> bytes:
    payload = _tcmsg.pack(0, index, handle, parent, info) + attribute(_TCA_KIND, kind.encode() + b"\0")
    return payload + (attribute(_TCA_OPTIONS, options) if options else b"")
