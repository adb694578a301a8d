"""RUN --mount and --chmod."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crate.build.language.dockerfile_error import Fault
from crate.build.language.mode import ModeChange
from crate.build.running.mounts import Mount, parse_mount
from examples import examples


def mount(text: str) -> Mount:
    """The mount, nothing in it to be expanded."""
    return parse_mount(text, lambda value: value)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("target=/a", Mount(target="/a")),
        ("type=bind,src=b,dst=/a,rw,from=x", Mount(source="b", target="/a", read_only=False, origin="x")),
        ("type=CACHE,destination=/a,id=i,sharing=Locked,mode=0750,uid=1,gid=2",
         Mount("cache", target="/a", read_only=False, id="i", sharing="locked", mode=0o750, uid=1, gid=2)),
        ("type=cache,target=/a,ro", Mount("cache", target="/a")),
        ("type=cache,target=/a,readonly=false", Mount("cache", target="/a", read_only=False)),
        ("type=tmpfs,target=/a,size=1m", Mount("tmpfs", target="/a", read_only=False, size_bytes=1 << 20)),
        ("type=secret,id=s,required", Mount("secret", id="s", required=True)),
        ("type=secret,id=s,env=TOKEN,required=false", Mount("secret", id="s", env="TOKEN")),
        ("type=ssh,required=1", Mount("ssh", required=True)),
        ('type=bind,"source=a,b",target=/c', Mount(source="a,b", target="/c")),
    ],
)  # fmt: skip
def test_forms(text: str, made: Mount) -> None:
    assert mount(text) == made


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type=x,target=/a", "unsupported mount type"), ("target=/a,foo=1", "unexpected key 'foo' in 'foo=1'"),
        ("target=/a,foo", "invalid field 'foo' must be a key=value pair"),
        ("target=/a,ro=2", "invalid value for ro: 2"),
        ("target=/a,required", "unexpected key 'required' for mount type 'bind'"),
        ("target=/a,uid=1", "uid not allowed"),
        ("target=/a,size=1", "unexpected key 'size'"), ("type=cache,target=/a,mode=9", "invalid value 9 for mode"),
        ("type=cache,target=/a,uid=4294967296", "invalid value 4294967296 for uid"),
        ("type=secret", "one of source, target"),
        ("type=secret,id=a,source=b", "both source and id can't be set"),
        ("type=secret,id=a,from=b", "should not have a from"),
        ("target=/a,sharing=shared", "invalid cache sharing set for bind mount"), ("type=bind", "requires a target"),
        ("target=/a,sharing=x", "unsupported sharing value"), ('"', "failed to parse csv mounts"),
        ("", "bind mount requires a target"),
    ],
)  # fmt: skip
def test_refusals(text: str, words: str) -> None:
    with pytest.raises(Fault) as caught:
        mount(text)
    assert words in caught.value.message


def test_values_wait_for_their_variables() -> None:
    text = "type=cache,target=$x,id=${y},from=base"
    assert parse_mount(text, None).origin == "base"
    assert parse_mount(text, lambda value: value.replace("$x", "/a").replace("${y}", "b")).target == "/a"


SYMBOLIC = st.lists(
    st.builds(
        lambda who, actions: who + "".join(actions),
        st.sampled_from(["u", "g", "o", "a", "ug", "uo", "go", "ugo"]),
        st.lists(
            st.builds(str.__add__, st.sampled_from("+-="), st.sampled_from(["r", "w", "x", "rw", "rwX", "X", "s", "t",
            "", "u", "o"])),
            min_size=1, max_size=2,
        ),
    ),
    min_size=1, max_size=3,
).map(",".join)  # fmt: skip


@settings(max_examples=examples(60), deadline=None)
@given(SYMBOLIC, st.integers(0, 0o777), st.booleans())
def test_symbolic_modes_are_those_of_chmod(text: str, mode: int, is_directory: bool) -> None:
    place = Path(os.environ.get("TMPDIR", "/tmp")) / f"crate-mode-{os.getpid()}"
    place.mkdir() if is_directory else place.touch()
    try:
        place.chmod(mode)
        subprocess.run(["chmod", "--", text, place], check=True)
        assert oct(ModeChange(text).apply(mode, is_directory)) == oct(stat.S_IMODE(place.stat().st_mode)), text
    finally:
        place.rmdir() if is_directory else place.unlink()


def test_octal_modes() -> None:
    assert ModeChange("644").apply(0o777, True) == 0o644
    assert ModeChange("07777").apply(0, False) == 0o7777
    for text in ("17777", "8", "u", "u+q", "", "u+rw,"):
        with pytest.raises(Fault):
            ModeChange(text).apply(0, False)
