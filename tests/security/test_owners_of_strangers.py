"""What records owners for a container (decision 200) is a process outside that a hostile container can make work."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from cli.test_recorded_owners import ATTRIBUTE, owners, put
from cli.test_single_id import IMAGE, alone, alone_words
from program import Crate, until
from security.hostile import compiled

#: `attack WORD…`; it prints what chown(2) and its kin answered
ATTACK = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what, long answer) {
    printf("%s %s\n", what, answer ? strerror(errno) : "ok");
    fflush(stdout);
}

static void swaps(const char *link, const char *other, const char *first, const char *second) {
    for (;;) {
        unlink(other); symlink(first, other); rename(other, link);
        unlink(other); symlink(second, other); rename(other, link);
    }
}

static void errors(void) {
    char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), path[6000];
    memset(page, 'a', 4096);
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = 0;
    say("missing", chown("/missing", 1, 1));
    say("below a file", chown("/own/f/x", 1, 1));
    say("no descriptor", fchown(999, 1, 1));
    say("no memory", chown((char *)8, 1, 1));
    say("end of memory", chown(page + 4000, 1, 1));
    say("long", chown(path, 1, 1));
    say("empty", chown("", 1, 1));
    say("through proc", chown("/proc/self/fd/0", 1, 1));
    say("pipe", fchown(1, 1, 1));
    say("own process", chown("/proc/self/cwd", 1, 1));
    say("nowhere", fchownat(-1, "x", 1, 1, 0));
}

static void forms(void) {
    chdir("/own");
    say("both", chown("f", 7, 8));
    say("group", chown("/own/f", -1, 9));
    say("mode", chmod("f", 04755));
    say("neither", chown("f", -1, -1));
    struct stat found;
    stat("f", &found);
    printf("mode is %o\n", found.st_mode & 07777);
    mkdir("d", 0755);
    symlink("/own/d", "to-d");
    symlink("../own/d", "d/around");
    close(open("d/g", O_CREAT | O_WRONLY, 0600));
    say("links on the way", chown("to-d/around/g", 3, 4));
    int fd = open("d", O_RDONLY);
    say("directory", fchownat(fd, "", 5, 6, AT_EMPTY_PATH));
    say("below it", fchownat(fd, "h/../g", 1, 1, 0));
    close(openat(fd, "i", O_CREAT | O_WRONLY, 0600));
    say("beside it", fchownat(fd, "../d/i", 1, 2, AT_SYMLINK_NOFOLLOW));
    say("the link", lchown("to-d", 9, 9));
    chroot("/own");
    say("in a root of its own", chown("/../d/g", 30, 40));
}

static void listener(void) {
    struct { unsigned short code; unsigned char yes, no; unsigned value; } code[] = {{6, 0, 0, 0x7fff0000}};
    struct { unsigned short length; void *code; } program = {1, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    say("filter", syscall(SYS_seccomp, 1, 0, &program));
    say("listener", syscall(SYS_seccomp, 1, 8, &program) < 0);
    say("recorded still", chown("/own/f", 11, 12));
}

static void victims(void) {
    int fd = open("/bind/victim", O_RDONLY), dir = open("/bind", O_RDONLY);
    say("path", chown("/bind/victim", 1, 1));
    say("descriptor", fchown(fd, 1, 1));
    say("empty path", fchownat(dir, "", 1, 1, AT_EMPTY_PATH));
    say("directory", fchownat(dir, "victim", 1, 1, 0));
    symlink("/bind/victim", "/to");
    say("link", chown("/to", 1, 1));
    chdir("/bind");
    say("here", chown("victim", 1, 1));
    say("parent", chown("../bind/inner/../victim", 1, 1));
    chroot("/bind");
    say("root", chown("/victim", 1, 1));
    say("above it", chown("/../../victim", 1, 1));
}

static void race(int rounds) {
    pid_t other = fork();
    if (!other) swaps("/own/s", "/own/t", "/bind", "/own/real");
    pid_t mover = fork();
    if (!mover)
        for (;;) { rename("/own/real/x", "/own/x"); rename("/own/x", "/own/real/x"); }
    chdir("/own");
    for (int i = 0; i < rounds; i++) {
        chown("/own/s/victim", 1, 1);
        chown("s/victim", 1, 1);
        chown("real/x/../../s/victim", 1, 1);
        fchownat(AT_FDCWD, "s/victim", 1, 1, AT_SYMLINK_NOFOLLOW);
    }
    kill(other, SIGKILL);
    kill(mover, SIGKILL);
    while (wait(0) > 0) {}
    say("race", 0);
}

static void die(int rounds) {
    for (int i = 0; i < rounds; i++) {
        pid_t child = fork();
        if (!child) for (;;) chown("/own/f", 1, 1);
        usleep(i * 37 % 2000);
        kill(child, SIGKILL);
        waitpid(child, 0, 0);
    }
    say("dead", 0);
}

static void leak(int rounds) {
    char path[64];
    pid_t child = fork();
    if (!child) _exit(0);
    siginfo_t info;
    waitid(P_PID, child, &info, WEXITED | WNOWAIT);
    sprintf(path, "/proc/%d", child);
    chdir(path);
    for (int i = 0; i < rounds; i++) chown("exe/x", 1, 1); /* readlink(2) fails: a zombie has no program */
    chdir("/own");
    for (int i = 0; i < rounds / 10; i++) {
        pid_t child = fork();
        if (!child) for (int fd = open("/own", O_RDONLY);;) { fchown(fd, 1, 1); fchownat(fd, "", 1, 1, AT_EMPTY_PATH); }
        usleep(i * 37 % 2000);
        kill(child, SIGKILL);
        waitpid(child, 0, 0);
    }
    say("leaked", chown("/own/f", 21, 22));
}

static void flood(int count) {
    for (int i = 0; i < 6; i++)
        if (!fork()) {
            for (int n = 0; !count || n < count; n++)
                if (chown("/own/f", i + 1, 1) && errno != ENOENT) exit(1);
            exit(0);
        }
    int status, failed = 0;
    while (wait(&status) > 0) failed |= status;
    say("flood", 0);
    if (failed) puts("some failed");
}

int main(int count, char **words) {
    int number = count > 2 ? atoi(words[2]) : 0;
    mkdir("/own", 0755);
    mkdir("/own/real", 0755);
    mkdir("/own/real/x", 0755);
    close(open("/own/f", O_CREAT | O_WRONLY, 0644));
    close(open("/own/real/victim", O_CREAT | O_WRONLY, 0644));
    if (!strcmp(words[1], "errors")) errors();
    if (!strcmp(words[1], "forms")) forms();
    if (!strcmp(words[1], "listener")) listener();
    if (!strcmp(words[1], "victims")) victims();
    if (!strcmp(words[1], "race")) race(number);
    if (!strcmp(words[1], "die")) die(number);
    if (!strcmp(words[1], "flood")) flood(number);
    if (!strcmp(words[1], "leak")) leak(number);
    if (!strcmp(words[1], "once")) say("once", chown("/own/f", 21, 22));
    return 0;
}
"""

