"""What a build was asked for: the options of the command, checked, in the shapes that its parts take."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from crate.build.records import dataclass, field
from crate.errors import UsageError
from crate.oci import platform as platforms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crate.build.cache_exchange import Place
    from crate.build.outputs import Output
    from crate.oci.platform import Platform

PULL_POLICIES = ("always", "missing", "never", "newer")
_PULL_OPTIONS = ("authfile", "creds", "cert_dir", "tls_verify", "signature_policy", "retry", "retry_delay")
#: options of `run` that a build passes on to each of its processes
RUN_OPTIONS = (
    *("add_host", "cap_add", "cap_drop", "cgroup_parent", "cpu_period", "cpu_quota", "cpu_shares", "cpuset_cpus"),
    *("cpuset_mems", "device", "dns", "dns_option", "dns_search", "http_proxy", "ipc", "memory", "memory_swap"),
    *("no_hosts", "pid", "security_opt", "shm_size", "ulimit", "uts", "volume", "cgroupns"),
)
#: those of them that change what a step makes
KEYED_OPTIONS = ("add_host", "cap_add", "cap_drop", "device", "security_opt", "volume", "network")


@dataclass
class Secret:
    """A --secret: a file, or a variable of the caller's environment."""

    id: str
    path: str = ""
    variable: str = ""

    def read(self) -> bytes:
        """Its value. UsageError where it is not there."""
        if self.variable:
            if self.variable not in os.environ:
                raise UsageError(f"cannot read secret {self.id}: variable {self.variable} is not set")
            return os.environb[os.fsencode(self.variable)]
        try:
            with open(self.path, "rb") as file:
                return file.read()
        except OSError as error:
            raise UsageError(f"cannot read secret {self.id}: {self.path}: {error.strerror}") from None


@dataclass
class Request:
    """One build. `arguments`: --build-arg; `run`: options of `run` for its processes; `epoch`: seconds, or None.

    `backwards`: the stages begin in the opposite order. `exact_times`: every file gets the time `epoch` (--timestamp),
    not only those that are later; without `clamps_times` (--rewrite-timestamp=false) files keep theirs.
    """

    platform: Platform
    arguments: dict[str, str] = field(default_factory=dict)
    target: str = ""
    names: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    unset_variables: list[str] = field(default_factory=list)
    unset_labels: list[str] = field(default_factory=list)
    base: str = ""
    format: str = "oci"
    pull: str = "missing"
    pull_options: dict[str, Any] = field(default_factory=dict)
    cache: bool = True
    cache_ttl: float = -1
    uncached_stages: list[str] = field(default_factory=list)
    layers: bool = True
    squash: bool = False
    squash_all: bool = False
    epoch: int | None = None
    exact_times: bool = False
    clamps_times: bool = True
    run: dict[str, Any] = field(default_factory=dict)
    network: str = "default"
    insecure: bool = False
    secrets: dict[str, Secret] = field(default_factory=dict)
    agents: dict[str, list[str]] = field(default_factory=dict)
    jobs: int = 0
    backwards: bool = False
    omits_history: bool = False
    outputs: list[Output] = field(default_factory=list)
    cache_from: list[Place] = field(default_factory=list)
    cache_to: list[Place] = field(default_factory=list)

    @property
    def latest_ns(self) -> int:
        """The latest time that a file may have, in nanoseconds; -1 for any."""
        return -1 if self.epoch is None or not self.clamps_times else self.epoch * 1_000_000_000


def make_request(options: Mapping[str, Any], environ: Mapping[str, str]) -> Request:
    """The request of `build` with these options. UsageError."""
    from crate.build.cache_exchange import parse_places
    from crate.build.outputs import Output, parse_outputs
    from crate.build.running.secrets import parse_agents, parse_secrets
    from crate.image.making import check_format

    arguments = _arguments(options, environ)
    request = Request(_platform(options), arguments)
    request.target = options.get("target") or ""
    request.names = [str(name) for name in options.get("tag") or ()]
    request.labels = _pairs("label", options.get("label"))
    request.annotations = _pairs("annotation", options.get("annotation"))
    request.environment = _environment(options, environ)
    request.unset_variables = list(options.get("unsetenv") or ())
    request.unset_labels = list(options.get("unsetlabel") or ())
    request.base = options.get("from_") or ""
    request.format = check_format(options.get("format"))
    request.pull = _pull(options)
    authfile = options.get("authfile")
    if authfile and not os.path.exists(authfile):
        raise UsageError(f"checking authfile: stat {authfile}: no such file or directory")
    request.pull_options = {key: options.get(key) for key in _PULL_OPTIONS}
    layers = options.get("layers")
    if layers is None:
        layers = environ.get("BUILDAH_LAYERS", "").lower() not in ("false", "0", "f")
    request.layers = bool(layers)
    request.cache = not options.get("no_cache") and request.layers  # as podman: without layers no cache is looked at
    request.cache_ttl = _ttl(options.get("cache_ttl"))
    request.uncached_stages = [name for name in options.get("no_cache_filter") or () if name]
    request.squash = bool(options.get("squash"))
    request.squash_all = bool(options.get("squash_all"))
    if request.squash and request.squash_all:
        raise UsageError("--squash and --squash-all exclude each other", "--squash-all makes one layer of all")
    _set_times(request, options, environ)
    request.run = {key: options[key] for key in RUN_OPTIONS if options.get(key) not in (None, [], False)}
    if options.get("no_hostname"):
        request.run["pod_without"] = ["hostname"]
    request.network = options.get("network") or "default"
    request.insecure = "security.insecure" in (options.get("allow") or ())
    request.secrets = parse_secrets(options.get("secret") or ())
    request.agents = parse_agents(options.get("ssh") or (), environ)
    request.jobs = _jobs(options.get("jobs"))
    request.omits_history = bool(options.get("omit_history"))
    request.outputs = parse_outputs(options.get("output") or ())
    if options.get("push"):
        request.outputs.append(Output("registry"))
    request.cache_from = parse_places("cache-from", options.get("cache_from") or ())
    request.cache_to = parse_places("cache-to", options.get("cache_to") or ())
    return request


