# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
#
# Part of `lab`: hosts that a machine has left behind which was cut off. podman's storage outlives its locks in /dev/shm, and
# network namespaces and what podman keeps in /run; then it can't start or remove its containers any more ("deadlock due to
# lock mismatch", "no such file"), or waits for ever. Only the lab's own hosts are removed.

heal_limit=60  # seconds for one call of podman

# soon ARGUMENT...: podman within the limit.
soon() { podman_limit=$heal_limit podman "$@"; }

# healing FUNCTION...: calls it, and once more after `heal` when it fails.
healing() { "$@" || { heal && "$@"; }; }

heal() {
    local host pid hosts=()
    say "podman can't work with the hosts that it has, as after a power cut: removing what is left of the lab"
    mapfile -t hosts < <(soon ps --all --filter "label=$label" --format '{{.Names}}' 2>/dev/null)
    # Hosts that run on without their locks.
    for pid in $(pgrep --full 'conmon .*ovn-kubernetes-lab'; pgrep --exact systemd; pgrep --exact init); do
        host=$(nsenter --target "$pid" --uts hostname 2>/dev/null) || continue
        case $host in
        ovn-master | ovn-outside | ovn-node[1-9]*) [ "$pid" = 1 ] || kill -KILL "$pid" 2>/dev/null || : ;;
        esac
    done
    remove_links
    remove_dead_namespaces
    soon system renumber >/dev/null 2>&1 || say 'podman system renumber failed; going on without'
    if [ ${#hosts[@]} -gt 0 ]; then
        for host in "${hosts[@]}"; do
            soon rm --force --volumes --time 0 "$host" >/dev/null 2>&1 || soon rm --force --time 0 "$host" >/dev/null 2>&1 || :
        done
    fi
    if ! hosts=$(soon ps --all --filter "label=$label" --format '{{.Names}}') || [ -n "$hosts" ]; then
        die "podman can't remove ${hosts:-its containers}: 'podman system reset' removes all its containers and images"
    fi
    say 'what was left of the lab is removed'
}

# This machine's ends of the hosts' NICs; the bridges stay.
remove_links() {
    local link
    for link in /sys/class/net/olab-*; do
        link=${link##*/}
        case $link in olab-under | olab-ext | 'olab-*') ;; *) ip link delete "$link" 2>/dev/null || : ;; esac
    done
}

# Files of network namespaces that nothing is mounted on, where podman looks for them.
remove_dead_namespaces() {
    local call=()
    if [ -e "$runtime/mounts/namespace" ]; then call=(nsenter --mount="$runtime/mounts/namespace"); fi
    # shellcheck disable=SC2016 # expands in the inner shell
    "${call[@]}" sh -c 'for file in /run/netns/netns-*; do
        if [ -e "$file" ] && [ "$(stat --file-system --format %T "$file")" != nsfs ]; then rm -f "$file"; fi
    done'
}