#: `listening WORD…`: runs a command whose filter has a listener already
LISTENING = r"""
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **words) {
    struct { unsigned short code; unsigned char yes, no; unsigned value; } code[] = {{6, 0, 0, 0x7fff0000}};
    struct { unsigned short length; void *code; } program = {1, code};
    if (syscall(SYS_seccomp, 1, 8, &program) < 0) return 99;
    int status;
    pid_t child = fork();
    if (!child) { execvp(words[1], words + 1); _exit(98); }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 97;
}
"""

RUN = ("run", "--rm", "--network", "none")

pytestmark = pytest.mark.requires("root", "unprivileged-user", "busybox")


@pytest.fixture
def image(rootless_crate: Crate, tmp_path: Path) -> str:
    """An image with the program, and a directory of the user's own, `home`, to be bound."""
    crate = rootless_crate
    assert crate.user
    assert alone(crate, "pull", "--quiet", IMAGE).status == 0
    context = put(crate.place / "context", f"FROM {IMAGE}\nCOPY attack /attack\n")
    shutil.copy(compiled(tmp_path, "attack", ATTACK), context / "attack")
    assert alone(crate, "build", "--network", "none", "-t", "hostile", str(context)).status == 0
    bound = crate.place / "bound"
    (bound / "inner").mkdir(parents=True)
    (bound / "bin").mkdir()
    shutil.copy("/bin/busybox", bound / "bin/busybox")
    (bound / "victim").write_text("mine")
    for path in (bound, *bound.rglob("*")):
        os.chown(path, crate.user.uid, crate.user.gid)
    return "hostile"


