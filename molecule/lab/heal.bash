# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
#
# Part of `lab`: hosts that a machine has left behind which was cut off. podman's storage outlives its locks in /dev/shm; then it
# can't start or remove its containers any more ("deadlock due to lock mismatch"), or waits for ever. Only the lab's own hosts,
# and their links, are removed.

heal_limit=60  # seconds for one call of podman

# soon ARGUMENT...: podman within the limit.
soon() { podman_limit=$heal_limit podman "$@"; }

# Prints the lab's hosts that are older than podman's locks, which live as long as the machine runs.
left_behind() {
    python3 - /var/lib/containers/storage/overlay-containers/containers.json /dev/shm/libpod_lock "$repository" <<'PY'
import datetime
import json
import os
import sys

containers, locks, repository = sys.argv[1:]
try:
    with open(containers, encoding="utf-8") as stream:
        found = json.load(stream)
except FileNotFoundError:
    found = []
since = os.stat(locks).st_mtime if os.path.exists(locks) else float("inf")
for one in found:
    created = datetime.datetime.fromisoformat(one["created"][:19] + "+00:00").timestamp()
    if repository in one.get("metadata", "") and created < since - 1:
        print(one["names"][0])
PY
}

heal() {
    local host pid left hosts=()
    mapfile -t hosts < <(left_behind)
    if [ ${#hosts[@]} -eq 0 ]; then return 0; fi
    say "podman has lost its locks, as after a power cut: removing ${hosts[*]}"
    # Programs of hosts that run on all the same.
    for pid in $(pgrep --exact 'systemd|init'); do
        [ "$(readlink "/proc/$pid/ns/uts")" != "$(readlink /proc/self/ns/uts)" ] || continue
        case $(nsenter --target "$pid" --uts hostname 2>/dev/null) in
        ovn-master | ovn-outside | ovn-node[1-9]*) kill -KILL "$pid" 2>/dev/null || : ;;
        esac
    done
    remove_links
    soon system renumber >/dev/null 2>&1 || say "podman system renumber failed: going on without it"
    for host in "${hosts[@]}"; do
        soon rm --force --volumes --time 0 "$host" >/dev/null 2>&1 || soon rm --force --time 0 "$host" >/dev/null 2>&1 || :
    done
    left=$(left_behind | paste -sd' ')
    [ -z "$left" ] || die "podman can't remove $left: 'podman system reset' removes all its containers and images, also those of others"
    say 'they are removed'
}

# This machine's ends of the hosts' NICs; the bridges stay.
remove_links() {
    local link
    for link in /sys/class/net/olab-*; do
        link=${link##*/}
        case $link in olab-under | olab-ext | 'olab-*') ;; *) ip link delete "$link" 2>/dev/null || : ;; esac
    done
}
