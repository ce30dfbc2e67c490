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

# One at a time: lab, images and tools are made beside each other, and apt does not wait for the lock of its lists. What
# others hold, apt waits for.
apt_get() { DEBIAN_FRONTEND=noninteractive flock -w 1800 /var/lib/dpkg timeout 900 apt-get -qq -o DPkg::Lock::Timeout=600 -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 "$@"; }

# Whether apt's lists know a version of the package (a virtual package has none).
available() { grep -q 'Candidate: [0-9]' <<<"$(apt-cache policy "$1")"; }

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# install_packages PACKAGE...: on this machine, those that it does not have.
install_packages() {
    local package missing=()
    command -v dpkg-query >/dev/null || die 'this needs Debian: its packages are installed with apt-get'
    for package in "$@"; do installed "$package" || missing+=("$package"); done
    if [ ${#missing[@]} -eq 0 ]; then return 0; fi
    say "Debian packages: installing ${missing[*]}"
    [ "$(id -u)" = 0 ] || die "these Debian packages are missing, and only root can install them: ${missing[*]}"
    again apt_get update
    again apt_get install -y --no-install-recommends "${missing[@]}" >/dev/null
}

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
