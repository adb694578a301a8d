"""The binding of C functions: prototypes by letters, errno as OSError that names the call and its object.

It stands on `_ctypes`, the interpreter's own module: `ctypes` around it costs 2.7 ms at start (docs/speed.md).
Letters of a prototype: `i` int, `I` unsigned int, `l` long, `L` unsigned long, `q` 64 bit, `P` a pointer
(bytes, a buffer, None or an address).
"""

from __future__ import annotations

import os
from _ctypes import FUNCFLAG_CDECL, FUNCFLAG_PYTHONAPI, FUNCFLAG_USE_ERRNO, CFuncPtr, _SimpleCData, dlopen, get_errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class c_int(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "i"


class c_uint(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "I"


class c_long(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "l"


class c_ulong(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "L"


class c_longlong(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "q"


class c_char(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "c"


class c_void_p(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "P"


_TYPES = {"i": c_int, "I": c_uint, "l": c_long, "L": c_ulong, "q": c_longlong, "P": c_void_p}


class _Function(CFuncPtr):
    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_USE_ERRNO
    _restype_ = c_long


class _IntFunction(CFuncPtr):
    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_USE_ERRNO
    _restype_ = c_int


class _PythonFunction(CFuncPtr):
    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_PYTHONAPI
    _restype_ = None


class _Library:
    """What CFuncPtr wants as the place of a symbol: a name and a dlopen handle."""

    def __init__(self) -> None:
        self._name = "libc"
        self._handle = dlopen(None, os.RTLD_NOW)  # type: ignore[arg-type]


_library: Any = _Library()


def function(name: str, arguments: str, result: str = "i") -> Callable[..., int]:
    """The C function `name` with its prototype in letters; it returns what C returns and sets `errno()`."""
    bound: Any = (_IntFunction if result == "i" else _Function)((name, _library))
    bound.argtypes = tuple(_TYPES[letter] for letter in arguments)
    return bound  # type: ignore[no-any-return]


def python_hook(name: str) -> Callable[[], None]:
    """A `void f(void)` of the interpreter's C API, called with the GIL held."""
    return _PythonFunction((name, _library))


def buffer(size: int) -> Any:
    """A writable C buffer of `size` zero bytes; `.raw` reads it, it passes as a `P`."""
    return (c_char * size)()


def errno() -> int:
    """The errno of the last call made through this module."""
    return get_errno()


def fail(call: str, path: object = None, code: int | None = None) -> OSError:
    """The OSError of the last failed call: `[Errno 1] mount: Operation not permitted: '/proc'`."""
    number = get_errno() if code is None else code
    text = f"{call}: {os.strerror(number)}"
    return OSError(number, text) if path is None else OSError(number, text, path)


def check(result: int, call: str, path: object = None) -> int:
    """`result`, or the OSError that a negative one stands for."""
    if result < 0:
        raise fail(call, path)
    return result


def path_bytes(path: str | bytes) -> bytes:
    """A path as the kernel takes it. An embedded NUL would silently cut it: ValueError."""
    raw = os.fsencode(path)
    if b"\0" in raw:
        raise ValueError(f"NUL byte in path: {raw!r}")
    return raw


_syscall_pointers: dict[str, Callable[..., int]] = {}


def syscall(number: int, arguments: str, *values: object) -> int:
    """`syscall(2)` for calls that the C library has no function for; `arguments` as in `function`, at most six."""
    bound = _syscall_pointers.get(arguments)
    if bound is None:
        bound = _syscall_pointers[arguments] = function("syscall", "l" + arguments, "l")
    return bound(number, *values)
