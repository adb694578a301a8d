"""What the tests of `--diagnose` share: a program that provokes refusals, and the lines of a report."""

from __future__ import annotations

import re
from typing import NamedTuple

RUN = ("run", "--rm", "--network", "none", "--diagnose")
LINE = re.compile(
    r"diagnosis: (.*?): (?:(E[A-Z]+|SIGSYS) )?(?:\((\d+) times\) )?by (.*); (?:use (.*)|no option allows it)"
)

#: `probe CALL...`: makes each call, and prints its errno
PROBE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void *in_thread(void *unused) { chroot("/"); return 0; }
static void *executes(void *unused) { execl("/probe", "probe", "chown", (char *)0); return 0; }

static long make(const char *call) {
    if (!strcmp(call, "io_uring")) { static char ring[120]; return syscall(425, 1, ring) < 0; }
    if (!strcmp(call, "unshare_user")) return unshare(CLONE_NEWUSER);
    if (!strcmp(call, "setns")) return setns(open("/proc/self/ns/uts", O_RDONLY), CLONE_NEWUTS);
    if (!strcmp(call, "packet")) return socket(AF_PACKET, SOCK_DGRAM, 0) < 0;
    if (!strcmp(call, "clock")) { /* refused before the time is looked at; allowed, it is no time */
        struct timespec time = {.tv_sec = 1, .tv_nsec = -1};
        long failed = clock_settime(CLOCK_REALTIME, &time);
        return failed && errno == EINVAL ? 0 : failed;
    }
    if (!strcmp(call, "bind")) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
        return bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address);
    }
    if (!strcmp(call, "mount")) return mount("none", "/etc", "tmpfs", 0, 0);
    if (!strcmp(call, "chown")) return chown("/etc", 7, 7);
    if (!strcmp(call, "ptrace")) return ptrace(PTRACE_TRACEME, 0, 0, 0);
    if (!strcmp(call, "unreadable"))
        return syscall(SYS_chroot, 8) + syscall(SYS_chroot, -1) + syscall(SYS_mount, 1, 2, 3, 4, 5);
    if (!strcmp(call, "huge")) {
        char *path = malloc(1 << 24);
        memset(path, 'x', 1 << 24);
        return syscall(SYS_chroot, path);
    }
    if (!strcmp(call, "control")) { mkdir("/a\033[31m\nb\x9b", 0); return chroot("/a\033[31m\nb\x9b"); }
    if (!strcmp(call, "many")) {
        char name[32];
        for (int i = 0; i < 3000; i++) { sprintf(name, "/n%d", i); mount("none", name, "tmpfs", 0, 0); }
        return 0;
    }
    if (!strcmp(call, "numbers")) {
        for (long i = 0; i < 20000; i++) syscall(getpid() * 100000L + i);
        return 0;
    }
    if (!strcmp(call, "threads")) {
        pthread_t threads[8];
        for (int i = 0; i < 8; i++) pthread_create(&threads[i], 0, in_thread, 0);
        for (int i = 0; i < 8; i++) pthread_join(threads[i], 0);
        for (int i = 0; i < 5; i++) if (!fork()) { chroot("/"); _exit(0); } else wait(0);
        if (!vfork()) { chroot("/"); _exit(0); }
        return 0;
    }
    if (!strcmp(call, "clone3_then_clone")) {
        char words[64] = {0};
        syscall(435, words, sizeof words);
        if (!syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) _exit(0);
        return wait(0) < 0;
    }
    if (!strcmp(call, "clone3_alone")) { char words[64] = {0}; return syscall(435, words, sizeof words) < 0; }
    if (!strcmp(call, "exec_in_thread")) {
        pthread_t thread;
        pthread_create(&thread, 0, executes, 0);
        pause();
    }
    exit(99);
}

int main(int count, char **words) {
    for (int i = 1; i < count; i++) {
        errno = 0;
        long failed = make(words[i]);
        printf("%s %s\n", words[i], failed ? strerror(errno) : "ok");
    }
    return 0;
}
"""


class Refused(NamedTuple):
    """A line of the report."""

    call: str
    errno: str
    times: int
    rule: str
    options: list[str]


def report(text: str) -> list[Refused]:
    """The lines of the report in what a command wrote on standard error."""
    lines = [line for line in text.splitlines() if line.startswith("diagnosis: ")]
    if lines == ["diagnosis: nothing was refused"]:
        return []
    assert lines, text
    found = []
    for line in lines:
        match = LINE.fullmatch(line)
        if match is None:
            assert re.fullmatch(r"diagnosis: \d+ more, of other calls", line), line
            continue
        call, errno, count, rule, options = match.groups()
        found.append(Refused(call, errno or "", int(count or 1), rule, options.split(", or ") if options else []))
    return found
