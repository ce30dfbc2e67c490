# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell a network manager that its files have changed, in its own way, and wait until it has done what they say."""

from __future__ import annotations

import os
import time

from .bus import call, read_property, write_property
from .dhclient import take_over
from .errors import HostError
from .files import read_file, write_file
from .found import LINK_SCOPE, UNIVERSE, FoundFile, FoundRoute, Nexthop
from .managed import IFUPDOWN, NETWORK_MANAGER, NETWORKD
from .managers import IFSTATE, networkd_link
from .rtnetlink import Rtnl

PATIENCE = 15.0  # seconds
SYSTEMD = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
NETWORK1 = ("org.freedesktop.network1", "/org/freedesktop/network1", "org.freedesktop.network1.Manager")
NM = "org.freedesktop.NetworkManager"
NM_PATH = "/org/freedesktop/NetworkManager"
ACTIVATED = 100  # NMDeviceState
LAST = 0xFFFFFFFF  # the metric of a route that is taken after all others


def hand_over(step):
    """Tell the manager, and wait until it has done it.

    :param step: a :class:`.steps.HandoverStep`.
    :raises HostError: when it can't be told, or says that it failed.
    """
    {NETWORKD: _networkd, NETWORK_MANAGER: _network_manager, IFUPDOWN: _ifupdown}[step.manager](step)


def _networkd(step):
    call(*NETWORK1, "Reload")
    link = step.bridge if step.to_bridge else step.nic
    if not os.path.exists("/sys/class/net/" + link):
        return
    _wait(lambda: networkd_link(link).get("ADMIN_STATE") not in ("pending", "initialized"), "systemd-networkd does not take %s: look at networkctl" % link)
    with Rtnl() as rtnl:
        hints = [_hint(address) for address in rtnl.addresses({link}) if address.settled]
        try:
            for hint in hints:
                rtnl.add_route(hint)
            _wait(lambda: networkd_link(link).get("ADMIN_STATE") != "configuring",
                  "systemd-networkd has not configured %s in %d seconds: look at networkctl status %s" % (link, PATIENCE, link))
        finally:
            for hint in hints:
                rtnl.remove_route(hint)
    if networkd_link(link).get("ADMIN_STATE") == "failed":
        raise HostError("systemd-networkd could not configure %s: look at networkctl status %s" % (link, link))


def _hint(address):
    """A route that nobody uses, to the address' network: networkd has not seen those that came before it took the link, and waits for a way to its gateways."""
    return FoundRoute(address.network, (Nexthop(address.link),), metric=LAST, scope=LINK_SCOPE if address.family == 4 else UNIVERSE)


def _network_manager(step):
    call(NM, NM_PATH, NM, "Reload", "u", (0,))
    for link in (step.nic, step.bridge):
        device = _device(link)
        if device and bool(read_property(NM, device, NM + ".Device", "Managed")) != (link == step.nic and not step.to_bridge):
            write_property(NM, device, NM + ".Device", "Managed", "b", link == step.nic and not step.to_bridge)
    if not step.to_bridge:
        device = _device(step.nic)
        _wait(lambda: device is None or read_property(NM, device, NM + ".Device", "State") == ACTIVATED,
              "NetworkManager has not connected %s in %d seconds: look at nmcli device status" % (step.nic, PATIENCE))


def _device(link):
    """NetworkManager's object for a link; None where there is no such link."""
    return call(NM, NM_PATH, NM, "GetDeviceByIpIface", "s", (link,))[0] if os.path.exists("/sys/class/net/" + link) else None


def _ifupdown(step):
    call(*SYSTEMD, "Reload")
    take_over(*((step.nic, step.bridge) if step.to_bridge else (step.bridge, step.nic)))
    state = read_file(IFSTATE)
    if state is not None:  # what ifup would write, had it set the bridge up
        lines = [line for line in state.content.splitlines() if line.partition("=")[0] != step.bridge]
        lines += ["%s=%s" % (step.bridge, step.bridge)] if step.to_bridge else []
        write_file(IFSTATE, FoundFile("".join(line + "\n" for line in lines), state.mode))


def _wait(question, sentence):
    until = time.monotonic() + PATIENCE
    while not question():
        if time.monotonic() > until:
            raise HostError(sentence)
        time.sleep(0.05)