def untouched(crate: Crate) -> bool:
    """Whether no file of the user's own has the attribute, or another owner."""
    assert crate.user
    paths = [crate.place / "bound", *(crate.place / "bound").rglob("*")]
    return all(ATTRIBUTE not in os.listxattr(path) and path.stat().st_uid == crate.user.uid for path in paths)


def agents(crate: Crate) -> list[int]:
    """The processes crate:owners of this crate's containers."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            own = entry.name.isdigit() and os.fsencode(crate.root) in (entry / "cmdline").read_bytes()
            if own and (entry / "comm").read_text() == "crate:owners\n":
                found.append(int(entry.name))
        except OSError:
            pass  # it has just ended
    return found


def test_answers(rootless_crate: Crate, image: str) -> None:
    crate = rootless_crate
    answers = alone(crate, *RUN, image, "/attack", "errors").out.splitlines()
    assert answers == [
        "missing No such file or directory",
        "below a file Not a directory",
        "no descriptor Bad file descriptor",
        "no memory Bad address",
        "end of memory Bad address",
        "long Filename too long",
        "empty No such file or directory",
        "through proc ok",
        "pipe ok",
        "own process ok",
        "nowhere Bad file descriptor",
    ]
    assert alone(crate, "create", "--name", "one", image, "/attack", "forms").status == 0
    lines = alone(crate, "start", "--attach", "one").out.splitlines()
    assert "mode is 755" in lines and "below it No such file or directory" in lines, lines
    archive = crate.place / "out.tar"
    with open(archive, "wb") as file:
        assert alone(crate, "export", "one", stdout=file).status == 0
    wanted = {"own/f": "7:9", "own/d": "5:6", "own/d/g": "30:40", "own/d/i": "1:2", "own/to-d": "0:0"}
    assert owners(archive, *wanted) == wanted
    lines = alone(crate, *RUN, image, "/attack", "listener").out.splitlines()
    assert lines == ["filter ok", "listener Resource busy", "recorded still ok"], lines


def test_files_of_the_host_stay_as_they_are(rootless_crate: Crate, image: str) -> None:
    crate = rootless_crate
    bind = ("-v", f"{crate.place}/bound:/bind")
    lines = alone(crate, *RUN, *bind, image, "/attack", "victims").out.splitlines()
    assert len(lines) == 9 and all(line.endswith(" ok") for line in lines), lines
    assert untouched(crate)
    # who may mount puts it where a volume was, and makes it the root of its init, before others enter
    script = (
        "umount -l /v && mount --bind /bind /v && chown 5 /v/victim && mkdir /new && mount --bind /bind /new &&"
        " chown 5 /new/victim && exec chroot /new /bin/busybox sh -c"
        " 'busybox chown 5 /victim && echo ready && exec busybox sleep 1000'"
    )
    more = ("--cap-add", "sys_admin", "--name", "one", "-d", "-v", "data:/v")
    assert alone(crate, "run", "--network", "none", *more, *bind, image, "sh", "-c", script).status == 0
    until(lambda: alone(crate, "logs", "one").out == "ready", 30)
    assert alone(crate, "exec", "one", "chown", "6", "/bind/victim", "/v/victim", "/new/victim").status == 0
    assert untouched(crate)
    alone(crate, "rm", "-f", "-t", "0", "one")
    assert alone(crate, *RUN, *bind, image, "/attack", "race", "400").out.endswith("race ok")
    assert untouched(crate)
    # a root that is the user's own directory
    assert alone(crate, *RUN, "--rootfs", f"{crate.place}/bound", "/bin/busybox", "chown", "5", "/victim").status == 0
    assert untouched(crate)


def test_deaths_and_floods(rootless_crate: Crate, image: str) -> None:
    crate = rootless_crate
    start = ("run", "-d", "--network", "none", "--name")
    assert alone(crate, *start, "one", image, "sleep", "1000").status == 0
    assert alone(crate, "exec", "one", "/attack", "die", "150").out == "dead ok"
    assert alone(crate, "exec", "one", "/attack", "flood", "300").out == "flood ok"
    # while one never ends, the streams of its container and its other processes go on
    assert alone(crate, "exec", "-d", "one", "/attack", "flood", "0").status == 0
    assert alone(crate, "exec", "one", "/attack", "once").out == "once ok"
    assert alone(crate, "exec", "one", "echo", "there").out == "there"
    assert len(until(lambda: agents(crate), 20)) == 1
    alone(crate, "rm", "-f", "-t", "0", "one")
    until(lambda: not agents(crate), 20)
    # the agent stands still, then dies: who waits for it is answered, and who comes later goes without
    assert alone(crate, *start, "two", image, "sh", "-c", "read x < /fifo; /attack once; sleep 1000").status == 0
    (agent,) = until(lambda: agents(crate), 20)
    assert alone(crate, "exec", "two", "chown", "5", "/attack").status == 0
    os.kill(agent, signal.SIGSTOP)
    waiting = subprocess.Popen(
        alone_words(crate, "exec", "two", "/attack", "once"),
        env=crate.environment, cwd=crate.place, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert alone(crate, "exec", "two", "echo", "there").out == "there"
    os.kill(agent, signal.SIGKILL)
    assert waiting.communicate(timeout=30)[0].strip() in ("once Function not implemented", "once ok")
    assert alone(crate, "exec", "two", "/attack", "once").out == "once ok"


def test_beneath_the_filter_of_another(rootless_crate: Crate, image: str, tmp_path: Path) -> None:
    """Where crate itself runs in a filter that has a listener there can be no second one: nothing is recorded then."""
    crate = rootless_crate
    words = alone_words(crate, *RUN, image, "sh", "-c", "touch /f && chown 5:6 /f && /attack once")
    listening = str(compiled(tmp_path, "listening", LISTENING))
    done = subprocess.run(
        [listening, *words], check=False, env=crate.environment, cwd=crate.place, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "once ok\n"), done


def test_who_executes_may_die(rootless_crate: Crate, image: str) -> None:
    """The recording does not depend on crate:exec, nor on the caller."""
    crate = rootless_crate
    assert alone(crate, "run", "-d", "--network", "none", "--name", "one", image, "sleep", "1000").status == 0
    script = "echo > /ready; while [ ! -e /go ]; do usleep 20000; done; /attack once; echo > /done; sleep 1000"
    assert alone(crate, "exec", "-d", "one", "sh", "-c", script).status == 0
    until(lambda: alone(crate, "exec", "one", "test", "-e", "/ready").status == 0, 20)
    killed = 0
    for entry in Path("/proc").iterdir():
        try:
            own = os.fsencode(crate.root) in (entry / "cmdline").read_bytes()
            if own and (entry / "comm").read_text() == "crate:exec\n":
                os.kill(int(entry.name), signal.SIGKILL)
                killed += 1
        except (OSError, ValueError):
            pass
    assert killed
    assert alone(crate, "exec", "one", "touch", "/go").status == 0
    until(lambda: alone(crate, "exec", "one", "test", "-e", "/done").status == 0, 20)
    archive = crate.place / "out.tar"
    with open(archive, "wb") as file:
        assert alone(crate, "export", "one", stdout=file).status == 0
    assert owners(archive, "own/f") == {"own/f": "21:22"}
    # a container that is started again has an agent again
    assert alone(crate, "restart", "-t", "0", "one").status == 0
    assert alone(crate, "exec", "one", "chown", "31:32", "/own/f").status == 0
    with open(archive, "wb") as file:
        assert alone(crate, "export", "one", stdout=file).status == 0
    assert owners(archive, "own/f") == {"own/f": "31:32"}
    until(lambda: len(agents(crate)) == 1, 20)  # that of the former run has ended


def test_who_has_subordinate_ids_has_no_agent(rootless_crate: Crate) -> None:
    crate = rootless_crate
    crate.ok("pull", "--quiet", IMAGE)
    crate.ok("run", "-d", "--network", "none", "--name", "one", IMAGE, "sleep", "1000")
    crate.ok("exec", "one", "chown", "5:6", "/etc/passwd")
    assert crate.ok("exec", "one", "stat", "-c", "%u:%g", "/etc/passwd") == "5:6" and not agents(crate)


def test_nothing_is_left_open(rootless_crate: Crate, image: str) -> None:
    """Nor on the disk: the filter of a container is kept once for all of them."""
    crate = rootless_crate
    assert alone(crate, "run", "-d", "--network", "none", "--name", "one", image, "sleep", "1000").status == 0
    (agent,) = until(lambda: agents(crate))
    assert alone(crate, "exec", "one", "/attack", "leak", "3000").out == "leaked ok"
    until(lambda: len(os.listdir(f"/proc/{agent}/fd")) < 10, 20)
    kept = set(os.listdir(crate.root / "cache/seccomp"))
    assert alone(crate, *RUN, image, "true").status == 0
    assert set(os.listdir(crate.root / "cache/seccomp")) == kept
    alone(crate, "rm", "-f", "-t", "0", "one")


def test_in_a_pid_namespace_of_others(rootless_crate: Crate, image: str) -> None:
    """There init is not dumpable, and tells its root itself."""
    crate = rootless_crate
    assert alone(crate, "run", "-d", "--network", "none", "--name", "one", image, "sleep", "1000").status == 0
    archive = crate.place / "out.tar"
    for number, where in enumerate(("host", "container:one"), 50):
        words = ("--pid", where, "--network", "none", "--name", f"with{number}", image)
        assert alone(crate, "run", *words, "chown", str(number), "/etc/passwd") == (0, "", "")
        with open(archive, "wb") as file:
            assert alone(crate, "export", f"with{number}", stdout=file).status == 0
        assert owners(archive, "etc/passwd") == {"etc/passwd": f"{number}:0"}
    alone(crate, "rm", "-f", "-t", "0", "one")


def test_the_agent_stands_still(rootless_crate: Crate, image: str) -> None:
    """Nobody waits for it for ever who only wants to enter."""
    crate = rootless_crate
    assert alone(crate, "run", "-d", "--network", "none", "--name", "one", image, "sleep", "1000").status == 0
    (agent,) = until(lambda: agents(crate))
    os.kill(agent, signal.SIGSTOP)
    (door,) = (crate.root / "containers").glob("*/owners.sock")
    waiting: list[socket.socket] = []
    dir_fd = os.open(door.parent, os.O_RDONLY)
    try:
        while len(waiting) < 100:
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].setblocking(False)
            waiting[-1].connect(f"/proc/self/fd/{dir_fd}/{door.name}")
    except BlockingIOError:
        pass
    assert len(waiting) < 100
    assert alone(crate, "exec", "one", "echo", "there").out == "there"
    for one in waiting:
        one.close()
    os.close(dir_fd)
    os.kill(agent, signal.SIGCONT)
    alone(crate, "rm", "-f", "-t", "0", "one")


def test_a_profile_names_a_file_of_the_users(rootless_crate: Crate, image: str) -> None:
    """Who brings a profile that pretends to be crate's own gets nothing removed."""
    crate = rootless_crate
    victim = crate.place / "bound/victim"
    calls = [{"names": ["chown", "fchownat", "lchown"], "action": "SCMP_ACT_NOTIFY"}]
    words = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(victim), "syscalls": calls}
    profile = crate.place / "profile.json"
    profile.write_text(json.dumps({**words, "listenerMetadata": "crate: records owners"}))
    result = alone(crate, *RUN, "--security-opt", f"seccomp={profile}", image, "chown", "5", "/attack")
    assert victim.is_file() and victim.read_text() == "mine", result
