# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ifupdown (ifup(8), interfaces(5)).

It is no daemon: at boot networking.service runs ifup for the NICs that the files name. Which NICs are up is in
/run/network/ifstate. Its DHCP client is dhclient. How its files are edited is in :mod:`.interfaces_file`.
"""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING

from ..._common.dbus import call
from ..._common.errors import HostError
from ..._common.failures import Failures
from ..._common.files import FileContent, read_file, write_file
from ..._common.systemd import run_unit
from ..._host.desired import File
from ..._netlink.addresses import read_addresses, remove_address
from ..._netlink.constants import INFINITY
from ..._netlink.socket import RouteSocket
from ..lasting import addresses_in, is_configuration
from . import dhclient, interfaces_file
from .base import Manager, ManagerFiles, NicConfiguration, NicLink, link_exists

if TYPE_CHECKING:
    from typing import ClassVar

    from ..steps import Handover, HandoverStep

IFUP = "/sbin/ifup"
INTERFACES = "/etc/network/interfaces"
IFSTATE = "/run/network/ifstate"
# The unit that runs ifup at boot is enabled, and not masked.
ENABLED, UNIT_FILE = "/etc/systemd/system/*.wants/networking.service", "/etc/systemd/system/networking.service"
SYSTEMD = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
IFUP_TIMEOUT = 15.0  # seconds
# Open vSwitch has to have made the bridge before ifup gives it addresses.
ORDER = File(
    "/etc/systemd/system/networking.service.d/ovn-kubernetes.conf",
    """\
# Part of the Ansible collection ovn.kubernetes: a NIC is in a bridge of Open vSwitch, and the bridge has its addresses.
[Unit]
Wants=ovs-vswitchd.service
After=ovs-vswitchd.service
""",
)


class Ifupdown(Manager):
    """ifupdown. It knows no order between files, so the NIC's own files are edited, and their previous text is kept."""

    name: ClassVar[str] = "ifupdown"
    dhcp_programs: ClassVar[frozenset[str] | None] = frozenset({"dhclient"})

    def detect(self, link: NicLink) -> NicConfiguration | None:
        files = _read_files(INTERFACES, set()) if os.path.exists(IFUP) else ()
        lines = [line.split() for file in files for line in (file.content or "").splitlines()]
        is_up = any(line.partition("=")[0] == link.name for line in _ifstate_lines())
        if not is_up and not any(words[:2] == ["iface", link.name] for words in lines):
            return None
        if not is_up and not (_at_boot(link.name, lines) and _runs_at_boot()):
            return None
        if not is_up:
            raise HostError(
                f"{link.name} has a stanza in the files of ifupdown that has not been used: run ifup {link.name}, or "
                "take the stanza out"
            )
        return NicConfiguration(link.name, manager=self.name, files=files) if files else None

    def files(self, nic: NicConfiguration, bridge: str) -> ManagerFiles:
        desired, previous = interfaces_file.move_stanzas(nic, bridge)
        return ManagerFiles((*desired, ORDER), (*previous, File(ORDER.path, None)), configures_bridge=True)

    def files_alone(self, nic: NicConfiguration, bridge: str) -> ManagerFiles:
        return ManagerFiles(*interfaces_file.move_stanzas(nic, bridge, alone=True))

    def notify(self, step: HandoverStep) -> None:
        source, target = (step.nic, step.bridge) if step.to_bridge else (step.bridge, step.nic)
        failures, client_moved = Failures(), False
        with failures.collected():
            client_moved = dhclient.move_client(source, target)
            if client_moved and step.to_bridge:
                _remove_renewed_addresses(step.nic, step.bridge)
        with failures.collected(IFSTATE):
            _write_ifstate(step.bridge, step.to_bridge)
        with failures.collected():
            if step.to_bridge and not _has_own_addresses(step.bridge):
                _ifup(step.bridge)
            elif step.to_bridge and not client_moved:
                # A return to the NIC is rolled back: the bridge may have been made anew, as a link that the client does
                # not know.
                dhclient.restart_client(step.bridge)
        with failures.collected():  # systemd has read the files that a boot reads
            call(*SYSTEMD, "Reload")
        failures.raise_any()

    def notify_alone(self, step: HandoverStep) -> None:
        if step.to_bridge:
            dhclient.suspend_clients(step.nic)
            _remove_addresses(step.nic)
        elif link_exists(step.nic) and _has_own_addresses(step.nic):  # the taking is rolled back
            dhclient.resume_clients(step.nic)
        elif link_exists(step.nic):
            dhclient.forget_clients(step.nic)
            _run_ifup(step.nic)

    def must_restore(self, handover: Handover, had_addresses: bool) -> bool:
        return had_addresses and not _has_own_addresses(handover.bridge)


