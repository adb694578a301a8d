"""Git repositories as build contexts and sources of ADD: what their URLs say, and fetching them without trusting them.

    https://host/repo.git   http, ssh and git URLs   git@host:path   github.com/owner/repo   each with `#ref:directory`
    ?ref= ?tag= ?branch= ?subdir= ?commit= ?keep-git-dir= ?submodules=   the same, as a query

git runs without the configuration of user and system, without hooks, templates, prompts and protocols that run
programs, in bounds (git_process.py); names that could be options are refused. Keys and agents of ssh, and ~/.netrc,
are used. Submodules come along, by the same rules.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from crate.build.records import dataclass, replace
from crate.build.sources import git_process
from crate.errors import HostError, RegistryError, UsageError
from crate.runtime.paths import open_in_root

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SCP = re.compile(r"(?:[A-Za-z0-9_.-]+@)[A-Za-z0-9_.-]+:(?!//)[^\s]+")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SCHEMES = ("http", "https", "ssh", "git")
_SSH_SETTINGS = ("BatchMode=yes", "PermitLocalCommand=no", "ConnectTimeout=30", "ServerAliveInterval=20")
_TRUE = ("1", "t", "T", "TRUE", "true", "True", "")
_LINES_SHOWN = 3
_OUTPUT_MAX = 16 << 20
_SIZE_FIELD = 3  # of `ls-tree --long`: mode, type, object, size
_SETTINGS = (
    *("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.symlinks=true", "protocol.ext.allow=never"),
    *("protocol.file.allow=never", "submodule.recurse=false", "fetch.recurseSubmodules=false", "gc.auto=0"),
    *("transfer.fsckObjects=true", "advice.detachedHead=false", "credential.helper=", "http.followRedirects=initial"),
    # A pack stays one file, which has a limit; large blobs are not taken into memory; who stops sending is left.
    *("transfer.unpackLimit=1", "core.bigFileThreshold=32m", "http.lowSpeedLimit=1000", "http.lowSpeedTime=60"),
    "init.templateDir=",
)


@dataclass(frozen=True)
class GitSource:
    """A repository: `remote` for git, a branch, tag or commit (""), a directory in it (""), the commit it must be,
    whether its submodules are wanted.
    """

    remote: str
    ref: str = ""
    directory: str = ""
    commit: str = ""
    keep_git_dir: bool | None = None
    submodules: bool = True

    def __str__(self) -> str:
        parts = urlsplit(self.remote) if "://" in self.remote else None
        name = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if parts else self.remote
        return name + (f"#{self.ref}" if self.ref else "")


def parse_git(text: str, *, as_context: bool = False) -> GitSource | None:
    """What a text says about a repository; None when it names none. UsageError for one that cannot be.

    `as_context` also takes `github.com/owner/repo`, which for ADD is a path.
    """
    if as_context and text.startswith("github.com/"):
        text = f"https://{text}"
    elif _SCP.fullmatch(text.partition("#")[0]):
        remote, _, fragment = text.partition("#")
        return _checked(_with_fragment(GitSource(remote), fragment))
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    if parts.scheme not in _SCHEMES or not parts.hostname:
        return None
    is_github = as_context and parts.hostname == "github.com" and parts.path.strip("/").count("/") == 1
    if parts.scheme in ("http", "https") and not parts.path.endswith(".git") and not is_github:
        return None
    remote = urlunsplit(parts._replace(query="", fragment=""))
    return _checked(_with_query(_with_fragment(GitSource(remote), parts.fragment), parts.query, text))


def _with_fragment(source: GitSource, fragment: str) -> GitSource:
    ref, _, directory = fragment.partition(":")
    return replace(source, ref=ref, directory=directory)


def _with_query(source: GitSource, query: str, text: str) -> GitSource:
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key in ("ref", "tag", "branch"):
            prefix = {"ref": "", "tag": "refs/tags/", "branch": "refs/heads/"}[key]
            ref = prefix + value.removeprefix(prefix)
            if source.ref and source.ref != ref:
                raise UsageError(f'ref conflicts: "{source.ref}" vs "{ref}"')
            source = replace(source, ref=ref)
        elif key == "subdir":
            source = replace(source, directory=value)
        elif key in ("commit", "checksum"):
            source = replace(source, commit=value)
        elif key == "keep-git-dir":
            source = replace(source, keep_git_dir=value in _TRUE)
        elif key == "submodules":
            source = replace(source, submodules=value in _TRUE)
        else:
            raise UsageError(f'unexpected query "{key}" in {text}')
    return replace(source, ref=source.ref or source.commit)


def _checked(source: GitSource) -> GitSource:
    """Nothing that git could take for an option, or print into somebody's terminal."""
    host = urlsplit(source.remote).hostname or "" if "://" in source.remote else source.remote.rpartition("@")[2]
    user = urlsplit(source.remote).username or "" if "://" in source.remote else source.remote.partition("@")[0]
    for word in (source.ref, source.commit, host, user):
        if word.startswith("-") or any(not letter.isprintable() or letter.isspace() for letter in word):
            raise UsageError(f"invalid git reference {word!r}")
    if source.remote.startswith("-") or not source.remote.isprintable():
        raise UsageError(f"invalid git repository {source.remote!r}")
    return source


