# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn_kubernetes.pyz install``: lays the archive, its commands and its units on a host that Ansible does not reach."""

from __future__ import annotations

import argparse
import pkgutil
import sys

from .. import names
from ..converge import converge_state
from ..desired.commands import command_files
from ..hostnet.errors import HostError
from ..hostnet.state import File, HostState

UNITS = ("ovn-k8s-host.service", "ovn-k8s-egress.service", "ovn-k8s-node.service")
UNITS_DIRECTORY = "/etc/systemd/system"
EXAMPLES = """examples:
  scp ovn_kubernetes.pyz kube-minion1:
  ssh kube-minion1 ./ovn_kubernetes.pyz install
  ssh kube-minion1 systemctl enable --now ovn-k8s-host     the host's part comes back after a boot
  ssh kube-master systemctl enable --now ovn-k8s-egress    on a master: default routes through gateways that are alive

It needs python3-openvswitch and python3-pyroute2 on the host, with the userspace datapath python3-nftables,
and for ovn-k8s-egress python3-icmplib and python3-systemd.
"""


def files(archive, units):
    """What is laid.

    :param archive: the archive's own bytes, None: everything goes.
    :param units: name -> text of the units.
    """
    present = archive is not None
    own = File(names.ARCHIVE, archive.decode("utf-8", "surrogateescape") if present else None, 0o755)
    return (own, *(File(f"{UNITS_DIRECTORY}/{name}", text if present else None) for name, text in units.items()), *command_files(present))


def main(arguments=None):
    """The program: a line for each thing that it did."""
    parser = argparse.ArgumentParser(prog="ovn_kubernetes.pyz install", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     description="Lay this archive, the commands ovn-k8s-* and their units on this host.")
    parser.add_argument("--remove", action="store_true", help="take all of it away")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    options = parser.parse_args(arguments)
    try:
        archive = None
        if not options.remove:
            with open(__loader__.archive, "rb") as itself:
                archive = itself.read()
        units = {name: pkgutil.get_data(__package__.rpartition(".")[0], "units/" + name).decode() for name in UNITS}
        plan = converge_state(HostState(files=files(archive, units)), options.dry_run).plan
        for step in plan:
            print(step.describe())
        if not options.dry_run and any(name in step.describe() for step in plan for name in UNITS):
            print("units changed: run systemctl daemon-reload")
    except (HostError, OSError) as exc:
        sys.stderr.write(f"ovn_kubernetes.pyz install: {exc}\n")
        return 1
    return 0
