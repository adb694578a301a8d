"""The graph of stages and the scopes of arguments."""

from __future__ import annotations

import pytest

from crate.build.arguments import Arguments, Scope
from crate.build.language import instructions as kinds
from crate.build.language.dockerfile import parse
from crate.build.language.dockerfile_error import DockerfileError
from crate.build.stages import Graph, Source, resolve
from crate.errors import UsageError
from crate.oci.platform import Platform

HOST, TARGET = Platform("linux", "amd64"), Platform("linux", "arm", "v6")


def arguments(text: str, given: dict[str, str] | None = None, target: str = "") -> Arguments:
    """The arguments of a build of this Dockerfile."""
    return Arguments(parse(text, "D"), given or {}, HOST, TARGET, target)


def graph(text: str, target: str = "", given: dict[str, str] | None = None, contexts: tuple[str, ...] = ()) -> Graph:
    """The graph of a Dockerfile."""
    found = arguments(text, given, target)
    return resolve(found.dockerfile, found, target, contexts)


THREE = "FROM a AS one\nFROM one AS two\nCOPY --from=0 /x /y\nFROM scratch AS three\nFROM b\nCOPY --from=TWO / /\n"


def test_only_what_the_target_needs_is_wanted() -> None:
    assert graph(THREE).wanted == (0, 1, 3)
    assert graph(THREE, "three").wanted == (2,)
    assert graph(THREE, "Two").wanted == graph(THREE, "1").wanted == (0, 1)
    stages = graph(THREE).stages
    assert (stages[0].base, stages[1].base, stages[2].base) == (
        Source("image", "a"), Source("stage", "one", 0), Source("scratch")
    )  # fmt: skip
    assert stages[3].origins == {"TWO": Source("stage", "two", 1)}


def test_mounts_and_triggers_need_stages_too() -> None:
    text = "FROM a AS x\nFROM b AS y\nONBUILD COPY --from=x / /\nFROM y\nRUN --mount=from=y,target=/m true\n"
    assert graph(text).stages[2].needs == (0, 1)
    assert graph(text).wanted == (0, 1, 2)


def test_a_later_stage_of_the_same_name_hides_the_earlier() -> None:
    text = "FROM a AS x\nFROM b AS x\nFROM scratch\nCOPY --from=x / /\n"
    assert graph(text).stages[2].origins["x"].index == 1