def fetch(source: GitSource, directory: str, *, keep_git_dir: bool = False) -> str:
    """Checks the repository out into an empty directory and gives the commit. Raises RegistryError, HostError.

    `.git` stays only where that is wanted.
    """
    git = _Git(directory, str(source))
    git.run("init", "--quiet", "--template=", ".")
    wanted = source.ref or "HEAD"
    if not git.try_run("fetch", "--quiet", "--no-tags", "--depth=1", "--", source.remote, wanted):
        # A short commit, or a server that gives no single commits: all branches and tags then.
        git.run("fetch", "--quiet", "--tags", "--", source.remote, "+refs/*:refs/crate/*")
        found = next(filter(None, (git.commit(name) for name in _candidates(wanted))), "")
        if not found:
            raise RegistryError(f"cannot fetch {source}: the repository has no branch, tag or commit {wanted}")
    else:
        found = git.commit("FETCH_HEAD")
    if source.commit and not found.startswith(source.commit.lower()):
        raise RegistryError(f"cannot use {source}: expected commit {source.commit}, got {found}")
    git.check_tree(found)
    git.run("checkout", "--quiet", "--force", "--detach", found)
    modules = _update_submodules(git, source, directory) if source.submodules else []
    if keep_git_dir:
        _forget_password(source, f"{directory}/.git")
    else:
        from crate.storage.trash import remove_tree

        for module in modules:
            _remove_git_file(directory, module)
        remove_tree(directory, ".git")
    return found


def _update_submodules(git: _Git, source: GitSource, directory: str) -> list[str]:
    """Checks out the submodules, and theirs; gives their paths."""
    if not os.path.lexists(f"{directory}/.gitmodules"):
        return []
    git.run("config", "remote.origin.url", source.remote)  # what relative URLs are relative to
    git.run("submodule", "--quiet", "update", "--init", "--recursive", "--depth=1")
    git.check_directory()
    told = git.run("submodule", "--quiet", "foreach", "--recursive", 'printf "%s\\0" "$displaypath"')
    return [path for path in told.split("\0") if path]


def _forget_password(source: GitSource, git_directory: str) -> None:
    """Takes name and password out of what git noted of where it had been."""
    user = urlsplit(source.remote).netloc.rpartition("@")[0] if "://" in source.remote else ""
    if not user:
        return
    for place, directories, files in os.walk(git_directory):
        directories[:] = [name for name in directories if name != "objects"]
        for name in files if "/logs" in place[len(git_directory) :] else {"config", "FETCH_HEAD"}.intersection(files):
            path = f"{place}/{name}"
            with open(path, "rb") as file:
                text = file.read()
            if f"{user}@".encode() in text:
                with open(path, "wb") as file:
                    file.write(text.replace(f"{user}@".encode(), b""))


