"""Parsing: logical lines, directives, forms of arguments, heredocs, flags, and the words of each refusal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.build.language import instructions as kinds
from crate.build.language.dockerfile import parse, parse_trigger
from crate.build.language.dockerfile_error import DockerfileError
from crate.build.language.instructions import Command, Dockerfile, Instruction


def of(*lines: str) -> Dockerfile:
    """A Dockerfile of these lines."""
    return parse("\n".join(lines) + "\n", "Dockerfile")


def only(*lines: str) -> Any:
    """The one instruction behind FROM."""
    (found,) = of("FROM scratch", *lines).stages[0].instructions
    return found


def fault(*lines: str) -> DockerfileError:
    """What is wrong."""
    with pytest.raises(DockerfileError) as caught:
        of(*lines)
    return caught.value


def test_lines_are_joined_and_comments_dropped() -> None:
    run = only("RUN a \\", "  b \\", "# comment", "   # another \\", "", "\tc\\  ", " d", "")
    assert run.command == Command(("a   b \tc d",), in_shell=True)
    assert (run.line, run.last_line) == (2, 8)
    assert of("FROM scratch", "RUN a \\", "", " b").warnings
    assert not of("FROM scratch", "RUN a \\", "#x", " b").warnings


def test_an_escaped_escape_continues_nothing() -> None:
    first, second = of("FROM scratch", "RUN echo \\\\", "RUN b").stages[0].instructions
    assert (first.text, second.text) == ("RUN echo \\\\", "RUN b")
    assert only("RUN \\", "b").command.words == ("b",)


def test_escape_directive_makes_the_backslash_plain() -> None:
    run, workdir = of("#  escape = `", "FROM scratch", "RUN dir c:\\ `", " x", "WORKDIR c:\\").stages[0].instructions
    assert run.text == "RUN dir c:\\  x"
    assert isinstance(workdir, kinds.Workdir) and workdir.path == "c:\\"


@pytest.mark.parametrize(
    ("lines", "directives"),
    [
        (("# syntax=a/b:1", "# check = skip=all ", "#ESCAPE=`", "FROM x"), ["syntax", "check", "escape"]),
        (("# a comment", "# escape=`", "FROM x"), []),
        (("", "# escape=`", "FROM x"), []),
        (("FROM x", "# escape=`"), []),
        (("# unknown=1", "# escape=`", "FROM x"), []),
        (("   # escape=`", "FROM x"), ["escape"]),
    ],
)
def test_directives_are_at_the_very_top(lines: tuple[str, ...], directives: list[str]) -> None:
    found = of(*lines)
    assert list(found.directives) == directives
    assert found.escape == ("`" if "escape" in directives else "\\")


def test_directives_that_are_wrong() -> None:
    assert "only one escape parser directive can be used" in str(fault("# escape=`", "# escape=`", "FROM x"))
    error = fault("# escape=x", "FROM x")
    assert "Dockerfile:1: invalid escape token 'x'" in str(error)
    assert error.detail == "  1 | # escape=x\n    |          ^"


def test_bytes_with_a_mark_and_carriage_returns() -> None:
    found = parse(b"\xef\xbb\xbfFROM a\r\nRUN b \\\r\n  c\r\nCOPY <<E /x\r\ntext\r\nE\r\n", "D")
    run, copy = found.stages[0].instructions
    assert run.text == "RUN b   c"
    assert isinstance(copy, kinds.Copy) and copy.heredocs[0].content == "text\r\n"


def test_keywords_and_as_have_no_case() -> None:
    found = of("from a aS Build", "Run x", "FROM Build")
    assert found.stages[0].name == "build"
    assert found.stages[0].instructions[0].keyword == "RUN"
    assert found.stages[1].base == "Build"


def test_global_args_come_before_the_first_stage() -> None:
    found = of("ARG a=1 b", "ARG c", "FROM x", "ARG d")
    assert [arg.pairs for arg in found.global_args] == [(("a", "1"), ("b", None)), (("c", None),)]
    assert "no build stage in current context" in str(fault("RUN x"))
    assert "no stages" in str(fault("ARG a"))


@pytest.mark.parametrize(
    ("line", "words", "in_shell"),
    [
        ('CMD ["a", "b c"]', ("a", "b c"), False),
        ("CMD []", (), False),
        ("CMD", (), True),
        ("CMD ['a']", ("['a']",), True),
        ('CMD ["a", ]', ('["a", ]',), True),
        ('CMD ["a"] b', ('["a"] b',), True),
        ('CMD ["\\u00e9\\n"]', ("é\n",), False),
        ('CMD ["\\ud800"]', ("�",), False),
        ("CMD [NaN]", ("[NaN]",), True),
        ("ENTRYPOINT exec  top -b ", ("exec  top -b",), True),
        ('RUN [ "-f" ]', ("-f",), False),
        ("RUN [ -f x ] && y", ("[ -f x ] && y",), True),
    ],
)
def test_exec_form_is_strict_json(line: str, words: tuple[str, ...], in_shell: bool) -> None:
    assert only(line).command == Command(words, in_shell)


def test_argv_goes_through_the_shell_in_force() -> None:
    shell = ["/bin/bash", "-ec"]
    assert only("RUN a $b").argv(shell) == ["/bin/bash", "-ec", "a $b"]
    assert only('RUN ["a", "$b"]').argv(shell) == ["a", "$b"]
    assert only("CMD").command.argv(shell) == ["/bin/bash", "-ec", ""]


@pytest.mark.parametrize(
    ("line", "pairs"),
    [
        ("ENV a=1 b=2", [("a", "1"), ("b", "2")]),
        ("ENV a one  two", [("a", "one  two")]),
        ("ENV a  x=y", [("a", "x=y")]),
        ("ENV a=\"b c\" d=e\\ f g='h i'", [("a", '"b c"'), ("d", "e\\ f"), ("g", "'h i'")]),
        ("ENV a=", [("a", "")]),
        ('ENV a=b"c d"e', [("a", 'b"c d"e')]),
        ('LABEL "com.example.a b"=c', [('"com.example.a b"', "c")]),
        ("LABEL a=b=c", [("a", "b=c")]),
        ("ENV a=b\\", [("a", "b")]),
    ],
)
def test_both_forms_of_pairs(line: str, pairs: list[tuple[str, str]]) -> None:
    # An escape at the very end continues the line: the file ends there.
    assert list(only(line).pairs) == pairs


def test_flags_lose_their_quotes_and_end_at_the_first_other_word() -> None:
    copy = only("COPY --chown='a b' --link --exclude=x --exclude=\"y z\" a --from=b /d/")
    assert (copy.chown, copy.link, copy.exclude) == ("a b", True, ("x", "y z"))
    assert copy.sources == ("a", "--from=b") and copy.destination == "/d/"
    assert only("COPY --link=FALSE a b").link is False
    add = only("ADD --keep-git-dir --unpack=false --checksum=sha256:0 --chmod=u+x https://x/y /z")
    assert (add.keep_git_dir, add.unpack, add.checksum, add.chmod) == (True, False, "sha256:0", "u+x")
    assert only("ADD a b").unpack is None
    assert only("RUN -- --x").command.words == ("--x",)


def test_json_form_of_paths() -> None:
    assert only('COPY ["a b", "c d/"]').sources == ("a b",)
    assert only('VOLUME ["/a b", "/c"]').paths == ("/a b", "/c")
    assert only("VOLUME /a /b").paths == ("/a", "/b")
    assert only("EXPOSE 80/tcp 53/udp").ports == ("53/udp", "80/tcp")


def test_health_checks() -> None:
    check = only("HEALTHCHECK --interval=1m30s --timeout=3s --start-period=1h --start-interval=2s --retries=4 CMD a b")
    assert check.test == ("CMD-SHELL", "a b")
    seconds = [check.interval_ns, check.timeout_ns, check.start_period_ns, check.start_interval_ns]
    assert [value // 10**9 for value in seconds] == [90, 3, 3600, 2] and check.retries == 4
    assert only('healthcheck cmd ["a"]').test == ("CMD", "a")
    assert only("HEALTHCHECK none").test == ("NONE",)


def test_onbuild_keeps_its_trigger_and_heredoc() -> None:
    onbuild = only("ONBUILD  COPY <<E /x", "one", "E")
    assert onbuild.trigger == "COPY <<E /x\none\nE"
    copy = parse_trigger(onbuild.trigger, "base")
    assert isinstance(copy, kinds.Copy) and copy.heredocs[0].content == "one\n"


def test_heredocs_of_run() -> None:
    run = only("RUN <<EOF", "a", "\tb", "EOF")
    assert run.argv(["sh", "-c"]) == ["sh", "-c", "a\n\tb\n"]
    assert only("RUN <<-EOF", "\ta", "\tEOF").argv(["sh", "-c"]) == ["sh", "-c", "a\n"]
    several = only("RUN cat <<A 3<<'B' && x", "1", "A", "2", "B")
    assert several.argv(["sh", "-c"])[-1] == "cat <<A 3<<'B' && x\n1\nA\n2\nB"
    assert [(doc.name, doc.expands, doc.descriptor) for doc in several.heredocs] == [("A", True, 0), ("B", False, 3)]
    program = only("RUN <<EOF", "#!/bin/python", "x", "EOF")
    assert program.program.name == "EOF" and program.argv(["sh", "-c"]) == ["/dev/pipes/EOF"]


def test_heredocs_of_copy_are_sources() -> None:
    copy = only('COPY <<a.txt <<-"bc" plain /d/', "$x", "a.txt", "\t$y", "\tbc")
    assert copy.sources == ("plain",)
    assert [(doc.name, doc.text, doc.expands) for doc in copy.heredocs] == [
        ("a.txt", "$x\n", True),
        ("bc", "$y\n", False),
    ]


@pytest.mark.parametrize("line", ['RUN ["a", "<<E"]', "RUN echo '<<E'", "RUN a <<< b", "CMD <<E", "ENV a=<<E"])
def test_what_is_no_heredoc(line: str) -> None:
    assert not getattr(only(line), "heredocs", ())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("FORM x", "unknown instruction: FORM (did you mean FROM?)"),
        ("XYZZY", "unknown instruction: XYZZY"),
        ("COPY a", "COPY requires at least two arguments, but only one was provided. Destination"),
        ("ADD", "ADD requires at least two arguments"),
        ("COPY --form=x a b", "unknown flag: --form (did you mean from?)"),
        ("COPY --from=a --from=b c d", "duplicate flag specified: from"),
        ("COPY --from a b", "missing a value on flag: from"),
        ("COPY --link=2 a b", "expecting boolean value for flag link, not: 2"),
        ("COPY --link= a b", "missing a value on flag: link"),
        ("FROM a b", "FROM requires either one or three arguments"),
        ("FROM a AS 1b", 'invalid name for build stage: "1b", name can\'t start with a number or contain symbols'),
        ("ENV a", "ENV must have two arguments"),
        ("ENV", "ENV requires at least one argument"),
        ("ENV a=1 b", 'Syntax error - can\'t find = in "b". Must be of the form: name=value'),
        ("ENV =1", "ENV names can not be blank"),
        ("ARG =1", "ARG names can not be blank"),
        ("ARG", "ARG requires at least one argument"),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("USER", "USER requires exactly one argument"),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("VOLUME", "VOLUME requires at least one argument"),
        ('VOLUME [""]', "VOLUME specified can not be an empty string"),
        ("SHELL bash", "SHELL requires the arguments to be in JSON form"),
        ("SHELL []", "SHELL requires at least one argument"),
        ("RUN [1]", "when using JSON array syntax, arrays must be comprised of strings only"),
        ("RUN", "RUN requires at least one argument"),
        ("RUN --network=bridge a", 'unsupported network mode "bridge"'),
        ("RUN --security=insecrue a", 'security "insecrue" is not valid (did you mean insecure?)'),
        ("RUN --mount=type=bnid,target=/x a", 'unsupported mount type "bnid" (did you mean bind?)'),
        ("RUN --mount=from=$x,target=/x a", "'from' doesn't support variable expansion, define alias stage instead"),
        ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK CMD", "missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK X", 'unknown type "X" in HEALTHCHECK (try CMD)'),
        ("HEALTHCHECK --interval=1us CMD a", 'interval "interval" cannot be less than 1ms'),
        ("HEALTHCHECK --retries=-1 CMD a", "--retries cannot be negative (-1)"),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        ("ONBUILD ONBUILD RUN a", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD FROM a", "FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD RNU a", "unknown instruction: RNU (did you mean RUN?)"),
        ("RUN <<E", "unterminated heredoc"),
    ],
)  # fmt: skip
def test_refusals_say_what_and_where(line: str, words: str) -> None:
    error = fault("FROM scratch", "# x", line)
    assert str(error).startswith(f"Dockerfile:3: {words}")
    assert error.detail.startswith(f"  3 | {line}\n    | ") and error.detail.endswith("^")


def test_the_caret_points_at_the_word() -> None:
    error = fault("FROM scratch", "COPY a \\", "  b \\", "  <<E", "E")
    assert "COPY cannot accept a heredoc as a destination" in str(error)
    assert error.detail == "  4 |   <<E\n    |   ^"


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"# only\n", b"FROM a\nRUN \xff\n", b"FROM a\nRUN a\0b\n", b"FROM a\nRUN " + b"x" * 70000]
)
def test_files_that_are_none(content: bytes) -> None:
    with pytest.raises(DockerfileError):
        parse(content, "D")


def test_a_heredoc_of_copy_may_hold_any_bytes() -> None:
    (copy,) = parse(b"FROM a\nCOPY <<E /x\n\xff\0\nE\n", "D").stages[0].instructions
    assert isinstance(copy, kinds.Copy)
    assert copy.heredocs[0].text.encode("utf-8", "surrogateescape") == b"\xff\0\n"
    with pytest.raises(DockerfileError):
        parse(b"FROM a\nRUN <<E\na\0\nE\n", "D")


PIECES = st.sampled_from(
    ["FROM a", "RUN ", "COPY ", "ENV ", "ARG x", "\\", "\n", " ", "#", "<<E", "E", '["', '"]', "--from=", "'", '"',
    "$", "{",
     "}", "=", "`", "\t", "\r\n", "ONBUILD ", "HEALTHCHECK ", "CMD ", "--mount=", ",", "é", "\0"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30).map("".join))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        found = parse("FROM a\n" + text, "D")
    except DockerfileError as error:
        assert "\n" not in str(error)
        return
    for stage in found.stages:
        for one in stage.instructions:
            assert isinstance(one, Instruction) and 1 <= one.line <= one.last_line


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=8), max_size=5))
def test_exec_form_round_trips(words: list[str]) -> None:
    import json

    text = json.dumps(words)
    assert only(f"CMD {text}").command == Command(tuple(words), in_shell=False)