def _arguments(options: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """`--build-arg NAME=VALUE`, or NAME for a variable of the caller; of a --build-arg-file first."""
    found: dict[str, str] = {}
    entries: list[str] = []
    for path in options.get("build_arg_file") or ():
        try:
            with open(path, encoding="utf-8") as file:
                entries += [line.strip() for line in file if line.strip() and not line.lstrip().startswith("#")]
        except OSError as error:
            raise UsageError(
                f"cannot read {path}: {error.strerror}", "--build-arg-file takes NAME=VALUE lines"
            ) from None
    for entry in [*entries, *(options.get("build_arg") or ())]:
        name, equals, value = entry.partition("=")
        if not name:
            raise UsageError(f'invalid argument "{entry}" for "--build-arg" flag', "write it as NAME=VALUE")
        if equals:
            found[name] = value
        elif name in environ:
            found[name] = environ[name]
        else:
            found.pop(name, None)
    if "SOURCE_DATE_EPOCH" in environ:
        found.setdefault("SOURCE_DATE_EPOCH", environ["SOURCE_DATE_EPOCH"])
    return found


def _platform(options: Mapping[str, Any]) -> Platform:
    from crate.image.wanted import wanted_platform

    given = options.get("platform")
    chosen = given[0] if isinstance(given, list) and given else given
    return wanted_platform({**options, "platform": chosen or None}) or platforms.host()


def _pairs(option: str, entries: list[str] | None) -> dict[str, str]:
    found = {}
    for entry in entries or ():
        name, _, value = entry.partition("=")
        if not name:
            raise UsageError(f'invalid argument "{entry}" for "--{option}" flag', "write it as NAME=VALUE")
        found[name] = value
    return found


def _environment(options: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for entry in options.get("env") or ():
        name, equals, value = entry.partition("=")
        if equals:
            found[name] = value
        elif name in environ:
            found[name] = environ[name]
    return found


def _pull(options: Mapping[str, Any]) -> str:
    """`--pull` alone, or true, is podman's `missing` with a look at the registry; a word is a policy."""
    given = options.get("pull")
    if options.get("pull_always"):
        return "always"
    if options.get("pull_never"):
        return "never"
    text = str(given).lower() if given is not None else "missing"
    policy = {"true": "newer", "": "newer", "false": "missing", "ifmissing": "missing", "ifnewer": "newer"}.get(
        text, text
    )
    if policy not in PULL_POLICIES:
        raise UsageError(f'unsupported pull policy "{given}"', f"one of: {', '.join(PULL_POLICIES)}")
    return policy


def _ttl(text: str | None) -> float:
    """Seconds; -1 for no limit."""
    if not text:
        return -1
    from crate.oci import moment

    found = moment.duration(text)
    if found is None or found < 0:
        raise UsageError(f'invalid argument "{text}" for "--cache-ttl" flag', "a duration such as 24h")
    return found / 1e9


def _set_times(request: Request, options: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    given = options.get("timestamp")
    text = request.arguments.get("SOURCE_DATE_EPOCH", "") if given is None else str(given)
    if text == "":
        return
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        name = "SOURCE_DATE_EPOCH" if given is None else "--timestamp"
        raise UsageError(f"invalid {name} {text}", "seconds since 1970")
    request.epoch = int(text)
    request.exact_times = given is not None
    request.clamps_times = request.exact_times or options.get("rewrite_timestamp") is not False


def _jobs(given: object) -> int:
    if given is None:
        return max(2, os.cpu_count() or 1)
    if int(str(given)) < 0:
        raise UsageError(f'invalid argument "{given}" for "--jobs" flag', "0 for no limit, or a number of stages")
    return int(str(given))