def _remove_git_file(directory: str, module: str) -> None:
    """A submodule has a file `.git` that points into the repository's own, which goes."""
    root_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = open_in_root(root_fd, module, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.unlink(".git", dir_fd=fd)
        finally:
            os.close(fd)
    except OSError:
        pass  # there is none
    finally:
        os.close(root_fd)


def _candidates(wanted: str) -> list[str]:
    if wanted == "HEAD":
        return ["refs/crate/heads/main", "refs/crate/heads/master"]
    bare = wanted.removeprefix("refs/")
    return [f"refs/crate/{bare}", f"refs/crate/tags/{wanted}", f"refs/crate/heads/{wanted}", wanted]


class _Git:
    """git in one directory, in an environment of ours."""

    def __init__(self, directory: str, shown: str) -> None:
        self._directory = directory
        self._shown = shown
        kept = ("PATH", "HOME", "SSH_AUTH_SOCK", "USER", "LOGNAME", "TMPDIR")
        proxies = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
        names = [*kept, *proxies, *(name.upper() for name in proxies)]
        self._environment = {name: os.environ[name] for name in names if name in os.environ}
        self._environment |= {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "SSH_ASKPASS": "",
            "GIT_SSH_COMMAND": " ".join(("ssh", *(f"-o{setting}" for setting in _SSH_SETTINGS))),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": ":".join(_SCHEMES),
            "LC_ALL": "C",
        }

    def run(self, *words: str) -> str:
        """One command of git; its output. Raises RegistryError with its last words, HostError without git."""
        status, out, told = self._output(words)
        if status:
            raise self._failure(words[0], status, told)
        return out

    def try_run(self, *words: str) -> bool:
        """Did one command of git succeed?"""
        return not self._output(words)[0]

    def commit(self, name: str) -> str:
        """The commit that a name stands for, or ""."""
        status, out, _ = self._output(("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}"))
        found = out.strip()
        return found if not status and _COMMIT.fullmatch(found) else ""

    def check_tree(self, commit: str) -> None:
        """RegistryError for a commit with too many files, or too large ones: a few objects may stand for billions."""
        size, entries, rest = 0, 0, b""

        def count(piece: bytes) -> None:
            nonlocal size, entries, rest
            *whole, rest = (rest + piece).split(b"\0")
            entries += len(whole)
            for entry in whole:
                told = entry.partition(b"\t")[0].split()[_SIZE_FIELD]
                size += int(told) if told.isdigit() else 0
            git_process.check(size, entries, self._shown)

        status, told = self._execute(("ls-tree", "-r", "-t", "-z", "--long", "--full-tree", commit), count)
        if status:
            raise self._failure("ls-tree", status, told)

    def check_directory(self) -> None:
        """RegistryError when too much lies there."""
        git_process.check(*git_process.measure(self._directory), self._shown)

    def _output(self, words: Sequence[str]) -> tuple[int, str, str]:
        pieces: list[bytes] = []
        size = 0

        def take(piece: bytes) -> None:
            nonlocal size
            size += len(piece)
            if size > _OUTPUT_MAX:
                raise RegistryError(f"cannot fetch {self._shown}: git {words[0]} tells too much")
            pieces.append(piece)

        status, told = self._execute(words, take)
        return status, b"".join(pieces).decode("utf-8", "surrogateescape"), told

    def _execute(self, words: Sequence[str], take: Callable[[bytes], object]) -> tuple[int, str]:
        program = shutil.which("git", path=self._environment.get("PATH", os.defpath))
        if program is None:
            raise HostError(f"cannot fetch {self._shown}: there is no git", "install the package git")
        command = [program, *(word for setting in _SETTINGS for word in ("-c", setting)), *words]
        return git_process.run(command, self._directory, self._environment, self._shown, take)

    def _failure(self, verb: str, status: int, told: str) -> RegistryError:
        lines = [line.strip() for line in told.splitlines() if line.strip()]
        reason = "; ".join(lines[-_LINES_SHOWN:]) or f"git {verb} ended with status {status}"
        return RegistryError(f"cannot fetch {self._shown}: {reason}")
