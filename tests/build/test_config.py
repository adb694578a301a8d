"""Configuration: instructions and options that change it, with the values that BuildKit and buildah give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from build.building import Builder

pytestmark = pytest.mark.requires("root", "overlay", "busybox")


def test_every_instruction(builder: Builder) -> None:
    image = builder.image(
        """
        FROM BASE
        MAINTAINER somebody
        LABEL one=1 two="2 3"
        EXPOSE 80 53/udp 1000-1001
        VOLUME /data /more
        USER 5:6
        WORKDIR rel
        WORKDIR sub
        STOPSIGNAL SIGINT
        HEALTHCHECK --interval=5s --retries=2 CMD true
        SHELL ["/bin/sh", "-ec"]
        ENTRYPOINT echo entry
        CMD ["a", "b"]
        ONBUILD RUN echo later
        """
    )
    document = builder.config(image)
    config = document["config"]
    assert document["author"] == "somebody"
    assert config["Labels"]["one"] == "1" and config["Labels"]["two"] == "2 3"
    assert config["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}, "1000/tcp": {}, "1001/tcp": {}}
    assert config["Volumes"] == {"/data": {}, "/more": {}} and config["User"] == "5:6"
    assert config["WorkingDir"] == "/rel/sub" and config["StopSignal"] == "SIGINT"
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000, "Retries": 2}
    assert config["Shell"] == ["/bin/sh", "-ec"] and config["Entrypoint"] == ["/bin/sh", "-ec", "echo entry"]
    assert config["Cmd"] == ["a", "b"] and config["OnBuild"] == ["RUN echo later"]
    created_by = builder.created_by(image)
    assert created_by[2] == "EXPOSE [53/udp 80/tcp 1000/tcp 1001/tcp]" and created_by[3] == "VOLUME [/data /more]"
    assert created_by[8] == 'HEALTHCHECK &{["CMD-SHELL" "true"] "5s" "0s" "0s" "0s" \'\\x02\'}'


def test_triggers_run_in_the_next_image(builder: Builder) -> None:
    builder.write("a", "content\n")
    builder.build("FROM BASE\nONBUILD COPY a /from-trigger\nONBUILD ENV T=1\n", "-t", "parent")
    out = builder.build("FROM parent\nRUN cat /from-trigger; echo $T\n")
    assert "STEP 2/4: COPY a /from-trigger" in out and "\ncontent\n1\n" in out
    assert "OnBuild" not in builder.config(out.split()[-1])["config"]


def test_entrypoint_forgets_the_command_of_the_base(builder: Builder) -> None:
    config = builder.config(builder.image('FROM BASE\nENTRYPOINT ["echo"]\n'))["config"]
    assert "Cmd" not in config
    config = builder.config(builder.image('FROM BASE\nCMD ["x"]\nENTRYPOINT ["echo"]\n'))["config"]
    assert config["Cmd"] == ["x"]


def test_arguments(builder: Builder) -> None:
    builder.crate.environment["FROM_ENVIRONMENT"] = "environment"
    dockerfile = """
        ARG IMAGE=nothing
        FROM $IMAGE
        ARG TARGETARCH BUILDPLATFORM
        ARG GIVEN=default
        ARG FROM_ENVIRONMENT
        ENV GIVEN=${GIVEN}-env
        RUN echo $GIVEN $FROM_ENVIRONMENT $BUILDPLATFORM/$TARGETARCH
        """
    result = builder.try_build(
        dockerfile,
        *("--build-arg", "IMAGE=crate.local/busybox", "--build-arg", "GIVEN=g", "--build-arg", "FROM_ENVIRONMENT"),
        *("--build-arg", "UNKNOWN=1"),
    )
    assert result.status == 0, result
    assert "\ng-env environment linux/" in result.out
    assert "one or more build args were not consumed: [UNKNOWN]" in result.err


def test_options_that_change_the_image(builder: Builder) -> None:
    builder.build("FROM BASE\nLABEL gone=1 kept=1\nENV GONE=1 KEPT=1\n", "-t", "parent")
    options = ("--label", "new=2", "--unsetlabel", "gone", "--env", "NEW=3", "--unsetenv", "GONE", "--from", "parent")
    image = builder.image("FROM nowhere\nRUN true\n", *options)
    config = builder.config(image)["config"]
    assert config["Labels"].items() >= {"kept": "1", "new": "2"}.items() and "gone" not in config["Labels"]
    assert {"KEPT=1", "NEW=3"} <= set(config["Env"]) and "GONE=1" not in config["Env"]


def test_volume_of_the_base_keeps_what_a_step_writes(builder: Builder) -> None:
    """As BuildKit, and not as buildah, which throws it away."""
    image = builder.image("FROM BASE\nVOLUME /data\nRUN mkdir /data && echo x > /data/x\n")
    assert "data/x" in builder.layers(image)[-1]


@pytest.mark.parametrize(
    ("dockerfile", "options", "told"),
    [
        ("FROM BASE\nRUN true\n", ("--cpp-flag", "x"), "--cpp-flag is not supported by build"),
        ("FROM BASE\nRUN true\n", ("--isolation", "vm"), "unrecognized isolation type"),
        ("FROM BASE\n", ("--target", "x"), 'target stage "x" could not be found'),
        ("FROM BASE\n", ("--pull=sometimes",), "unsupported pull policy"),
        ("FROM BASE\nSTOPSIGNAL SIGX\n", (), "invalid signal: SIGX"),
        ("FROM BASE\nEXPOSE 80/x\n", (), "invalid proto: x"),
        ("FROM BASE\nCOPY nothing /\n", (), "not found"),
        ("FROM BASE\nCOPY --chown=nobody-known a /\n", (), "unable to find user nobody-known"),
        ("FROM BASE\nCOPY a /bin/sh/x\n", (), "there is a file in its way"),
        ("FROM nothing.invalid/x\n", ("--pull=never",), "nothing.invalid/x: image not known"),
        ("FROM BASE\n", ("--platform", "linux/amd64,linux/arm64"), "a build for several platforms wants one name"),
        ("FROM BASE\n", ("-o", "type=x,dest=y"), 'unknown type "x"'),
        ("FROM BASE\n", ("--secret", "src=/nonexistent,id=x"), "cannot read /nonexistent"),
        ("FROM BASE\nRUN nosuch-program-at-all\n", (), "exit status 127"),
        ('FROM BASE\nRUN ["/nosuch"]\n', (), "/nosuch"),
    ],
)
def test_bad_input(builder: Builder, dockerfile: str, options: tuple[str, ...], told: str) -> None:
    builder.write("a", "content\n")
    result = builder.try_build(dockerfile, *options)
    assert result.status not in (0, 1) and told in result.err, result
    assert list((builder.crate.root / "stage").iterdir()) == []
