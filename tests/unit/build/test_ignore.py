"""Ignore files and Go's patterns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.build.language.dockerfile_error import DockerfileError, Fault
from crate.build.sources import go_match, ignore


def out(lines: str, path: str) -> bool:
    """Is a path left out by these lines, `|` between them?"""
    return ignore.parse(lines.replace("|", "\n").encode(), ".dockerignore").leaves_out(path)


@pytest.mark.parametrize(
    ("lines", "path", "left_out"),
    [
        ("a", "a", True), ("a", "a/b/c", True), ("a", "b/a", False), ("/a", "a", True), ("a/", "a/b", True),
        ("./a/../b", "b", True),
        ("*.log", "x.log", True), ("*.log", "d/x.log", False), ("**/*.log", "d/e/x.log", True),
        ("**/*.log", "x.log", True),
        ("*", "a", True), ("*", ".hidden", True), ("**", "a/b", True), ("a/*", "a/b/c", True), ("a/*", "a", False),
        ("a/**", "a/b/c", True), ("a/**", "a", False), ("a/**/z", "a/z", True), ("a/**/z", "a/b/c/z", True),
        ("a/**/z", "a/bz", False),
        ("**/z", "z", True), ("**/z", "a/z", True), ("**/z", "a/bz", False), ("**foo", "a/bfoo", True),
        ("d?", "da", True),
        ("d?", "d/", False), ("[a-c]x", "bx", True), ("[^a-c]x", "bx", False), ("a\\*", "a*", True),
        ("a\\*", "ab", False),
        ("# a", "a", False), (" a ", "a", True), ("#a|a", "a", True), ("*|!a", "a", False), ("*|!a", "b", True),
        ("!a|*", "a", True),
        ("d|!d/keep", "d/keep", False), ("d|!d/keep", "d/x", True), ("*|! a", "a", False),
        ("*.md|!README*.md|README-s.md",
        "README-s.md", True), ("*.md|!README*.md", "README.md", False), ("**|!**/*.go", "a/b.go", False),
        (".", "a", False),
        ("a.b", "axb", False), ("a(b", "a(b", True), ("a+", "a+", True), ("$x", "$x", True),
        ("**/node_modules/**", "a/node_modules/b", True),
        ("", "a", False), ("*/temp*", "x/temporary.txt", True), ("*/*/temp*", "x/y/temp", True),
        ("*/temp*", "x/y/temp", False),
    ],
)  # fmt: skip
def test_rules(lines: str, path: str, left_out: bool) -> None:
    assert out(lines, path) is left_out


def test_lines_that_are_wrong() -> None:
    with pytest.raises(DockerfileError, match=r"\.dockerignore:2: syntax error in pattern: \[") as caught:
        out("a|[", "a")
    assert "2 | [" in caught.value.detail
    with pytest.raises(DockerfileError, match="illegal exclusion pattern"):
        out("!", "a")


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert ignore.parse(b"\xef\xbb\xbfa\r\nb\r\n", "x").leaves_out("a")


@given(st.text(alphabet="ab*?[]^-!\\/. ", max_size=10), st.text(alphabet="ab/", min_size=1, max_size=6))
def test_no_pattern_breaks_the_matcher(pattern: str, path: str) -> None:
    try:
        patterns = ignore.Patterns([pattern])
    except Fault:
        return
    assert patterns.leaves_out(path) in (True, False)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("abc", "abc", True), ("*", "abc", True), ("*c", "abc", True), ("a*/b", "a/c/b", False),
        ("a*b*c*d", "axbxcxd", True),
        ("a?c", "a/c", False), ("[a-z]", "b", True), ("[^a]", "a", False), ("[\\]a]", "]", True), ("[x-]", "x", None),
        ("[-x]", "x", None), ("\\*", "*", True), ("[]a]", "a", None), ("[", "a", None), ("[a", "a", None),
        ("a\\", "a", None), ("é?", "éa", True),
        ("[b-a]", "a", False), ("[^b-a]", "a", True), ("**", "ab", True), ("*x", "xxx", True),
    ],
)  # fmt: skip
def test_patterns_of_go(pattern: str, name: str, matches: bool | None) -> None:
    if matches is None:
        with pytest.raises(Fault):
            go_match.match(pattern, name)
    else:
        assert go_match.match(pattern, name) is matches


def test_many_stars_take_no_longer_than_one() -> None:
    name = "a" * 200
    for pattern in ("a*" * 30 + "b", "**/" + "a*" * 30 + "b", "*" + "?*" * 30 + "b/x"):
        assert go_match.match(pattern.replace("**/", ""), name) is False
        assert out(pattern, f"{name}/{name}") is False
    assert out("**/" + "a*" * 30 + "/z", f"b/{name}/z") and go_match.match("a*" * 30 + "a", name)


@given(st.text(alphabet="ab*?/", max_size=9), st.text(alphabet="ab/", max_size=9))
def test_stars_as_a_plain_expression_has_them(pattern: str, path: str) -> None:
    import re

    plain = pattern.replace("**/", "\0").replace("**", "\1")
    text = "".join({"*": "[^/]*", "?": "[^/]", "\0": "(?:.*/)?", "\1": "(?:.*/)?"}.get(one, one) for one in plain)
    if plain.endswith(("\0", "\1")):
        text = text.removesuffix("(?:.*/)?") + ".*"
    assert bool(re.fullmatch(ignore._expression(pattern), path)) is bool(re.fullmatch(text, path))


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [
        ("", "."),
        ("a//b/./c/..", "a/b"),
        ("/../a", "/a"),
        ("../../a", "../../a"),
        ("a/..", "."),
        ("/", "/"),
        ("./a/", "a"),
    ],
)
def test_clean(path: str, cleaned: str) -> None:
    assert go_match.clean(path) == cleaned
