"""Build arguments: the global ones before the first FROM, those that are always there, and the variables of a stage.

globals    BUILDPLATFORM, TARGETPLATFORM and their parts, TARGETSTAGE; ARGs before the first FROM. FROM sees them all
a stage    ENV of its base image, what a stage it is built on declared, its own ARG and ENV: the later one wins
ARG x      the value of --build-arg; else the default; else that of a global of this name; else it stays unset
proxies    HTTP_PROXY and its kind from --build-arg reach RUN undeclared, and neither the cache nor the history
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crate.build.language.dockerfile_error import Fault, located
from crate.build.language.expansion import Lexer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crate.build.language.instructions import Arg, Dockerfile
    from crate.oci.platform import Platform

_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")


class Arguments:
    """The arguments of one build. `given` is what --build-arg said; `target` the wanted stage's name, "" for none.

    `globals` are the values that FROM sees, and an ARG without a default takes.
    """

    def __init__(
        self,
        dockerfile: Dockerfile,
        given: Mapping[str, str],
        build_platform: Platform,
        target_platform: Platform,
        target: str = "",
    ) -> None:
        """Raises DockerfileError for a global ARG that cannot be expanded."""
        self.dockerfile = dockerfile
        self.given = dict(given)
        self.taken: set[str] = set()
        target = target or dockerfile.stages[-1].name or "default"
        automatic = {**_parts("BUILD", build_platform), **_parts("TARGET", target_platform), "TARGETSTAGE": target}
        self.globals = {name: self.given.get(name, value) for name, value in automatic.items()}
        self.taken |= automatic.keys() & self.given.keys()
        for arg in dockerfile.global_args:
            self._declare_global(arg)

    def _declare_global(self, arg: Arg) -> None:
        lexer = Lexer(self.dockerfile.escape)
        for name, default in arg.pairs:
            if name in self.given:
                self.globals[name] = self.given[name]
                self.taken.add(name)
            elif default is not None:
                try:
                    self.globals[name] = lexer.expand(default, self.globals).text
                except Fault as fault:
                    raise located(fault, self.dockerfile.name, arg.line, self.dockerfile.source) from None

    @property
    def proxies(self) -> dict[str, str]:
        """What RUN finds in its environment without any ARG."""
        return {name: value for name, value in self.given.items() if name.lower() in _PROXIES}

    def not_consumed(self) -> list[str]:
        """The --build-arg names that no ARG asked for; complete once all stages were executed."""
        proxies = self.proxies
        return sorted(name for name in self.given if name not in self.taken and name not in proxies)

    def scope(self, environment: Iterable[tuple[str, str]] = ()) -> Scope:
        """The variables of a stage that begins with this environment: the `Env` of its base image."""
        return Scope(self, dict(environment))

    def value(self, name: str) -> str | None:
        """What --build-arg says about a declared name."""
        self.taken.add(name)
        return self.given.get(name)


class Scope:
    """The variables of one stage as its instructions are executed one by one.

    `variables` is what words are expanded with; `declared` the ARGs so far, None where one has no value.
    """

    def __init__(self, arguments: Arguments, variables: dict[str, str]) -> None:
        self._arguments = arguments
        self.variables = variables
        self.declared: dict[str, str | None] = {}
        self._set: set[str] = set(variables)

    def child(self) -> Scope:
        """The variables that a stage built upon this one begins with: its ARGs are declared there, too."""
        child = Scope(self._arguments, dict(self.variables))
        child.declared = dict(self.declared)
        child._set = set(self._set)
        return child

    def declare(self, arg: Arg) -> list[tuple[str, str | None]]:
        """Executes ARG and gives what the names stand for now. Raises DockerfileError."""
        dockerfile = self._arguments.dockerfile
        found: list[tuple[str, str | None]] = []
        for name, default in arg.pairs:
            value = self._arguments.value(name)
            if value is None and default is not None:
                try:
                    value = Lexer(dockerfile.escape).expand(default, self.variables).text
                except Fault as fault:
                    raise located(fault, dockerfile.name, arg.line, dockerfile.source, arg.last_line) from None
            elif value is None:
                value = self._arguments.globals.get(name)
            if value is not None:
                self.variables[name] = value
            self.declared[name] = value
            found.append((name, value))
        return found

    def set(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Executes ENV, its pairs already expanded."""
        for name, value in pairs:
            self.variables[name] = value
            self._set.add(name)

    def run_arguments(self) -> dict[str, str]:
        """The declared ARGs as RUN sees them, in their order: part of its history and its cache key."""
        return {name: self.variables.get(name, value or "") for name, value in self.declared.items()}

    def run_environment(self) -> dict[str, str]:
        """The whole environment that RUN begins with: ENV, declared ARGs that have a value, and the proxies."""
        return {**self._arguments.proxies, **self.variables}


def _parts(prefix: str, platform: Platform) -> dict[str, str]:
    return {
        f"{prefix}PLATFORM": str(platform),
        f"{prefix}OS": platform.os,
        f"{prefix}OSVERSION": "",
        f"{prefix}ARCH": platform.architecture,
        f"{prefix}VARIANT": platform.variant,
    }
