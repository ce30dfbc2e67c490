# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of a host: the steps from its current to its desired state. A pure function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common.files import FileContent
from .plan_moves import plan_moves, plan_saved_nic
from .plan_routes import plan_addresses_and_routes
from .steps.files import FileStep, SysctlStep
from .steps.links import DropStep, LinkStep, OffloadStep, OptionsStep

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._netlink.records import KernelLink, LinkOptions
    from .current import CurrentState
    from .desired import File, HostState, IngressDrop, Link, OptionsOfLink
    from .steps.base import Step


def plan_host(current: CurrentState, desired: HostState) -> list[Step]:
    """Return the steps in the order in which they are to be done, none when the host has the desired state.

    1. What readers of files have to do before all else.
    2. Settings of the whole host.
    3. Drops that are removed: a NIC has to receive the answers of its neighbours before it gets addresses.
    4. Settings and options of the links that get addresses, some of which (disable_ipv6) have to be set before.
    5. Addresses and routes that move to another link, and their companions; other links and their settings.
    6. Addresses and routes.
    7. What changes the path of packets: offloads and drops.
    8. Files, which tell other programs that the host is ready, and the readers of files.

    :param current: as :func:`.read.read_current` read it for ``desired``.
    :raises HostError: the desired state can't be reached.
    """
    moves = plan_moves(current, desired)
    files = [step for file in desired.files for step in _plan_file(current, file)]
    changed = {step.path for step in files}
    sysctls = _plan_sysctls(current, desired)
    # A link that is set up gets the link's MTU for IPv6 too.
    targets = {move.target for move in desired.moves}
    first = [step for step in sysctls if step.link in targets and step.parts_of_key[-1] != "mtu"]
    readers = [reader.steps() for reader in desired.file_readers if changed.intersection(reader.paths)]
    return [
        *[steps.first for steps in readers],
        *[step for step in sysctls if step.link is None],
        *[DropStep(nic, False) for nic in _nics(desired.absent_drops) if nic in current.drops | current.kept_drops],
        *first,
        *[step for one in desired.options for step in _plan_options(current.options.get(one.link), one)],
        *moves.steps,
        *[step for companion in desired.companions for step in companion.plan(current.companions[companion])],
        *[step for link in desired.links for step in _plan_link(current.links.get(link.name), link)],
        *[step for step in sysctls if step.link is not None and step not in first],
        *plan_addresses_and_routes(desired, moves.network),
        *[step for saved in desired.saved_nics for step in plan_saved_nic(current, saved)],
        *[step for link in desired.no_offloads for step in _plan_no_offload(current, link.link)],
        *[DropStep(nic, True) for nic in _nics(desired.drops) if nic not in current.drops],
        *files,
        *[steps.last for steps in readers],
    ]


def _nics(drops: Iterable[IngressDrop]) -> list[str]:
    """Return the NICs of the drops, each once."""
    return list(dict.fromkeys(drop.link for drop in drops))


def _plan_sysctls(current: CurrentState, desired: HostState) -> list[SysctlStep]:
    steps: list[SysctlStep] = []
    for sysctl in desired.sysctls:
        value = current.sysctls.get(sysctl)
        if value is None or value.split() != sysctl.value.split():
            steps.append(SysctlStep(sysctl.key, sysctl.parts, sysctl.link, sysctl.value, value))
    return steps


def _plan_link(current: KernelLink | None, desired: Link) -> list[Step]:
    mac = desired.mac.lower() if desired.mac else None
    if current is None:
        return [LinkStep(desired.name, desired.up, desired.mtu, desired.mac, promiscuous=desired.promiscuous or None)]
    step = LinkStep(
        desired.name,
        up=None if current.up == desired.up else desired.up,
        mtu=None if desired.mtu == current.mtu else desired.mtu,
        mac=None if mac == current.mac else mac,
        current=current,
        promiscuous=None if desired.promiscuous == current.promiscuous else desired.promiscuous,
    )
    changes = (step.up, step.mtu, step.mac, step.promiscuous)
    return [step] if any(value is not None for value in changes) else []


def _plan_options(current: LinkOptions | None, desired: OptionsOfLink) -> list[Step]:
    return [] if current == desired.options else [OptionsStep(desired.link, desired.options, current)]


def _plan_no_offload(current: CurrentState, link: str) -> list[Step]:
    on = current.offloads.get(link)
    if on is None:  # the link does not exist yet
        return [OffloadStep(link, ())]
    return [OffloadStep(link, tuple(on))] if on else []


def _plan_file(current: CurrentState, desired: File) -> list[FileStep]:
    old = current.files.get(desired.path)
    new = None if desired.content is None else FileContent(desired.content, desired.mode)
    return [] if old == new else [FileStep(desired.path, new, old)]
