# Sourced by ./run and ./test: makes .venv and installs what is missing. Not for running by itself.
#
#   prepare LEVEL    LEVEL is `run` or `test`; $root is the checkout
#
# Quick when nothing is missing: programs are looked up in PATH, and .venv/stamp-LEVEL tells whether the virtual
# environment was made from this pyproject.toml, by this Python, in this place.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# program or file, and the Debian package that has it
run_needs="
nft:nftables pasta:passt slirp4netns:slirp4netns newuidmap:uidmap fuse-overlayfs:fuse-overlayfs catatonit:catatonit busybox:busybox-static
/etc/ssl/certs/ca-certificates.crt:ca-certificates
"
test_needs="
podman:podman crun:crun runc:runc skopeo:skopeo git:git ssh-agent:openssh-client docker-registry:docker-registry debootstrap:debootstrap
dockerd:docker.io firewalld:firewalld curl:curl ip:iproute2 unshare:util-linux setpriv:util-linux useradd:passwd perl:perl-base patchelf:patchelf strace:strace
bwrap:bubblewrap buildah:buildah musl-gcc:musl-tools gpg:gpg mkfs.btrfs:btrfs-progs mkfs.xfs:xfsprogs
dig:bind9-dnsutils iptables:iptables /usr/lib/cni/portmap:containernetworking-plugins
"
build_needs="
gcc:gcc /usr/include/sys/capability.h:libcap-dev
"

choose_python() {
    for python in "${PYTHON:-}" /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
        [ -n "$python" ] && command -v "$python" >/dev/null 2>&1 || continue
        "$python" -I -S -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && return 0
    done
    return 1
}

missing_packages() {
    for need in $1; do
        case $need in
            /*) [ -e "${need%%:*}" ] || printf '%s ' "${need##*:}" ;;
            *) command -v "${need%%:*}" >/dev/null 2>&1 || printf '%s ' "${need##*:}" ;;
        esac
    done
}

install_packages() { # the packages of $1, by apt
    [ -n "$1" ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        say "not Debian, so not installed: $1 (what needs them will say so)"
        return 0
    fi
    if [ "$(id -u)" != 0 ]; then
        die "packages are missing and installing needs root: sudo apt-get install -y --no-install-recommends $1"
    fi
    say "installing with apt: ${1% }"
    ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1 || apt-get -qq update >&2
    # $1 is a list of words
    # shellcheck disable=SC2086
    apt_install $1 || {
        say "apt: once more, after an update of the package lists"
        apt-get -qq update >&2 || die "apt-get update failed"
        apt_install $1 || die "apt cannot install: $1"
    }
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@" </dev/null >/dev/null
}

make_environment() { # .venv for LEVEL $1
    headers=$("$python" -I -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
    needs="$build_needs $headers:python3-dev"
    "$python" -I -c 'import ensurepip' 2>/dev/null || needs="$needs /nonexistent:python3-venv"
    install_packages "$(missing_packages "$needs")"
    case $("$root/.venv/bin/python" -I -c 'import sys; print(sys.prefix)' 2>/dev/null) in
        "$root/.venv") ;;
        *)
            say "making .venv with $python"
            "$python" -m venv --clear "$root/.venv" || die "cannot make $root/.venv"
            ;;
    esac
    what="$root"
    [ "$1" = test ] && what="$root[dev]"
    say "installing crate's Python packages into .venv with pip"
    "$root/.venv/bin/python" -m pip install -qq --disable-pip-version-check -e "$what" >&2 ||
        die "pip cannot install crate into .venv"
}

is_current() {
    [ -r "$stamp" ] && [ "$(cat "$stamp")" = "$made_from" ] && [ -x "$root/.venv/bin/crate" ]
}

prepare() {
    PATH=$PATH:/usr/sbin:/sbin # nft, runc and debootstrap are there; an ordinary user's PATH is without
    needs=$run_needs
    [ "$1" = test ] && needs="$needs $test_needs"
    install_packages "$(missing_packages "$needs")"
    if ! choose_python; then
        install_packages python3
        choose_python || die "no Python 3.11 or newer; name one with PYTHON=…"
    fi
    stamp=$root/.venv/stamp-$1
    made_from="$root $("$python" -I -S -c 'import sys; print(sys.version)') $(cat "$root/pyproject.toml" "$root/scripts/crate" 2>/dev/null | sha256sum)"
    is_current && return 0
    mkdir -p "$root/.venv" && [ -w "$root/.venv" ] || die "$root/.venv is not current and not writable: run this once as its owner"
    (
        flock 9
        is_current && exit 0 # another one was faster
        make_environment "$1"
        printf '%s\n' "$made_from" >"$stamp"
        [ "$1" = test ] && printf '%s\n' "$made_from" >"$root/.venv/stamp-run"
        say "ready"
    ) 9>"$root/.venv.lock" || exit 1
}
