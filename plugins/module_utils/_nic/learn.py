# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is to be kept of a NIC that goes into its bridge, and whether it can go there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .._host import facts
from .._netlink.ethtool import offloads_on
from . import boot, inventory, sysctls
from .managers import registry
from .managers.networkd import Networkd
from .moved import MovedNic
from .persistence import persistence

if TYPE_CHECKING:
    from .managers.base import NicConfiguration


def learn(nic: str, bridge: str, datapath: str, notes: list[str]) -> MovedNic:
    """Return what is to be kept of a NIC that goes into its bridge.

    :param notes: gets what users have to know.
    :raises HostError: it can't go there, or would not be there again after a boot.
    """
    inventory.refuse_lost(nic, datapath)
    notes += inventory.notes(nic)
    configuration = registry.detect(nic)
    manager = registry.manager(configuration.manager) if configuration.manager else None
    if manager:
        configuration = manager.query(configuration)
    if configuration.manager != Networkd.name:
        inventory.refuse_labelled_prefixes(nic)
    lasting = persistence(configuration, bridge)
    if manager:
        manager.refuse(configuration, datapath)
    saved = boot.save(nic, bridge, configuration.addresses) if lasting.restores else boot.Saved()
    notes += _left_out(saved, bridge)
    return MovedNic(
        promiscuous=facts.is_promiscuous(nic),
        offloads=(offloads_on(nic) or ()) if datapath == "netdev" else (),
        files=lasting.files,
        previous_files=lasting.previous,
        handovers=lasting.handovers,
        sysctls=sysctls.own_settings(nic, _by_manager(configuration)),
        saved_steps=saved.steps if lasting.restores else None,
        had_addresses=bool(facts.configured_addresses(nic)),
        options=inventory.options(nic),
        saved_neighbours=saved.neighbours,
        left_out=saved.left_out,
        labels=inventory.long_labels(nic, bridge),
    )


def without_programs(moved: MovedNic, notes: list[str], bridge: str) -> MovedNic:
    """Return what is kept of a NIC without addresses of programs, which an earlier version has kept."""
    if moved.left_out is not None or moved.saved_steps is None:
        return moved
    saved = boot.only_configuration(moved.saved_steps)
    if not saved.left_out and saved.steps == moved.saved_steps:
        return moved
    notes += _left_out(saved, bridge)
    return replace(moved, saved_steps=saved.steps, left_out=saved.left_out)


def _left_out(saved: boot.Saved, bridge: str) -> list[str]:
    """Return a sentence for each address that is not given to the bridge at a boot."""
    return [
        f"{address} belongs to a program of this host: it moves now, and {bridge} does not get it again at a boot"
        for address in saved.left_out
    ]


def _by_manager(nic: NicConfiguration) -> tuple[str, ...]:
    """Return the kernel settings that the NIC's network manager sets for the bridge itself."""
    if nic.manager is None or not registry.manager(nic.manager).handles_advertisements:
        return ()
    return (sysctls.ADVERTISEMENTS, sysctls.LINK_LOCAL) if nic.advertised else (sysctls.LINK_LOCAL,)
