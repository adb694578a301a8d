"""The flags of an instruction: `--name=value`, `--name`; which ones exist is said by the instruction."""

from __future__ import annotations

from crate.build.language.dockerfile_error import Fault, suggestion


class Flags:
    """The flags given to one instruction. `text`, `texts` and `truths` are the names it knows, by kind. Raises Fault.

    `texts` may be given several times.
    """

    def __init__(
        self,
        given: list[str],
        text: tuple[str, ...] = (),
        texts: tuple[str, ...] = (),
        truths: tuple[str, ...] = (),
    ) -> None:
        self._texts: dict[str, list[str]] = {}
        self._truths: dict[str, bool] = {}
        for flag in given:
            name, equals, value = flag[2:].partition("=")
            if name not in (*text, *texts, *truths):
                raise Fault(f"unknown flag: --{name}{suggestion(name, (*text, *texts, *truths))}", f"--{name}")
            if (name in self._texts or name in self._truths) and name not in texts:
                raise Fault(f"duplicate flag specified: {name}", flag)
            if name in truths:
                self._truths[name] = _truth(name, value, bool(equals))
            elif not equals:
                raise Fault(f"missing a value on flag: {name}", flag)
            else:
                self._texts.setdefault(name, []).append(value)

    def text(self, name: str) -> str:
        """The value of a flag; "" when it is not given."""
        return self._texts.get(name, [""])[0]

    def texts(self, name: str) -> tuple[str, ...]:
        """All values of a flag."""
        return tuple(self._texts.get(name, ()))

    def truth(self, name: str) -> bool | None:
        """Whether a flag is set; None when it is not given."""
        return self._truths.get(name)


def _truth(name: str, value: str, is_given: bool) -> bool:
    if is_given and not value:
        raise Fault(f"missing a value on flag: {name}", f"--{name}")
    if value.lower() not in ("", "true", "false"):
        raise Fault(f"expecting boolean value for flag {name}, not: {value}", value)
    return value.lower() != "false"
