"""proc_pid_mountinfo(5): the words of its lines."""

from __future__ import annotations


def unescape(field: str) -> str:
    """A path as it is: blanks, tabs, newlines and backslashes are octal in mountinfo."""
    for octal, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        if "\\" not in field:
            break
        field = field.replace(octal, character)
    return field
