# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""systemd-networkd, also where netplan writes its files.

It keeps what it knows of a link in /run/systemd/netif, as KEY=value lines. The files that it gets are in
:mod:`.networkd_files`.
"""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..._common.dbus import call
from ..._common.errors import HostError
from ..._common.files import read_file
from ..._common.retry import Pause, wait_until
from ..._host.desired import File
from ..._netlink.addresses import read_addresses
from ..._netlink.constants import RtScope
from ..._netlink.links import link_index
from ..._netlink.records import KernelAddress, KernelRoute, Nexthop
from ..._netlink.routes import add_route, remove_route
from ..._netlink.socket import RouteSocket
from . import netplan, networkd_files
from .base import Lease, Manager, ManagerFiles, NicConfiguration, NicLink, link_exists, read_assignments, removed

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ClassVar

    from ..steps import HandoverStep

STATE_DIRECTORY = "/run/systemd/netif"
NETWORK1 = ("org.freedesktop.network1", "/org/freedesktop/network1", "org.freedesktop.network1.Manager")
TIMEOUT = 15.0  # seconds
PAUSE = Pause(0.05)
LAST_METRIC = 0xFFFFFFFF  # of a route that is used after all others


@dataclass(frozen=True)
class NetworkdNic(NicConfiguration):
    """A NIC that networkd configures. Its files are the .network file, then the drop-ins of that file.

    :ivar awaited: whether a boot waits until this very NIC is online (:mod:`.netplan`).
    """

    awaited: bool = False


class Networkd(Manager):
    """systemd-networkd. The bridge gets new files, which sort before those of the NIC; the NIC's own files stay as they
    are."""

    name: ClassVar[str] = "systemd-networkd"
    handles_advertisements: ClassVar[bool] = True
    dhcp_client: ClassVar[str | None] = "systemd-networkd"

    def is_running(self) -> bool:
        return os.path.exists(f"{STATE_DIRECTORY}/state")

    def detect(self, link: NicLink) -> NetworkdNic | None:
        known = read_assignments(f"{STATE_DIRECTORY}/links/{link.index}")
        if "NETWORK_FILE" not in known:
            return None
        lease = read_assignments(f"{STATE_DIRECTORY}/leases/{link.index}")
        return NetworkdNic(
            nic=link.name,
            manager=self.name,
            files=_files(known),
            lease=Lease(lease["ADDRESS"], lease.get("CLIENTID", "")) if "ADDRESS" in lease else None,
            awaited=netplan.is_awaited(link.name),
        )

    def query(self, nic: NicConfiguration) -> NicConfiguration:
        """Check what networkd has been told of the NIC at run time.

        :raises HostError: something that is in no file, and would be lost.
        """
        try:
            text = call(*NETWORK1, "DescribeLink", "i", (link_index(nic.nic),))[0]
        except (HostError, OSError):  # networkd before version 250 can't say it
            return nic
        found = runtime_settings(text)
        if found:
            raise HostError(
                f"{', '.join(found)} of {nic.nic} was set at run time (resolvectl), is in no file of systemd-networkd, "
                f"and would be lost: write it into the NIC's .network file, and run resolvectl revert {nic.nic}"
            )
        return nic

    def files(self, nic: NicConfiguration, bridge: str) -> ManagerFiles:
        desired = networkd_files.files(nic, bridge)
        if isinstance(nic, NetworkdNic) and nic.awaited:
            desired += (netplan.wait_online_file(nic.nic, bridge),)
        return ManagerFiles(desired, removed(desired), configures_bridge=True)

    def files_alone(self, nic: NicConfiguration, bridge: str) -> ManagerFiles:
        desired = networkd_files.files_alone(nic, bridge)
        if isinstance(nic, NetworkdNic) and nic.awaited:
            desired += (netplan.wait_online_file(nic.nic, bridge),)
        return ManagerFiles(desired, removed(desired))

    def unmanaged_bridge(self, nic: str, bridge: str) -> File | None:
        return networkd_files.unmanaged_bridge(nic, bridge)

    def notify(self, step: HandoverStep) -> None:
        call(*NETWORK1, "Reload")
        link = step.bridge if step.to_bridge else step.nic
        if not link_exists(link):
            return
        self._wait_taken(link)
        self._wait_configured(link)
        if _state(link) == "failed":
            raise HostError(f"systemd-networkd could not configure {link}: look at networkctl status {link}")

    def notify_alone(self, step: HandoverStep) -> None:
        call(*NETWORK1, "Reload")
        if link_exists(step.nic):
            self._wait_taken(step.nic)

    @staticmethod
    def _wait_taken(link: str) -> None:
        """Wait until networkd has begun with the link."""
        _wait(
            lambda: _state(link) not in ("pending", "initialized"),
            f"systemd-networkd does not take {link}: look at networkctl",
        )

    @staticmethod
    def _wait_configured(link: str) -> None:
        """Wait until networkd has configured the link.

        It has not seen routes that were made before it took the link, and waits for routes to its gateways.
        So routes that no packet uses show it the networks of the link's addresses meanwhile.
        """
        with RouteSocket() as kernel:
            hints = [_unused_route(address) for address in read_addresses(kernel, {link}) if address.configured]
            try:
                for hint in hints:
                    add_route(kernel, hint)
                _wait(
                    lambda: _state(link) != "configuring",
                    f"systemd-networkd has not configured {link} in {TIMEOUT:g} s: look at networkctl status {link}",
                )
            finally:
                for hint in hints:
                    remove_route(kernel, hint)


def runtime_settings(description: str) -> list[str]:
    """Return what of a link was set at run time, such as ``DNS``.

    :param description: of the link, JSON of org.freedesktop.network1(5).
    """
    try:
        link = json.loads(description)
    except ValueError:
        return []
    lists = {key: value for key, value in link.items() if isinstance(value, list)} if isinstance(link, dict) else {}
    return sorted(
        key
        for key, entries in lists.items()
        if any(isinstance(entry, dict) and entry.get("ConfigSource") == "runtime" for entry in entries)
    )


def _files(known: dict[str, str]) -> tuple[File, ...]:
    """Return the .network file of the link, and its drop-ins."""
    paths = [known["NETWORK_FILE"], *shlex.split(known.get("NETWORK_FILE_DROPINS", ""))]
    files = [(path, read_file(path)) for path in paths]
    return tuple(File(path, file.content, file.mode) for path, file in files if file)


def _state(link: str) -> str | None:
    """Return networkd's state of the link, such as ``configuring``; None: it does not know the link."""
    try:
        return read_assignments(f"{STATE_DIRECTORY}/links/{link_index(link)}").get("ADMIN_STATE")
    except OSError:
        return None


def _unused_route(address: KernelAddress) -> KernelRoute:
    """Return a route to the address' network, with a metric that makes it the last choice."""
    return KernelRoute(
        address.network,
        (Nexthop(address.link),),
        metric=LAST_METRIC,
        scope=RtScope.LINK if address.version == 4 else RtScope.UNIVERSE,
    )


def _wait(condition: Callable[[], bool], failure: str) -> None:
    if not wait_until(condition, TIMEOUT, PAUSE):
        raise HostError(failure)