def test_named_contexts_replace_images_and_stages() -> None:
    text = "FROM docker.io/library/alpine:latest AS one\nRUN x\nFROM alpine:3\nCOPY --from=files / /\n"
    stages = graph(text, contexts=("alpine", "files")).stages
    assert stages[0].base == Source("context", "alpine") and stages[0].context == ""
    assert stages[1].base == Source("image", "alpine:3")
    assert stages[1].origins["files"] == Source("context", "files")
    replaced = graph(text, contexts=("one",)).stages[0]
    assert replaced.context == "one" and replaced.base == Source("context", "one")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("FROM a AS x\nCOPY --from=x / /\n", "D:2: circular dependency detected on stage: x"),
        ("FROM a AS x\nCOPY --from=y / /\nFROM a AS y\n", 'D:2: cannot copy from stage "y", it needs to be'),
        ("FROM a\nCOPY --from=7 / /\n", "D:2: invalid stage index 7"),
        ("FROM a\nCOPY --from=0 / /\n", "D:2: circular dependency"),
        ("FROM a\nCOPY --from=$x / /\n", "D:2: variable expansion is not supported for --from"),
        ("ARG x\nFROM $x\n", "D:2: base name ($x) should not be blank"),
        ("FROM --platform=$TARGETPLATFROM a\n",
         "D:1: empty platform value from expression $TARGETPLATFROM (did you mean TARGETPLATFORM?)"),
        ("FROM --platform=a/b/c/d/e a\n", "D:1: failed to parse platform"),
        ("FROM ${x:?base}\n", "D:1: failed to process"),
    ],
)  # fmt: skip
def test_references_that_lead_nowhere(text: str, words: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        graph(text)
    assert str(caught.value).startswith(words) and caught.value.detail


def test_targets_that_are_not_there() -> None:
    with pytest.raises(UsageError, match=r'target stage "thre" could not be found \(did you mean three\?\)'):
        graph(THREE, "thre")
    assert graph("FROM a AS build\nFROM x\nCOPY --from=biuld / /\n").stages[1].origins["biuld"].likely


def test_global_arguments_and_platforms() -> None:
    text = "ARG v=1\nARG w=$v-$TARGETARCH\nARG u\nFROM a:$w AS x\nFROM --platform=$BUILDPLATFORM b:${u:-none}\n"
    found = graph(text)
    assert found.stages[0].base.name == "a:1-arm" and found.stages[0].platform == ""
    assert found.stages[1].base.name == "b:none" and found.stages[1].platform == "linux/amd64"
    assert graph(text, given={"v": "2", "u": "3"}).stages[1].base.name == "b:3"
    values = arguments(text).globals
    assert (values["TARGETPLATFORM"], values["TARGETVARIANT"], values["TARGETSTAGE"]) == (
        "linux/arm/v6",
        "v6",
        "default",
    )
    assert arguments("FROM a AS x\n").globals["TARGETSTAGE"] == "x"


def run(text: str, given: dict[str, str] | None = None, env: tuple[tuple[str, str], ...] = ()) -> Scope:
    """The scope after the ARGs and ENVs of the last stage."""
    found = arguments(text, given)
    scope = found.scope(env)
    for one in found.dockerfile.stages[-1].instructions:
        if isinstance(one, kinds.Arg):
            scope.declare(one)
        elif isinstance(one, kinds.Env):
            scope.set(one.pairs)
    return scope


def test_scope_of_arguments() -> None:
    assert run("ARG a=1\nFROM x\n").variables == {}
    assert run("ARG a=1\nFROM x\nARG a\n").variables == {"a": "1"}
    assert run("ARG a=1\nFROM x\nARG a=2\n").variables == {"a": "2"}
    assert run("ARG a=1\nFROM x\nARG a=2\n", {"a": "3"}).variables == {"a": "3"}
    assert run("FROM x\nARG a\n").declared == {"a": None}
    assert run("FROM x\nARG a=1 b=$a\n").variables == {"a": "1", "b": "1"}
    assert run("FROM x\nARG TARGETOS\n").variables == {"TARGETOS": "linux"}
    assert run("FROM x\n", {"TARGETOS": "no"}).variables == {}


def test_the_later_of_arg_and_env_wins() -> None:
    assert run("FROM x\nARG a=1\nENV a=2\n").variables["a"] == "2"
    assert run("FROM x\nENV a=2\nARG a=1\n").variables["a"] == "1"
    assert run("FROM x\nARG a=1\n", env=(("a", "0"),)).run_arguments() == {"a": "1"}


def test_a_stage_upon_another_knows_its_arguments() -> None:
    child = run("FROM x\nARG a=1\nENV b=2\n").child()
    assert child.variables == {"a": "1", "b": "2"} and child.run_arguments() == {"a": "1"}


def test_proxies_are_there_undeclared_and_names_that_nobody_wants_are_told() -> None:
    given = {"HTTP_PROXY": "http://p", "no_proxy": "x", "unused": "1", "used": "2"}
    found = arguments("FROM x\nARG used\n", given)
    scope = found.scope()
    for one in found.dockerfile.stages[0].instructions:
        assert isinstance(one, kinds.Arg)
        scope.declare(one)
    assert scope.run_environment() == {"HTTP_PROXY": "http://p", "no_proxy": "x", "used": "2"}
    assert scope.run_arguments() == {"used": "2"}
    assert found.not_consumed() == ["unused"]
