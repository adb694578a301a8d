"""The instructions of --change: what each does to a config, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from crate.errors import UsageError
from crate.image import instructions

CASES: list[tuple[list[str], dict[str, Any]]] = [
    (["CMD ls -l"], {"Cmd": ["/bin/sh", "-c", "ls -l"]}),
    (['cmd ["ls", "-l"]'], {"Cmd": ["ls", "-l"]}),
    (["CMD=/bin/bash"], {"Cmd": ["/bin/sh", "-c", "/bin/bash"]}),
    (['ENTRYPOINT ["a"]'], {"Entrypoint": ["a"]}),
    (["ENTRYPOINT [a]"], {"Entrypoint": ["/bin/sh", "-c", "[a]"]}),
    (["ENV A=1 B='2 3'", "ENV A=4"], {"Env": ["B=2 3", "A=4"]}),
    (["ENV A all the rest"], {"Env": ["A=all the rest"]}),
    (["ENV=A=b"], {"Env": ["A=b"]}),
    (["LABEL a=b c=", "LABEL=d=e=f"], {"Labels": {"a": "b", "c": "", "d": "e=f"}}),
    (["EXPOSE 80 90-91/udp"], {"ExposedPorts": {"80/tcp": {}, "90/udp": {}, "91/udp": {}}}),
    (["VOLUME /a /b", 'VOLUME ["/c d"]'], {"Volumes": {"/a": {}, "/b": {}, "/c d": {}}}),
    (["ONBUILD RUN a", "ONBUILD COPY . ."], {"OnBuild": ["RUN a", "COPY . ."]}),
    (["STOPSIGNAL SIGKILL"], {"StopSignal": "SIGKILL"}),
    (["USER a:b"], {"User": "a:b"}),
    (["WORKDIR /a", "WORKDIR b/../c"], {"WorkingDir": "/a/c"}),
]


@pytest.mark.parametrize(("given", "expected"), CASES)
def test_applied(given: list[str], expected: dict[str, Any]) -> None:
    config: dict[str, Any] = {}
    instructions.apply(config, given)
    assert config == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("FOO bar", "invalid instruction FOO"),
        ("RUN ls", "invalid instruction RUN"),
        ("CMD", "must be formatted as KEY VALUE"),
        ("CMD=", "must provide a value to CMD"),
        ("ENV A", "must be formatted as KEY=VALUE"),
        ("ENV A=1 B", "must be formatted as KEY=VALUE"),
        ("LABEL a='b", "no closing quotation"),
        ("EXPOSE x", "invalid port x"),
        ("EXPOSE 0", "invalid port 0"),
        ("EXPOSE 80/ip", "unknown protocol ip"),
        ("STOPSIGNAL SIGNONE", "invalid signal: SIGNONE"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(UsageError) as raised:
        instructions.apply({}, [text])
    assert str(raised.value) == f'invalid change "{text}" - {reason}'