def _read_files(path: str, seen: set[str]) -> tuple[File, ...]:
    """Return a file and those that it includes, in the order in which ifup reads them."""
    file = read_file(path)
    if file is None or path in seen:
        return ()
    seen.add(path)
    files = [File(path, file.content, file.mode)]
    for line in file.content.splitlines():
        keyword, *words = line.split() or [""]
        if keyword not in ("source", "source-directory"):
            continue
        for word in words:
            pattern = os.path.join(os.path.dirname(path), word, *(["*"] if keyword == "source-directory" else []))
            for included in sorted(glob.glob(pattern)):
                files += _read_files(included, seen) if os.path.isfile(included) else ()
    return tuple(files)


def _has_own_addresses(bridge: str) -> bool:
    """Return whether the bridge has addresses that may be ifupdown's: none that a program put there beside them."""
    texts = [file.content or "" for file in _read_files(INTERFACES, set())]
    named = {address for text in texts for address in addresses_in(text)}
    with RouteSocket() as kernel:
        present = [address for address in read_addresses(kernel, {bridge}) if address.configured]
    return any(
        address.ip in named or address.valid != INFINITY or is_configuration(address, (), ()) for address in present
    )


def _ifstate_lines() -> list[str]:
    state = read_file(IFSTATE)
    return state.content.splitlines() if state else []


def _at_boot(nic: str, lines: list[list[str]]) -> bool:
    """Return whether the files say that the NIC is set up at boot, or when it is plugged in."""
    return any(words and (words[0] == "auto" or words[0].startswith("allow-")) and nic in words[1:] for words in lines)


def _runs_at_boot() -> bool:
    return bool(glob.glob(ENABLED)) and os.path.realpath(UNIT_FILE) != os.devnull


def _write_ifstate(bridge: str, is_up: bool) -> None:
    """Record that the bridge is up, or is not, as ifup and ifdown would have done."""
    state = read_file(IFSTATE)
    if state is None:
        return
    lines = [line for line in state.content.splitlines() if line.partition("=")[0] != bridge]
    lines += [f"{bridge}={bridge}"] if is_up else []
    write_file(IFSTATE, FileContent("".join(f"{line}\n" for line in lines), state.mode))


def _remove_renewed_addresses(nic: str, bridge: str) -> None:
    """Remove the addresses that the DHCP client gave the NIC again after they had moved: it does so with each renewal
    (dhclient-script(8)).

    Only addresses that the bridge has too: after a boot in the middle of a change the NIC may have addresses that are
    nowhere else.
    """
    with RouteSocket() as kernel:
        on_bridge = {address.cidr for address in read_addresses(kernel, {bridge})}
        for address in read_addresses(kernel, {nic}):
            if address.configured and address.cidr in on_bridge:
                remove_address(kernel, address)


def _remove_addresses(nic: str) -> None:
    """Remove what the DHCP client gave the NIC again after it had lost its addresses."""
    with RouteSocket() as kernel:
        for address in read_addresses(kernel, {nic}):
            if address.configured:
                remove_address(kernel, address)


def _run_ifup(link: str) -> str:
    """Run ifup for a link; a DHCP client that gets no lease at once goes on asking. Return the name of its unit."""
    unit = f"ovn-k8s-ifup-{link}.service"
    run_unit(unit, f"ifup of {link}", [os.path.realpath(IFUP), "--force", link], IFUP_TIMEOUT)
    return unit


def _ifup(bridge: str) -> None:
    """Run ifup for a bridge that has lost what ifup did before, and with it a DHCP client.

    :raises HostError: the bridge has no addresses afterwards.
    """
    dhclient.stop_clients(bridge)
    unit = _run_ifup(bridge)
    if not _has_own_addresses(bridge):
        raise HostError(f"ifup gave {bridge} no addresses: look at its log (journalctl -u {unit})")
