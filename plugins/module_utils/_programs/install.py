# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn_kubernetes.pyz install``: lays the archive, its commands and its units on a host that Ansible does not reach."""

from __future__ import annotations

import argparse
import os
import sys
import zipfile

from .._common import names
from .._common.dbus import call
from .._common.errors import HostError
from .._host.commands import command_files
from .._host.converge import converge_state
from .._host.desired import File, HostState
from .result import ENABLED

FILES = "ovn_kubernetes/files/"
PLACES = (("service", "/etc/systemd/system", 0o644), ("", "/opt/cni/bin", 0o755))  # suffix, where to, mode
UNIT = "ovn-k8s-host.service"
EXAMPLES = """examples:
  scp ovn_kubernetes.pyz kube-minion1:
  ssh kube-minion1 ./ovn_kubernetes.pyz install
  ssh kube-master systemctl enable --now ovn-k8s-egress    on a master: default routes through gateways that are alive
  ssh kube-minion1 systemctl enable --now ovn-k8s-node     on a node with a kubelet: its pods' interfaces

ovn-k8s-host, which brings the host's part back after a boot, is enabled by this. The host needs python3-openvswitch, python3-pyroute2 and
python3-jeepney, with the userspace datapath or Kubernetes python3-nftables; for the programs that stay
python3-systemd, for ovn-k8s-egress python3-icmplib, with Kubernetes python3-aiohttp and python3-prometheus-client.
"""


def files(archive, packed):
    """What is laid.

    :param archive: the archive's own bytes, None: everything goes.
    :param packed: name -> text of what it brings along.
    """
    present = archive is not None
    laid = [File(names.ARCHIVE, archive.decode("utf-8", "surrogateescape") if present else None, 0o755)]
    for name, text in sorted(packed.items()):
        directory, mode = next((directory, mode) for suffix, directory, mode in PLACES if name.endswith(suffix))
        laid.append(File(f"{directory}/{name}", text if present else None, mode))
    return (*laid, *command_files(present))


def tell_systemd(gone):
    """Let systemd know the units, and start the one that brings the host's part back, now and at each boot.

    :param gone: units that are no more; empty: they have come.
    :raises HostError: in one sentence.
    """
    service = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
    try:
        if gone:
            call(*service, "DisableUnitFiles", "asb", (gone, False))
        call(*service, "Reload")
        if not gone:
            call(*service, "EnableUnitFiles", "asbb", ([UNIT], False, True))
            call(*service, "Reload")
            call(*service, "StartUnit", "ss", (UNIT, "replace"))
    except HostError as exc:
        raise HostError(
            f"all files are in their places, but {exc}; or do it yourself: systemctl daemon-reload && systemctl enable --now {UNIT}"
        ) from None


def main(arguments=None):
    """The program: a line for each thing that it did."""
    parser = argparse.ArgumentParser(
        prog="ovn_kubernetes.pyz install",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Lay this archive, its commands, its units and the CNI plugin on this host.",
    )
    parser.add_argument("--remove", action="store_true", help="take all of it away")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    options = parser.parse_args(arguments)
    try:
        with open(__loader__.archive, "rb") as itself:
            archive = itself.read()
        with zipfile.ZipFile(__loader__.archive) as inside:
            packed = {
                name[len(FILES) :]: inside.read(name).decode()
                for name in inside.namelist()
                if name.startswith(FILES) and not name.endswith(".py")
            }
        plan = converge_state(HostState(files=files(None if options.remove else archive, packed)), options.dry_run).plan
        for step in plan:
            sys.stdout.write(step.describe() + "\n")
        if not options.dry_run and (
            any(".service" in step.describe() for step in plan) or os.path.exists(ENABLED) == options.remove
        ):
            tell_systemd([name for name in packed if name.endswith(".service")] if options.remove else [])
            sys.stdout.write("units: disabled\n" if options.remove else f"unit {UNIT}: enabled\n")
    except (HostError, OSError) as exc:
        sys.stderr.write(f"ovn_kubernetes.pyz install: {exc}\n")
        return 1
    return 0
