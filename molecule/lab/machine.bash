# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
#
# Part of `lab`: what the lab needs of this machine. Everything here is idempotent and looks before it does.

packages=(ca-certificates conmon crun debian-archive-keyring ethtool iproute2 kmod mmdebstrap netavark nftables openssh-client
    podman procps python3 util-linux)
hook=/usr/share/containers/oci/hooks.d/ovn-kubernetes-lab.json
table=ovn_kubernetes_lab

# Runs a function while no other lab command changes things. Programs that stay in the background must not inherit the lock.
locked() {
    mkdir -p "$runtime"
    exec 9>"$runtime/lock"
    flock --timeout 1800 9 || die "another lab command has held $runtime/lock for half an hour"
    "$@"
    exec 9>&-
}

# podman where its containers live: on an ordinary machine, here; else in a mount namespace with a plain cgroup v2.
podman() {
    local call=()
    if [ -e "$runtime/mounts/namespace" ]; then call=(nsenter --mount="$runtime/mounts/namespace" --wdns="$PWD"); fi
    if [ -e "$runtime/containers.conf" ]; then call+=(env "CONTAINERS_CONF=$runtime/containers.conf"); fi
    if [ -n "${podman_limit:-}" ]; then call=(timeout --kill-after=5 "$podman_limit" "${call[@]}"); fi
    "${call[@]}" "$(type -P podman)" "$@" 8>&- 9>&-
}

plain_cgroups() { [ "$(stat --file-system --format %T /sys/fs/cgroup)" = cgroup2fs ]; }
may_raise_limits() { (($(sed -n 's/^CapEff:\s*/0x/p' /proc/self/status) >> 24 & 1)); }
# Whether podman calls can work at all by now; the namespace's file may have outlived the namespace.
enterable() { plain_cgroups || nsenter --mount="$runtime/mounts/namespace" true 2>/dev/null; }
# Whether podman has anything of ours, reachable or not.
has_hosts() { grep -qs ovn-kubernetes-lab /var/lib/containers/storage/overlay-containers/containers.json; }

# The container runtime refuses a machine with cgroups v1 beside v2. A mount namespace of the lab's own, where only v2 is
# mounted, is enough for it. All podman calls must share it, since the containers' mounts are only seen there.
mount_namespace() {
    local mounts=$runtime/mounts
    if plain_cgroups; then return 0; fi
    if [ -e "$mounts/namespace" ] && nsenter --mount="$mounts/namespace" true 2>/dev/null; then return 0; fi
    say "this machine has cgroups v1 beside v2: podman gets a mount namespace with v2 alone, $mounts/namespace"
    mkdir -p "$mounts"
    mountpoint -q "$mounts" || mount --bind "$mounts" "$mounts"
    mount --make-private "$mounts"
    : >"$mounts/namespace"
    # shellcheck disable=SC2016 # expands in the inner shell
    unshare --mount="$mounts/namespace" --propagation private \
        sh -c 'umount --recursive /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup' 9>&-
}

# Where limits can't be raised, containers must not ask for more than there is.
container_limits() {
    local files processes memory
    if plain_cgroups && may_raise_limits; then rm -f "$runtime/containers.conf"; return 0; fi
    files=$(hard_limit -n)
    processes=$(hard_limit -u)
    memory=$(hard_limit -l)
    # podman 4.3 lowers its own limit of processes to that of files.
    if [ "$files" -lt "$processes" ]; then processes=$files; fi
    cat >"$runtime/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=$files:$files", "nproc=$processes:$processes", "memlock=$((memory * 1024)):$((memory * 1024))"]
pids_limit = 0
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
}

hard_limit() { local value; value=$(ulimit -H "$1"); if [ "$value" = unlimited ]; then echo 1048576; else echo "$value"; fi; }

# The hook is the machine's, since podman must find it at each start of a host, whoever starts it.
install_hook() {
    install -D -m 0755 "$here/plug" "$runtime/plug"
    mkdir -p "${hook%/*}"
    cat >"$hook" <<JSON
{
  "version": "1.0.0",
  "hook": {"path": "$runtime/plug", "timeout": 20},
  "when": {"annotations": {"^ovn-kubernetes\\\\.lab\\\\.nics$": "."}},
  "stages": ["createRuntime"]
}
JSON
}

setup() {
    install_packages "${packages[@]}"
    mount_namespace
    container_limits
    install_hook
    # A systemd takes several inotify instances; the usual limit holds for about 20 hosts.
    if [ "$(sysctl -n fs.inotify.max_user_instances)" -lt 1024 ]; then sysctl -q -w fs.inotify.max_user_instances=1024; fi
    # Hosts in containers can't load modules.
    if [ ! -e /sys/module/openvswitch ] && ! modprobe -q openvswitch 2>/dev/null; then
        say 'this kernel has no openvswitch: the hosts will use the userspace datapath'
    else
        modprobe -q geneve 2>/dev/null || :
    fi
    say 'machine: ready'
}

bridge() {
    [ -e "/sys/class/net/$1" ] || ip link add "$1" type bridge stp_state 0 forward_delay 0 mcast_snooping 0
    ip link set "$1" addrgenmode none up
}

# The name server of this machine, where it is in the pods' network of the lab: the hosts would be refused, since they would lose it.
# They ask 10.44.0.1 instead.
hidden_name_server() {
    { cat /etc/resolv.conf /run/systemd/resolve/resolv.conf 2>/dev/null || :; } | awk '$1 == "nameserver" && $2 ~ /^192\.168\./ {print $2; exit}'
}

networks() {
    local names rule=''
    names=$(hidden_name_server)
    if [ -n "$names" ]; then rule="ip saddr 10.44.0.0/24 ip daddr 10.44.0.1 meta l4proto { tcp, udp } th dport 53 dnat ip to $names"; fi
    bridge olab-under
    bridge olab-ext
    ip address replace 10.44.0.1/24 dev olab-under
    ip address replace fd44::1/64 dev olab-under nodad
    sysctl -q -w net.ipv4.ip_forward=1
    nft -f - <<NFT
table inet $table
delete table inet $table
table inet $table {
    chain forward {
        type filter hook forward priority mangle
        tcp flags syn tcp option maxseg size set rt mtu
    }
    chain source {
        type nat hook postrouting priority srcnat
        ip saddr 10.44.0.0/24 ip daddr != 10.44.0.0/24 masquerade
        ip6 saddr fd44::/64 ip6 daddr != fd44::/64 masquerade
    }
    chain names {
        type nat hook prerouting priority dstnat
        $rule
    }
}
NFT
}

remove_networks() {
    local name
    for name in olab-under olab-ext; do
        if [ -e "/sys/class/net/$name" ]; then ip link delete "$name"; fi
    done
    nft list table inet "$table" >/dev/null 2>&1 && nft delete table inet "$table"
    rm -f "$hook"
}

# This machine's end of a host's NIC.
peer_of() { echo "olab-${1#ovn-}-${2#eth}"; }
