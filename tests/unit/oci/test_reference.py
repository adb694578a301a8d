"""References: the corpus of distribution/reference, its regular expressions as a property, podman's short names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crate.errors import UsageError
from crate.oci import reference
from crate.oci.reference import Reference
from examples import examples

HEX = "1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a"
SHA = f"sha256:{'f' * 64}"

NORMALISED = {
    "alpine": "docker.io/library/alpine:latest",
    "alpine:3.19": "docker.io/library/alpine:3.19",
    "redis": "docker.io/library/redis:latest",
    "fooo/bar": "docker.io/fooo/bar:latest",
    "index.docker.io/fooo/bar": "docker.io/fooo/bar:latest",
    "index.docker.io/debian": "docker.io/library/debian:latest",
    "docker.io/foo": "docker.io/library/foo:latest",
    "docker.io/library/foo/bar": "docker.io/library/foo/bar:latest",
    "library/foo/bar": "docker.io/library/foo/bar:latest",
    "test_com/foo": "docker.io/test_com/foo:latest",
    "test.com": "docker.io/library/test.com:latest",
    "test.com:5000": "docker.io/library/test.com:5000",
    "192.168.0.1": "docker.io/library/192.168.0.1:latest",
    "192.168.0.1:80": "docker.io/library/192.168.0.1:80",
    "192.168.0.1:8/debian": "192.168.0.1:8/debian:latest",
    "localhost/x": "localhost/x:latest",
    "localhost:5000/x": "localhost:5000/x:latest",
    "localhost:5000/x:y": "localhost:5000/x:y",
    "127.0.0.1:8000/private/moonbase": "127.0.0.1:8000/private/moonbase:latest",
    "xn--n3h.com/myimage:xn--n3h.com": "xn--n3h.com/myimage:xn--n3h.com",
    "Foo/bar": "Foo/bar:latest",
    "FOO/bar": "FOO/bar:latest",
    "lowercase:Uppercase": "docker.io/library/lowercase:Uppercase",
    "docker---rules/docker": "docker.io/docker---rules/docker:latest",
    "dock__er/docker": "docker.io/dock__er/docker:latest",
    "d/docker": "docker.io/d/docker:latest",
    f"redis@{SHA}": f"docker.io/library/redis@{SHA}",
    f"busybox:latest@{SHA}": f"docker.io/library/busybox:latest@{SHA}",
    f"x.com/i:t@sha512:{'0' * 128}": f"x.com/i:t@sha512:{'0' * 128}",
    "[2001:db8::1]/repo": "[2001:db8::1]/repo:latest",
    "[2001:db8::1]:5000/repo:tag": "[2001:db8::1]:5000/repo:tag",
    f"[::1]:5000/repo@{SHA}": f"[::1]:5000/repo@{SHA}",
    f"docker.io/{HEX}": f"docker.io/library/{HEX}:latest",
    HEX[:63]: f"docker.io/library/{HEX[:63]}:latest",
    "a.b/" + "a/" * 127 + "a": "a.b/" + "a/" * 127 + "a:latest",
}


@pytest.mark.parametrize(("text", "expected"), NORMALISED.items())
def test_a_reference_is_completed_as_docker_does(text: str, expected: str) -> None:
    assert str(reference.parse(text)) == expected
    assert str(reference.parse(expected)) == expected


INVALID = {
    "": "invalid reference format",
    ":justtag": "invalid reference format",
    f"@{SHA}": "invalid reference format",
    HEX: "cannot specify 64-byte hexadecimal strings",
    f"repo@sha256:{'f' * 34}": "invalid checksum digest length",
    f"repo@md5:{'f' * 32}": "unsupported digest algorithm",
    f"repo@sha256:{'F' * 64}": "invalid checksum digest format",
    f"repo@sha256:{'f' * 20}": "invalid reference format",
    "Uppercase:tag": "invalid reference format: repository name (library/Uppercase) must be lowercase",
    "test:5000/Uppercase/lowercase:tag": "repository name (Uppercase/lowercase) must be lowercase",
    "docker/Docker": "repository name (docker/Docker) must be lowercase",
    "a.b/" + "a/" * 128 + "a": "repository name must not be more than 255 characters",
    "aa/asdf$$^/aa": "invalid reference format",
    "https://github.com/docker/docker": "invalid reference format",
    "-docker": "invalid reference format",
    "-docker/docker": "invalid reference format",
    "docker-/docker": "invalid reference format",
    "-docker.io/docker/docker": "invalid reference format",
    "docker///docker": "invalid reference format",
    "docker/": "invalid reference format",
    "____/____": "invalid reference format",
    "dock..er/docker": "invalid reference format",
    "dock_.er/docker": "invalid reference format",
    "dock-.er/docker": "invalid reference format",
    "dock___er/docker": "invalid reference format",
    "[fc00::1]": "invalid reference format",
    "[fc00::1]:5000": "invalid reference format",
    "fc00::1:5000/debian": "invalid reference format",
    "[fe80::1%eth0]:5000/debian": "invalid reference format",
    "[2001:db8:3:4::192.0.2.33]:5000/debian": "invalid reference format",
    "alpine:": "invalid reference format",
    "alpine:-x": "invalid reference format",
    f"alpine:{'x' * 129}": "invalid reference format",
    "alpine@": "invalid reference format",
    "al pine": "invalid reference format",
    "alpine\n": "invalid reference format",
    "foo_bar.com/x": "invalid reference format",
    "a:b/c": "invalid reference format",
    "r.io:/x": "invalid reference format",
    "alpiné": "invalid reference format",
}


@pytest.mark.parametrize(("text", "words"), INVALID.items())
def test_an_invalid_reference_is_refused_in_dockers_words(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        reference.parse(text)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("name", "familiar"),
    [
        ("docker.io/library/alpine", "alpine"),
        ("docker.io/fooo/bar", "fooo/bar"),
        ("docker.io/library/foo/bar", "library/foo/bar"),
        ("quay.io/library/x", "quay.io/library/x"),
    ],
)
def test_the_familiar_form_is_dockers(name: str, familiar: str) -> None:
    assert reference.familiar_name(name) == familiar


def test_a_local_name_without_registry_belongs_to_localhost() -> None:
    assert str(reference.parse_local("foo")) == "localhost/foo:latest"
    assert str(reference.parse_local("foo/bar:1")) == "localhost/foo/bar:1"
    assert str(reference.parse_local("docker.io/alpine")) == "docker.io/library/alpine:latest"
    assert str(reference.parse_local("localhost:5000/foo")) == "localhost:5000/foo:latest"
    assert str(reference.parse_local("crate.local/busybox")) == "crate.local/busybox:latest"


def test_a_short_name_is_looked_for_under_localhost_and_docker_hub() -> None:
    assert reference.local_candidates("foo") == ["localhost/foo:latest", "docker.io/library/foo:latest"]
    assert reference.local_candidates("a/b:1") == ["localhost/a/b:1", "docker.io/a/b:1"]
    assert reference.local_candidates("quay.io/b:1") == ["quay.io/b:1"]
    assert reference.local_candidates(f"foo:1@{SHA}") == [f"localhost/foo@{SHA}", f"docker.io/library/foo@{SHA}"]
    assert reference.local_candidates("No Name") == []


def test_the_selector_of_a_reference_with_tag_and_digest_is_the_digest() -> None:
    assert reference.parse(f"a:b@{SHA}").selector == SHA
    assert reference.parse("a:b").selector == "b"


def test_references_compare_by_text() -> None:
    assert reference.parse("alpine") == Reference("docker.io", "library/alpine", "latest")
    assert len({reference.parse("alpine"), reference.parse("docker.io/alpine")}) == 1


# The expressions of distribution/reference regexp.go, for the property below.
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*"
_DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*[:][0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"(?:({_DOMAIN})/)?({_COMPONENT}(?:/{_COMPONENT})*)(?::([\w][\w.-]{{0,127}}))?(?:@({_DIGEST}))?", re.ASCII
)
_GO_DIGEST = re.compile(r"sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}")


def _by_expressions(text: str) -> str | None:
    """What the original makes of `text`; None when it refuses (or leaves the registry empty, which crate refuses)."""
    if re.fullmatch("[a-f0-9]{64}", text):
        return None
    first, slash, rest = text.partition("/")
    if not slash:
        domain, rest = "docker.io", f"library/{text}"
    elif first == "index.docker.io":
        domain = "docker.io"
    elif first == "localhost" or any(c in first for c in ".:") or first.lower() != first:
        domain = first
    else:
        domain, rest = "docker.io", text
    if domain == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    remote = rest.partition(":")[0]
    match = _REFERENCE.fullmatch(f"{domain}/{rest}")
    if remote.lower() != remote or not match or not match[1] or len(match[2]) > 255:
        return None
    name, tag, digest = f"{match[1]}/{match[2]}", match[3], match[4]
    if digest and not _GO_DIGEST.fullmatch(digest):
        return None
    if not tag and not digest:
        tag = "latest"
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


_pieces = st.sampled_from(
    ["a", "b0", "Z", "-", "--", ".", "_", "__", "/", ":", "@", "docker.io", "localhost", "[::1]", "5000", SHA,
     "sha256:", "é", " ", "f" * 32, "index.docker.io", "library", "\n"]
)  # fmt: skip


@settings(max_examples=examples(1500), deadline=None)
@given(st.lists(_pieces, max_size=9).map("".join))
def test_the_parser_agrees_with_the_expressions_of_the_original(text: str) -> None:
    expected = _by_expressions(text)
    try:
        got: str | None = str(reference.parse(text))
    except UsageError:
        got = None
    assert got == expected


@settings(max_examples=examples(300), deadline=None)
@given(st.from_regex(_REFERENCE, fullmatch=True))
def test_every_reference_that_the_grammar_makes_is_read_alike(text: str) -> None:
    expected = _by_expressions(text)
    try:
        got: str | None = str(reference.parse(text))
    except UsageError:
        got = None
    assert got == expected
    if got:
        assert str(reference.parse(got)) == got
