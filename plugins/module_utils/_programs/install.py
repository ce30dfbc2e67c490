# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn_kubernetes.pyz install``: install the archive, its commands and its units on a host that Ansible does not
reach."""

from __future__ import annotations

import argparse
import os
import sys
import zipfile
from typing import TYPE_CHECKING, NamedTuple

from .._common import names
from .._common.dbus import call
from .._common.errors import HostError, OvnKubernetesError
from .._host.commands import command_files
from .._host.converge import converge_state
from .._host.desired import File, HostState
from .._topology.in_bridges import refuse_while_needed
from . import version
from .result import ENABLED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PACKED = "ovn_kubernetes/files/"


class Place(NamedTuple):
    """Where files with a suffix are installed, and with which mode."""

    suffix: str
    directory: str
    mode: int


PLACES = (Place("service", "/etc/systemd/system", 0o644), Place("", "/opt/cni/bin", 0o755))
SYSTEMD = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
EXAMPLES = """examples:
  scp ovn_kubernetes.pyz kube-minion1:
  ssh kube-minion1 ./ovn_kubernetes.pyz install
  ssh kube-master systemctl enable --now ovn-k8s-egress    on a master: default routes through gateways that are alive
  ssh kube-minion1 systemctl enable --now ovn-k8s-node     on a node with a kubelet: its pods' interfaces

ovn-k8s-host, which brings the host's part back after a boot, is enabled by this. The host needs python3-openvswitch,
python3-pyroute2 and python3-jeepney, with the userspace datapath or Kubernetes python3-nftables; for the programs that
run for ever python3-systemd, for ovn-k8s-egress python3-icmplib, with Kubernetes python3-aiohttp and
python3-prometheus-client.
"""


def files(archive: bytes | None, packed: Mapping[str, str]) -> tuple[File, ...]:
    """Return the files to install, or to remove.

    :param archive: the archive itself; None: all files are removed.
    :param packed: name -> text of the files in the archive.
    """
    present = archive is not None
    content = archive.decode("utf-8", "surrogateescape") if archive is not None else None
    out = [File(names.ARCHIVE, content, 0o755)]
    for name, text in sorted(packed.items()):
        place = next(place for place in PLACES if name.endswith(place.suffix))
        out.append(File(f"{place.directory}/{name}", text if present else None, place.mode))
    return (*out, *command_files(present))


def update_systemd(removed: Sequence[str]) -> None:
    """Make systemd read the units, and start the one that restores the host's part, now and at each boot.

    :param removed: units that were removed, which are disabled; empty: they were installed.
    :raises HostError: systemd refuses.
    """
    try:
        if removed:
            call(*SYSTEMD, "DisableUnitFiles", "asb", (removed, False))
        call(*SYSTEMD, "Reload")
        if not removed:
            call(*SYSTEMD, "EnableUnitFiles", "asbb", ([names.HOST_UNIT], False, True))
            call(*SYSTEMD, "Reload")
            call(*SYSTEMD, "StartUnit", "ss", (names.HOST_UNIT, "replace"))
    except HostError as exc:
        raise HostError(
            f"all files are in their places, but {exc}; or do it yourself: "
            f"systemctl daemon-reload && systemctl enable --now {names.HOST_UNIT}"
        ) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program: print a line for each change. Return its exit status."""
    parser = argparse.ArgumentParser(
        prog="ovn_kubernetes.pyz install",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Install this archive, its commands, its units and the CNI plugin on this host.",
    )
    parser.add_argument("--remove", action="store_true", help="remove all of it, once no NIC is in a bridge")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done")
    version.add_option(parser)
    options = parser.parse_args(arguments)
    try:
        _install(options)
    except (OvnKubernetesError, OSError) as exc:
        sys.stderr.write(f"ovn_kubernetes.pyz install: {exc}\n")
        return 1
    return 0


def _install(options: argparse.Namespace) -> None:
    """Install or remove the files, and update systemd where its units are concerned.

    :raises HostError: a NIC of this host is in a bridge, and nothing could give it back afterwards.
    """
    if options.remove:
        refuse_while_needed()
    path: str = __loader__.archive  # type: ignore[name-defined]  # zipimport.zipimporter.archive
    with open(path, "rb") as stream:
        archive = stream.read()
    with zipfile.ZipFile(path) as content:
        packed = {
            name[len(PACKED) :]: content.read(name).decode()
            for name in content.namelist()
            if name.startswith(PACKED) and not name.endswith(".py")
        }
    desired = HostState(files=files(None if options.remove else archive, packed))
    steps = converge_state(desired, options.dry_run).plan
    for step in steps:
        sys.stdout.write(step.describe() + "\n")
    units_differ = any(".service" in step.describe() for step in steps)
    if not options.dry_run and (units_differ or os.path.exists(ENABLED) == options.remove):
        units = [name for name in packed if name.endswith(".service")]
        update_systemd(units if options.remove else [])
        sys.stdout.write("units: disabled\n" if options.remove else f"unit {names.HOST_UNIT}: enabled\n")
