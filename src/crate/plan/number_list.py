"""Lists of processors and memory nodes as the kernel writes them: `0-3,7` (cpuset(7), "List format")."""

from __future__ import annotations

_HIGHEST = 8191  # as docker: more processors than any machine, fewer than would fill the memory


def parse_number_list(text: str) -> set[int] | None:
    """The numbers; None for anything else."""
    numbers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        words = (first, last) if dash else (first,)
        if not all(word.isascii() and word.isdigit() and int(word) <= _HIGHEST for word in words):
            return None
        if int(words[0]) > int(words[-1]):
            return None
        numbers.update(range(int(words[0]), int(words[-1]) + 1))
    return numbers
