# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
#
# Sourced: Debian's packages for the tools and tests. Says things under the name in $topic.

say() { printf '%s: %s\n' "$topic" "$*"; }
die() { printf '%s: %s\n' "$topic" "$*" >&2; exit 1; }

# Fetching from a package index or mirror can fail for a moment.
again() {
    local try
    for try in 1 2 3; do
        "$@" && return 0
        say "attempt $try of 3 failed: $1 $2"
    done
    return 1
}

# One at a time: steps of a test run beside each other, and apt does not wait for the lock of its lists.
apt_get() { DEBIAN_FRONTEND=noninteractive flock -w 1800 /var/lib/dpkg timeout 600 apt-get -qq -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 "$@"; }

# Whether apt's lists know a version of the package (a virtual package has none).
available() { grep -q 'Candidate: [0-9]' <<<"$(apt-cache policy "$1")"; }

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# unpack FOLDER PACKAGE...: the packages' files below FOLDER; nothing is installed or started.
unpack() {
    local folder=$1 deb
    shift
    rm -rf "$folder.debs"
    mkdir -p "$folder" "$folder.debs"
    available "$1" || again apt_get update
    fetch() { (cd "$folder.debs" && apt_get download "$@" >/dev/null); }
    # Lists that are older than the mirror name packages that are no longer there.
    fetch "$@" 2>/dev/null || { again apt_get update; again fetch "$@"; }
    for deb in "$folder.debs/"*.deb; do dpkg-deb -x "$deb" "$folder"; done
    rm -rf "$folder.debs"
}
