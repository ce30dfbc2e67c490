# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
#
# Part of `lab`: the hosts' images. A small Debian as an installer leaves it, with ssh and tools to look with, without OVS, OVN
# and their Python libraries: installing these is the roles' work. So that it is quick, and needs no mirror, the packages lie
# where apt keeps what it has downloaded, beside the package lists that name them; the lists name no others, since reading
# all of Debian's takes apt a second at each task.

image_packages=(systemd systemd-sysv dbus openssh-server python3 python3-apt
    ca-certificates conntrack curl ethtool iperf3 iproute2 iputils-ping kmod less nftables openssl procps psmisc tcpdump)
offered_packages=(openvswitch-switch ovn-central ovn-host openvswitch-pki python3-openvswitch python3-pyroute2 python3-nftables
    python3-aiohttp python3-cryptography python3-prometheus-client python3-icmplib python3-systemd containernetworking-plugins containerd)
# Network managers and a DHCP server, for the tests that need one; without what they recommend.
offered_managers=(ifupdown isc-dhcp-client network-manager systemd-resolved netplan.io dnsmasq-base python3-jeepney)
masked_units=(systemd-udevd.service systemd-udev-trigger.service systemd-logind.service systemd-resolved.service
    systemd-networkd.service getty.target console-getty.service
    apt-daily.timer apt-daily.service apt-daily-upgrade.timer apt-daily-upgrade.service)

# The mirrors of this machine, for another Debian release.
sources_for() {
    local suite=$1 main security
    main=$(mirror_labelled Debian)
    if [ -z "$main" ]; then
        again apt_get update >&2
        main=$(mirror_labelled Debian)
    fi
    [ -n "$main" ] || die "apt knows no Debian mirror here: name one in /etc/apt/sources.list.d, and run apt-get update"
    security=$(mirror_labelled Debian-Security)
    printf 'deb %s %s main\n' "$main" "$suite" "$main" "$suite-updates"
    if [ -n "$security" ]; then printf 'deb %s %s main\n' "$security" "$suite-security"; fi
}

# Lists may be missing (they are in many images), and then nobody knows which mirror is what.
mirror_labelled() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' "Label: $1" 'Component: main' 2>/dev/null | head -n 1; }

# How this machine's apt gets at mirrors: proxies, and checks that had to be turned off.
apt_settings() { apt-config dump | grep -E '^Acquire::(http|https|Check|Retries)' || :; }

image() {
    local suite recipe
    for suite in "$@"; do
        case $suite in trixie | bookworm) ;; *) die "there is no image of '$suite': there are trixie and bookworm" ;; esac
        exec 8>"$runtime/image-$suite"
        flock --timeout 1800 8 || die "another lab command has held $runtime/image-$suite for half an hour"
        recipe=$({ cat "$here"/{image.bash,trim-lists,lab_bytecode.py}; sources_for "$suite"; apt_settings; certificates; hosts_file; } | sha256sum | cut -c1-16)
        if [ "$(podman image inspect --format "{{index .Labels \"$label\"}}" "$repository:$suite" 2>/dev/null)" = "$recipe" ]; then
            say "image $suite: up to date"
        else
            build_image "$suite" "$recipe"
        fi
        exec 8>&-
    done
}

# Certificate authorities that were added to this machine, if mirrors or proxies need them.
certificates() { find /usr/local/share/ca-certificates -name '*.crt' -type f 2>/dev/null | sort | xargs -r -d '\n' cat; }

# All hosts know all names.
hosts_file() {
    local host
    printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n'
    for host in ovn-master ovn-outside ovn-node{1..60}; do echo "10.44.0.$(number_of "$host") $host"; done
}

build_image() {
    local suite=$1 recipe=$2 tar=$cache/$1.tar began=$SECONDS setting options=()
    say "image $suite: building (a minute or two)"
    mkdir -p "$cache"
    while read -r setting; do options+=("--aptopt=$setting"); done < <(apt_settings)
    if [ -n "$(certificates)" ]; then
        certificates >"$cache/$suite.crt"
        options+=("--customize-hook=install -D -m 0644 '$cache/$suite.crt' \"\$1/usr/local/share/ca-certificates/machine.crt\""
            '--customize-hook=chroot "$1" update-ca-certificates')
    fi
    # shellcheck disable=SC2016 # $1 is the hook's
    options+=('--customize-hook=rm -f "$1"/etc/ssh/ssh_host_* && : >"$1/etc/machine-id"'
        "--customize-hook=install -m 0644 '$cache/hosts.$suite' \"\$1/etc/hosts\""
        '--customize-hook=chroot "$1" systemctl enable ssh.service'
        "--customize-hook=chroot \"\$1\" systemctl mask ${masked_units[*]}"
        '--customize-hook=APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get clean'
        "--customize-hook=APT_CONFIG=\$MMDEBSTRAP_APT_CONFIG apt-get install --yes --download-only -o APT::Install-Recommends=true ${offered_packages[*]}"
        "--customize-hook=APT_CONFIG=\$MMDEBSTRAP_APT_CONFIG apt-get install --yes --download-only --no-install-recommends ${offered_managers[*]}"
        "--customize-hook=$here/trim-lists \"\$1\""
        '--customize-hook=chroot "$1" apt-cache gencaches'
        "--customize-hook=install -m 0644 '$here/lab_bytecode.py' \"\$1/usr/lib/python3/dist-packages/\""
        '--customize-hook=echo "import lab_bytecode" >"$1/usr/lib/python3/dist-packages/lab_bytecode.pth"')
    sources_for "$suite" >"$cache/$suite.list"
    hosts_file >"$cache/hosts.$suite"
    again timeout 1200 mmdebstrap --variant=minbase --include="$(IFS=,; echo "${image_packages[*]}")" \
        --skip=cleanup/apt --aptopt='Acquire::Languages "none"' --aptopt='APT::Keep-Downloaded-Packages "true"' \
        --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        "${options[@]}" "$suite" "$tar" "$cache/$suite.list" >"$cache/$suite.log" 2>&1 8>&- 9>&- ||
        { tail -n 20 "$cache/$suite.log" >&2; die "image $suite: could not be built, all of the log is in $cache/$suite.log"; }
    podman import --quiet --change 'CMD ["/sbin/init"]' --change "LABEL $label=$recipe" "$tar" "$repository:$suite" >/dev/null
    podman image prune --force --filter "label=$label" >/dev/null
    rm -f "$tar"
    say "image $suite: built in $((SECONDS - began)) s, $(podman image inspect --format '{{.Size}}' "$repository:$suite" | numfmt --to=iec)"
}

# rootfs SUITE PACKAGE,PACKAGE... TAR: a small Debian for a container that runs no systemd.
rootfs() {
    local setting options=()
    while read -r setting; do options+=("--aptopt=$setting"); done < <(apt_settings)
    mkdir -p "$cache"
    sources_for "$1" >"$cache/rootfs.list"
    again timeout 1200 mmdebstrap --variant=minbase --include="$2" --aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        "${options[@]}" "$1" "$3" "$cache/rootfs.list" >"$cache/rootfs.log" 2>&1 ||
        { tail -n 20 "$cache/rootfs.log" >&2; die "the file system of $1 could not be made, all of the log is in $cache/rootfs.log"; }
}
