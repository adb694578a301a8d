"""WWW-Authenticate headers as registries send them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.registry import challenge


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ('Basic realm="basic-realm"', [("basic", {"realm": "basic-realm"})]),
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/x:pull"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:library/x:pull",
                    },
                )
            ],
        ),
        (
            'Bearer realm="https://a/t", service=plain , scope="a,b c" , Basic realm="x\\"y"',
            [("bearer", {"realm": "https://a/t", "service": "plain", "scope": "a,b c"}), ("basic", {"realm": 'x"y'})],
        ),
        ('BEARER Realm = "R"', [("bearer", {"realm": "R"})]),
        ("Basic", [("basic", {})]),
        ("Negotiate, Basic realm=x", [("negotiate", {}), ("basic", {"realm": "x"})]),
        ('Bearer realm="unfinished', [("bearer", {"realm": "unfinished"})]),
        ("=;=", []),
    ],
)
def test_challenges_and_their_parameters_are_read(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert challenge.parse(header) == expected


@given(st.text(alphabet='Bearslm=", \\\t\x00é;'))
def test_any_header_is_read_without_a_failure(header: str) -> None:
    for scheme, parameters in challenge.parse(header):
        assert scheme == scheme.lower()
        assert all(name == name.lower() for name in parameters)


@given(st.dictionaries(st.from_regex("[a-z]{1,8}", fullmatch=True), st.text(alphabet='ab=,"\\ :/'), min_size=1))
def test_quoted_values_come_back_as_they_were(parameters: dict[str, str]) -> None:
    quoted = []
    for key, value in parameters.items():
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        quoted.append(f'{key}="{escaped}"')
    assert challenge.parse("Bearer " + ",".join(quoted)) == [("bearer", parameters)]
