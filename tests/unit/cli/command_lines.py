"""Command lines for the property tests: right ones, by the table of options, and ones with something odd in them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from crate.cli import table

BOOLEANS = ("1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False")
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
PLAIN = WORDS.filter(lambda word: not word.startswith("-"))
NUMBERS = st.integers(-(2**40), 2**40).map(str)


class Option:
    """One option of the table."""

    def __init__(self, line: str) -> None:
        self.kind, self.key, *self.names = line.split()


def options_of(text: str) -> list[Option]:
    """The options of one entry of the table."""
    return [Option(line) for line in text.splitlines()]


GLOBALS = [option for option in options_of(table.GLOBALS) if option.key != "version"]


def values(option: Option) -> st.SearchStrategy[str]:
    """Right values."""
    return {"b": st.sampled_from(BOOLEANS), "i": NUMBERS}.get(option.kind, WORDS)


@st.composite
def written(draw: Any, options: list[Option], long_only: bool = False) -> list[str]:
    """One option as one or two words, in any of its spellings."""
    option = draw(st.sampled_from(options))
    name = draw(st.sampled_from([name for name in option.names if name.startswith("--") or not long_only]))
    if option.kind == "b" and draw(st.booleans()):
        return [name]
    value = draw(values(option))
    if name.startswith("--"):
        return [f"{name}={value}"] if option.kind == "b" or draw(st.booleans()) else [name, value]
    if option.kind == "b":
        return [f"{name}={value}"]
    form = draw(st.sampled_from(["apart", "together", "equals"]))
    if form == "apart" or not value or (form == "together" and value.startswith("=")):
        return [name, value]
    return [name + value] if form == "together" else [f"{name}={value}"]


@st.composite
def right(draw: Any) -> list[str]:
    """A command line that is right."""
    words = draw(st.sampled_from(sorted(table.COMMANDS)))
    stop, positions, _, text = table.OPTIONS[table.COMMANDS[words]]
    before = draw(st.lists(written(GLOBALS), max_size=2))
    own = options_of(text)
    taken = {option.key for option in own}
    later = [option for option in GLOBALS if option.key not in taken]
    some = st.one_of(written(own), written(later, long_only=True)) if own else written(later, long_only=True)
    pieces = draw(st.lists(some, max_size=5))
    arguments: list[str] = []
    for position in positions.split():
        least = 1 if position[-1] not in "?*" else 0
        most = 3 if position[-1] in "*+" else 1
        if least or draw(st.booleans()):
            arguments += draw(st.lists(PLAIN, min_size=max(least, 1), max_size=most))
        else:
            break
    if stop:
        pieces += [[argument] for argument in arguments]
    else:
        for argument in arguments:
            pieces.insert(draw(st.integers(0, len(pieces))), [argument])
    return [word for piece in [*before, words.split(), *pieces] for word in piece]


@st.composite
def odd(draw: Any) -> list[str]:
    """A right one after some accidents."""
    line: list[str] = draw(right())
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(line)))
        accident = draw(
            st.sampled_from(["drop", "dash", "unknown", "bundle", "value", "word", "equals", "help", "double", "text"])
        )
        if accident == "drop":
            del line[place : place + 1]
        elif accident == "text":
            line[place : place + 1] = [draw(WORDS)]
        elif accident == "double" and place < len(line):
            line.insert(place, line[place])
        else:
            new = {
                "dash": "-",
                "unknown": "--no-such-option",
                "bundle": "-" + draw(st.text("aditvhqlnfxz=0", max_size=5)),
                "value": "--rm=maybe",
                "word": "--",
                "equals": "--=x",
                "help": "--help",
            }.get(accident, "---")
            line.insert(place, new)
    return line
