#!/bin/sh
# crate @VERSION@ in one file: this script, then a gzipped tar of the program, unpacked once (docs/decisions/0006).
me=$0

start() { # AT ARGUMENTS: the program that is unpacked there
    main=$1/lib/crate/__main__.py own=$1/@PYTHON@
    read -r python <"$1/ready"
    [ -x "$python" ] || return
    shift
    if [ "$python" = "$own" ]; then
        # root runs it from a read-only mount, as crate does with the host's (src/crate/runtime/sealed.py)
        sealed=/run/crate/@NAME@
        if [ -w /run ] && [ ! -e "$sealed/@PYTHON@" ]; then
            mkdir -p "$sealed" && mount -o bind,ro "${own%/python/*}" "$sealed"
        fi 2>/dev/null
        [ "$sealed/@PYTHON@" -ef "$own" ] && exec "$sealed/@PYTHON@" -I -S "$main" "$@"
    else
        for sealed in /run/crate/interpreter/python3*; do
            [ "$sealed" -ef "$python" ] && exec "$sealed" -X "crate_python=$python" -I -S "$main" "$@"
        done
    fi
    exec "$python" -I -S "$main" "$@"
}

for base in /var/cache "${XDG_CACHE_HOME:-/nonexistent}" "${HOME:-/nonexistent}/.cache"; do
    at=$base/crate/@NAME@
    # below /var/cache only root can have made it; elsewhere it must be our own
    if [ -r "$at/ready" ] && { [ "$base" = /var/cache ] || [ -O "$at/ready" ]; }; then
        start "$at" "$@"
    fi
done

die() {
    echo "Error: $1 (hint: $2)" >&2
    exit 125
}
case $me in */*) ;; *) me=$(command -v -- "$me") ;; esac # `sh crate`
for base in /var/cache "${XDG_CACHE_HOME:-}" "${HOME:-}${HOME:+/.cache}" ""; do
    [ -n "$base" ] || die "no directory to unpack crate into" "set HOME or XDG_CACHE_HOME to a writable directory"
    [ "$base" = /var/cache ] || umask 077
    mkdir -p "$base/crate" 2>/dev/null && [ -w "$base/crate" ] && [ -O "$base/crate" ] && break
done
at=$base/crate/@NAME@
python=$at/@PYTHON@
if [ "$python" = "$at/" ]; then
    for name in /usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11; do
        python=$(command -v "$name") && "$python" -I -S -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
        python=
    done
    [ -n "$python" ] || die "no Python 3.11 or newer" "install python3, or take the build that brings its own (--with-python)"
fi
temporary=$(mktemp -d "$base/crate/.unpack.XXXXXX") || die "cannot write in $base/crate" "free some space"
trap 'rm -rf "$temporary"' EXIT HUP INT TERM
{ tail -c +@START@ "$me" | gzip -dc && : >"$temporary/whole"; } | tar -C "$temporary" -xof -
[ $? = 0 ] && [ -e "$temporary/whole" ] || die "cannot unpack $me into $base/crate" "copy the file again, or free some space"
[ "$base" != /var/cache ] || chmod 755 "$temporary"
echo "$python" >"$temporary/ready"
# another one may have been faster, or the Python of before has gone: the newer one takes the place
[ ! -e "$at" ] || mv -T "$at" "$temporary/old" 2>/dev/null
mv -T "$temporary" "$at" 2>/dev/null || [ -r "$at/ready" ] || die "cannot make $at" "look at the rights of $base/crate"
rm -rf "$at/old"
trap - EXIT
start "$at" "$@"
die "cannot start $python" "remove $at and try again"
exit
