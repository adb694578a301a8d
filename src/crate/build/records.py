"""`dataclass`, `field` and `replace` as of the standard library's dataclasses, as far as a build needs them, lighter.

The library writes code for each class and compiles it, and loads `inspect` for that: thirty of the hundred and forty
milliseconds of a build that finds everything in its cache. Type checkers see the library's.
"""

from __future__ import annotations

__all__ = ["dataclass", "field", "replace"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace
else:
    _FIELDS = "__record_fields__"
    _NEEDED = object()

    class _Field:
        """A default that is more than a value. `factory` is called for it; `shown`: by repr."""

        __slots__ = ("factory", "shown")

        def __init__(self, factory, shown):
            self.factory = factory
            self.shown = shown

    def field(*, default=_NEEDED, default_factory=None, repr=True):
        """The default of a field, or what makes it; `repr`: whether it is shown."""
        return _Field(default_factory or (lambda: default), repr)

    def dataclass(kind=None, /, *, frozen=False, kw_only=False):
        """Makes a class of its annotations, those of its bases first. `kw_only` is for type checkers."""
        if kind is None:
            return lambda made: _complete(made, frozen)
        return _complete(kind, frozen)

    def replace(one, /, **changes):
        """A copy with other values."""
        return type(one)(**{**one.__dict__, **changes})

    def _complete(kind, frozen):
        own = kind.__dict__
        fields = {}
        for base in reversed(kind.__mro__[1:]):
            fields.update(base.__dict__.get(_FIELDS, ()))
        for name in own.get("__annotations__", ()):
            fields[name] = own.get(name, _NEEDED)
            if isinstance(fields[name], _Field):
                delattr(kind, name)
        setattr(kind, _FIELDS, fields)
        kind.__init__, kind.__repr__, kind.__eq__ = _init, _repr, _eq
        kind.__hash__ = _hash if frozen else None
        if frozen:
            kind.__setattr__ = kind.__delattr__ = _refuse
        return kind

    def _init(self, /, *values, **named):
        fields, state = getattr(self, _FIELDS), self.__dict__
        if len(values) > len(fields):
            raise TypeError(f"{type(self).__name__} takes {len(fields)} values, not {len(values)}")
        state.update(zip(fields, values, strict=False))
        for name, default in fields.items():
            if name in named:
                if name in state:
                    raise TypeError(f"{type(self).__name__} got {name} twice")
                state[name] = named.pop(name)
            elif name not in state:
                if default is _NEEDED:
                    raise TypeError(f"{type(self).__name__} needs {name}")
                state[name] = default.factory() if isinstance(default, _Field) else default
        if named:
            raise TypeError(f"{type(self).__name__} has no {min(named)}")

    def _repr(self):
        fields = getattr(self, _FIELDS)
        shown = (name for name, default in fields.items() if not isinstance(default, _Field) or default.shown)
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def _eq(self, other):
        return self.__dict__ == other.__dict__ if type(self) is type(other) else NotImplemented

    def _hash(self):
        return hash(tuple(self.__dict__[name] for name in getattr(self, _FIELDS)))

    def _refuse(self, *values):
        raise AttributeError(f"{type(self).__name__} does not change: {values[0]}")
