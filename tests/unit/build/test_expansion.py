"""Variables in words: every form, quotes and escapes, splitting, and what was used."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.build.language.dockerfile import parse
from crate.build.language.dockerfile_error import DockerfileError, Fault
from crate.build.language.expanding import expanded
from crate.build.language.expansion import Lexer

VARIABLES = {"x": "abc", "empty": "", "path": "/usr/lib/a.tar.gz", "two": "a b", "star": "a*b*c", "n": "1"}


def word(text: str, escape: str = "\\") -> str:
    """The text expanded to one word."""
    return Lexer(escape).expand(text, VARIABLES).text


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$x", "abc"), ("${x}", "abc"), ("$x.txt", "abc.txt"), ("$xy", ""), ("${no}", ""), ("a$", "a$"), ("$", "$"),
        ("$$x", "x"), ("$1a", "a"), ("$!", ""), ("\\$x", "$x"), ("\\${x}", "${x}"), ("'$x'", "$x"), ('"$x"', "abc"),
        ("'a'\"b\"c", "abc"), ('"\\$x"', "$x"), ('"a\\b"', "a\\b"), ("a\\b", "ab"), ("a\\\\b", "a\\b"), ("a\\", "a"),
        ('"\'$x\'"', "'abc'"), ("$x$x", "abcabc"), ("${x}d$n", "abcd1"), ("~$two~", "~a b~"), ("$é", ""),
        ("${no:-w}", "w"), ("${empty:-w}", "w"), ("${empty-w}", ""), ("${no-w}", "w"), ("${x:-w}", "abc"),
        ("${x:+w}", "w"), ("${empty:+w}", ""), ("${empty+w}", "w"), ("${no+w}", ""), ("${no:-$x}", "abc"),
        ("${no:-${nope:-${x}}}", "abc"), ("${no:-\"a b\"}", "a b"), ("${no:-'}'}", "}"), ("${no:-a\\}b}", "a}b"),
        ("${x:?e}", "abc"), ("${x?}", "abc"), ("${empty?}", ""), ("${no:-}", ""),
        ("${path#*/}", "usr/lib/a.tar.gz"), ("${path##*/}", "a.tar.gz"), ("${path%.*}", "/usr/lib/a.tar"),
        ("${path%%.*}", "/usr/lib/a"), ("${path#nope}", "/usr/lib/a.tar.gz"), ("${path%/*}", "/usr/lib"),
        ("${x#?}", "bc"), ("${x%?}", "ab"), ("${star#a\\*}", "b*c"), ("${star%\\*c}", "a*b"), ("${x#}", "abc"),
        ("${x/b/X}", "aXc"), ("${x/*/X}", "X"), ("${path//\\//-}", "-usr-lib-a.tar.gz"),
        ("${path/\\//-}", "-usr/lib/a.tar.gz"),
        ("${x//[b]/X}", "abc"), ("${x/b/$n}", "a1c"), ("${x//?/-}", "---"), ("${x/z/X}", "abc"), ("${x//*/X}", "X"),
        ("${x/b/\\1}", "a\\1c"), ("${star//\\*/+}", "a+b+c"), ("${no/a/b}", ""),
    ],
)  # fmt: skip
def test_every_form(text: str, result: str) -> None:
    assert word(text) == result


def test_the_other_escape() -> None:
    assert word("`$x\\$x", "`") == "$x\\abc"
    assert word('"`"$x"', "`") == '"abc'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${x", "syntax error: missing '}'"), ("${}", "bad substitution"), ("${", "missing '}'"),
        ("${{x}", "bad substitution"),
        ("${x:-a", "missing '}'"), ("${x:*a}", "unsupported modifier (:*) in substitution"),
        ("${x!}", "unsupported modifier (!)"),
        ("'a", "looking for matching single-quote"), ('"a', "looking for matching double-quote"),
        ("${no:?is needed}", "no: is needed"), ("${no?}", "no: is not allowed to be unset"),
        ("${empty:?}", "empty: is not allowed to be empty"), ("${x#\\a}", "invalid escape '\\a'"),
        ("${x/a}", "missing '/' in ${}"),
        ("${x:-" * 200 + "}" * 200, "nested too deeply"),
    ],
)  # fmt: skip
def test_faults(text: str, words: str) -> None:
    with pytest.raises(Fault) as caught:
        word(text)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b", ["a", "b"]), ("$two", ["a", "b"]), ('"$two"', ["a b"]), ("x$two", ["xa", "b"]),
        ("'a b' c", ["a b", "c"]),
        ("a\\ b", ["a b"]), ("", []), ("$no", []), ("  a  ", ["a"]), ("''", []),
    ],
)  # fmt: skip
def test_splitting(text: str, words: list[str]) -> None:
    assert Lexer("\\").expand(text, VARIABLES).words == words


def test_it_tells_what_was_used() -> None:
    found = Lexer("\\").expand("$x ${no:-$n} '$two' ${empty+$path}", VARIABLES)
    assert found.used == {"x", "n", "empty", "path"} and found.unset == {"no"}


def test_variables_that_double_each_other_come_to_an_end() -> None:
    lexer, value = Lexer("\\"), "x" * 1000
    with pytest.raises(Fault, match="longer than 16 MiB"):
        for _ in range(40):
            value = lexer.expand("$v$v", {"v": value}).text
    assert len(value) < 64 << 20


def test_unset_variables_may_stay() -> None:
    lexer = Lexer("\\", keeps_unset=True)
    text = "$no ${no} ${no:-w} ${no#p} ${no/a/b} $x"
    assert lexer.expand(text, VARIABLES).text == "$no ${no} ${no:-w} ${no#p} ${no/a/b} abc"


@given(st.text(alphabet="${}:-+?#%/'\"\\ab *x1\n`", max_size=40))
def test_no_word_breaks_the_lexer(text: str) -> None:
    for lexer in (Lexer("\\"), Lexer("`", keeps_unset=True, keeps_quotes=True, keeps_escapes=True)):
        try:
            found = lexer.expand(text, VARIABLES)
        except Fault:
            continue
        assert isinstance(found.text, str) and all(found.words)


@given(st.text(max_size=30))
def test_what_is_quoted_comes_back(text: str) -> None:
    single = "'" + text.replace("'", "'\\''") + "'"
    assert word(single) == text
    double = '"' + "".join("\\" + one if one in '"$\\' else one for one in text) + '"'
    assert word(double) == text


@given(st.text(alphabet="ab/.", max_size=12), st.text(alphabet="ab/.*?", max_size=5))
def test_trimming_as_the_shell_does(value: str, pattern: str) -> None:
    from fnmatch import fnmatchcase

    ends = [at for at in range(len(value) + 1) if fnmatchcase(value[:at], pattern)]
    starts = [at for at in range(len(value) + 1) if fnmatchcase(value[at:], pattern)]
    escaped = pattern.replace("/", "\\/")
    for sign, at in (("#", min(ends, default=None)), ("##", max(ends, default=None))):
        result = Lexer("\\").expand(f"${{v{sign}{escaped}}}", {"v": value}).text
        assert result == (value if at is None else value[at:])
    for sign, at in (("%", max(starts, default=None)), ("%%", min(starts, default=None))):
        result = Lexer("\\").expand(f"${{v{sign}{escaped}}}", {"v": value}).text
        assert result == (value if at is None else value[:at])


def test_which_parts_of_instructions_expand() -> None:
    dockerfile = parse(
        "FROM a\nENV $x=$n\nLABEL l$n=\"$two\"\nWORKDIR /$x\nUSER $x\nSTOPSIGNAL $n\nVOLUME [\"/$x\"]\nEXPOSE $two\n"
        "COPY --chown=$x --chmod=$n --exclude=$n --from=$x $x /$n <<E <<'F'\n'$x'\nE\n$x\nF\n"
        "ADD --checksum=$x $x $n\nRUN --mount=type=cache,target=/$x $x\nCMD $x\nENTRYPOINT [\"$x\"]\nONBUILD RUN $x\n"
        .replace("$x /$n <<E <<'F'", "<<E <<'F' $x /$n"),
        "D",
    )  # fmt: skip
    made = [expanded(one, VARIABLES, dockerfile).instruction for one in dockerfile.stages[0].instructions]
    shown = " ".join(str(vars(one)) for one in made)
    assert "('abc', '1')" in shown and "('l1', 'a b')" in shown and "'path': '/abc'" in shown
    assert "'user': 'abc'" in shown and "'signal': '1'" in shown and "'paths': ('/abc',)" in shown
    assert "'ports': ('a', 'b')" in shown
    copy, add, run, cmd, entrypoint, onbuild = (vars(one) for one in made[7:])
    assert (copy["chown"], copy["chmod"], copy["exclude"], copy["origin"]) == ("abc", "1", ("1",), "$x")
    assert (copy["sources"], copy["destination"]) == (("abc",), "/1")
    assert [doc.text for doc in copy["heredocs"]] == ["'abc'\n", "$x\n"]
    assert add["checksum"] == "abc" and add["sources"] == ("abc",)
    assert run["mounts"][0].target == "/abc" and run["command"].words == ("$x",)
    assert cmd["command"].words == entrypoint["command"].words == ("$x",) and onbuild["trigger"] == "RUN $x"


def test_a_fault_shows_its_line() -> None:
    dockerfile = parse("FROM a\n\nENV a=1 \\\n  b=${no:?say}\n", "D")
    with pytest.raises(DockerfileError) as caught:
        expanded(dockerfile.stages[0].instructions[0], {}, dockerfile)
    assert str(caught.value).startswith("D:4: failed to process") and "no: say" in str(caught.value)
    assert caught.value.detail.startswith("  4 |   b=${no:?say}")
