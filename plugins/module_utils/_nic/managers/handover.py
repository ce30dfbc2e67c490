# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell a network manager that its files have changed, in its own way, and wait until it has done what they say."""

from __future__ import annotations

import os
import time

from ..._common.dbus import call
from ..._common.errors import HostError
from ..._common.files import FileContent, read_file, write_file
from ..._common.systemd import run
from ..._netlink.addresses import read_addresses, remove_address
from ..._netlink.constants import RtScope
from ..._netlink.records import KernelRoute, Nexthop
from ..._netlink.routes import add_route, remove_route
from ..._netlink.socket import RouteSocket
from . import network_manager
from .detect import IFSTATE, IFUP, networkd_link
from .dhclient import start_again, stop, take_over
from .model import IFUPDOWN, NETWORK_MANAGER, NETWORKD

PATIENCE = 15.0  # seconds
SYSTEMD = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
NETWORK1 = ("org.freedesktop.network1", "/org/freedesktop/network1", "org.freedesktop.network1.Manager")
LAST = 0xFFFFFFFF  # the metric of a route that is taken after all others


def hand_over(step):
    """Tell the manager, and wait until it has done it.

    :param step: a :class:`._nic.steps.HandoverStep`.
    :raises HostError: when it can't be told, or says that it failed.
    """
    {NETWORKD: _networkd, NETWORK_MANAGER: network_manager.hand_over, IFUPDOWN: _ifupdown}[step.manager](step)


def _networkd(step):
    call(*NETWORK1, "Reload")
    link = step.bridge if step.to_bridge else step.nic
    if not os.path.exists("/sys/class/net/" + link):
        return
    _wait(
        lambda: networkd_link(link).get("ADMIN_STATE") not in ("pending", "initialized"),
        "systemd-networkd does not take %s: look at networkctl" % link,
    )
    with RouteSocket() as kernel:
        hints = [_hint(address) for address in read_addresses(kernel, {link}) if address.configured]
        try:
            for hint in hints:
                add_route(kernel, hint)
            _wait(
                lambda: networkd_link(link).get("ADMIN_STATE") != "configuring",
                "systemd-networkd has not configured %s in %d seconds: look at networkctl status %s"
                % (link, PATIENCE, link),
            )
        finally:
            for hint in hints:
                remove_route(kernel, hint)
    if networkd_link(link).get("ADMIN_STATE") == "failed":
        raise HostError("systemd-networkd could not configure %s: look at networkctl status %s" % (link, link))


def _hint(address):
    """A route that nobody uses, to the address' network: networkd has not seen those that came before it took the link, and waits for a way to its gateways."""
    return KernelRoute(
        address.network,
        (Nexthop(address.link),),
        metric=LAST,
        scope=RtScope.LINK if address.version == 4 else RtScope.UNIVERSE,
    )


def _ifupdown(step):
    call(*SYSTEMD, "Reload")
    taken = take_over(*((step.nic, step.bridge) if step.to_bridge else (step.bridge, step.nic)))
    if taken and step.to_bridge:
        _sweep(step.nic, step.bridge)
    state = read_file(IFSTATE)
    if state is not None:  # what ifup would write, had it set the bridge up
        lines = [line for line in state.content.splitlines() if line.partition("=")[0] != step.bridge]
        lines += ["%s=%s" % (step.bridge, step.bridge)] if step.to_bridge else []
        write_file(IFSTATE, FileContent("".join(line + "\n" for line in lines), state.mode))
    if step.to_bridge and not _has_addresses(step.bridge):
        _ifup(step.bridge)
    elif step.to_bridge and not taken:  # the way back is taken back: the bridge may have been made anew meanwhile
        start_again(step.bridge)


def _sweep(nic, bridge):
    """Take away what the client gave the NIC since its addresses left: one that renews its lease sets the address (dhclient-script(8)).

    Only what the bridge has too: after a boot in the middle of a change the NIC may have addresses that are nowhere else.
    """
    with RouteSocket() as kernel:
        there = {address.cidr for address in read_addresses(kernel, {bridge})}
        for address in read_addresses(kernel, {nic}):
            if address.configured and address.cidr in there:
                remove_address(kernel, address)


def _ifup(bridge):
    """Let ifupdown do anew what it did for a bridge that has been lost meanwhile, and a client with it."""
    stop(bridge)
    unit = "ovn-k8s-ifup-%s.service" % bridge
    run(unit, "ifup of " + bridge, [os.path.realpath(IFUP), "--force", bridge], PATIENCE)
    if not _has_addresses(bridge):
        raise HostError("ifup gave %s no addresses: look at its log (journalctl -u %s)" % (bridge, unit))


def _has_addresses(link):
    with RouteSocket() as kernel:
        return any(address.configured for address in read_addresses(kernel, {link}))


def _wait(question, sentence):
    until = time.monotonic() + PATIENCE
    while not question():
        if time.monotonic() > until:
            raise HostError(sentence)
        time.sleep(0.05)
