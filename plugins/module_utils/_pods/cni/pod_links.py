# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A pod's pair of links, and the state of its network namespace: what blocks, for worker threads."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import NamedTuple

from ..._common.errors import HostError
from ..._host.announce import announce as send
from ..._host.apply import apply_steps
from ..._host.current import CurrentState
from ..._host.desired import HostState
from ..._host.plan import plan_host
from ..._host.read import read_and_plan
from ..._host.sysctl import read_sysctl
from ..._netlink.ethtool import OFFLOADS
from ..._netlink.links import link_index, set_link
from ..._netlink.namespace import inside, is_namespace, opened
from ..._netlink.records import KernelLink
from ..._netlink.shaping import limit_rate
from ..._netlink.socket import RouteSocket
from ..._netlink.veth import make_pair, outer_end, outer_ends, remove_pair
from ..interface import Attachment, PodInterface, desired_state

MOST = 2000  # addresses, and routes, of a pod's namespace: whoever makes more there does not keep this host busy


class Differences(NamedTuple):
    """What of a pod's links is not as it was made, one line for each difference.

    :ivar outside: on the host.
    :ivar inside: in the pod, which may have changed it by itself: a VPN takes the default route.
    """

    outside: Sequence[str] = ()
    inside: Sequence[str] = ()


class Sandbox(NamedTuple):
    """The sandbox of an attachment.

    :ivar netns: path of its network namespace.
    :ivar is_recorded: whether its links can be made again from what ADD has kept.
    """

    attachment: Attachment
    netns: str
    is_recorded: bool = False


def attach(interface: PodInterface, leave_pod: bool = False) -> str:
    """Make the pod's links as desired, also when a part of them exists already; return the MAC of the host's end.

    Each message to the kernel may wait for the messages of other threads (the kernel has one lock for them,
    rtnl_mutex). So the state of a pair that was just made is not read: it is known.

    :param leave_pod: what a pod has changed in its own namespace stays, while it has its end of the pair.
    :raises HostError: when the kernel refuses.
    """
    desired = desired_state(interface)
    with opened(interface.netns) as namespace:
        mac = _make(interface, namespace)
        is_new = mac is not None
        if mac is None:
            was_whole = _exists(namespace, interface.ifname)
            mac = _take_over(interface, namespace)
            if leave_pod and was_whole:
                return mac
        with inside(namespace):
            steps = plan_host(_new_state(interface, desired), desired) if is_new else read_and_plan(desired)
            apply_steps(steps, link_timeout=0)
            if interface.pod_link_rate:
                _limit(interface.ifname, interface.pod_link_rate)
    return mac


def _take_over(interface: PodInterface, namespace: int) -> str:
    """Return the MAC of a pair that exists; make it anew when an interrupted attempt has left the host's end alone."""
    mac: str | None
    host_end = outer_end(interface.host_link)
    if host_end is not None and _exists(namespace, interface.ifname):
        mac = host_end.mac
        if _wrong(interface, host_end):
            _restore(interface)
    else:
        if host_end is not None:
            remove_pair(interface.host_link)
        mac = _make(interface, namespace)
    if mac is None:
        raise HostError(f"{_pair(interface)} can't be made: the pod has a link {interface.ifname} already")
    return mac


def _wrong(interface: PodInterface, host_end: KernelLink | None) -> list[str]:
    """Return what is wrong with the host's end of a pair."""
    if host_end is None:
        return [f"link {interface.host_link} does not exist"]
    lines = [] if host_end.up else [f"link {interface.host_link} is down"]
    if host_end.no_arp != interface.userspace:
        lines.append(f"link {interface.host_link} has arp {'off' if host_end.no_arp else 'on'}")
    if host_end.mtu != interface.mtu:
        lines.append(f"link {interface.host_link} has MTU {host_end.mtu} and not {interface.mtu}")
    return lines


def _restore(interface: PodInterface) -> None:
    """Make the host's end as it was made."""
    try:
        with RouteSocket() as kernel:
            set_link(kernel, interface.host_link, up=True, mtu=interface.mtu, no_arp=interface.userspace)
    except OSError as error:
        raise HostError(f"link {interface.host_link} can't be restored: {error.strerror}") from None


def _pair(interface: PodInterface) -> str:
    return f"the pair of links {interface.host_link} and {interface.ifname}"


def _make(interface: PodInterface, namespace: int) -> str | None:
    """Make the pair; return the MAC of the host's end, None when one of the names is taken."""
    try:
        return make_pair(
            interface.host_link,
            namespace,
            interface.ifname,
            interface.network.mac,
            interface.mtu,
            interface.userspace,
        )
    except OSError as error:
        if error.errno == errno.EEXIST:
            return None
        raise HostError(f"{_pair(interface)} can't be made: {error.strerror}") from None


def _new_state(interface: PodInterface, desired: HostState) -> CurrentState:
    """Return the state of a pair that was just made, without reading it."""
    link = KernelLink(interface.ifname, False, interface.mtu, interface.network.mac)
    return CurrentState(
        {link.name: link},
        sysctls={sysctl: read_sysctl(sysctl.parts) for sysctl in desired.sysctls},
        offloads={offload.link: tuple(OFFLOADS) for offload in desired.no_offloads},
    )


def _limit(ifname: str, rate: int) -> None:
    """Limit what a link sends, in bits a second."""
    try:
        limit_rate(ifname, rate)
    except OSError as error:
        raise HostError(
            f"the pod's link {ifname} can't be limited to {rate} bits a second: {error.strerror} "
            "(needs the kernel's sch_tbf)"
        ) from None


def _exists(namespace: int, ifname: str) -> bool:
    """Return whether the pod has a link of this name."""
    with inside(namespace):
        return outer_end(ifname) is not None


def announce(interface: PodInterface) -> None:
    """Tell the neighbours in the overlay which MAC has these addresses now. The pod forgets its own neighbours.

    :raises HostError: when the kernel refuses.
    """
    try:
        with opened(interface.netns) as namespace, inside(namespace):
            send(interface.ifname, interface.network.mac, interface.network.addresses)
    except OSError as error:
        raise HostError(f"the pod's addresses can't be announced: {error.strerror}") from None


def differences(interface: PodInterface) -> Differences:
    """Return what of the pod's links is not as desired. :raises HostError: when it can't be read."""
    try:
        host_end = outer_end(interface.host_link)
        lines = _wrong(interface, host_end)
        if host_end is None:
            return Differences(lines)
        with opened(interface.netns) as namespace, inside(namespace):
            if outer_end(interface.ifname) is None:
                return Differences([*lines, f"link {interface.ifname} does not exist in the pod"])
            steps = read_and_plan(desired_state(interface), MOST)
    except OSError as error:
        raise HostError(f"{_pair(interface)} can't be read: {error.strerror}") from None
    return Differences(lines, [step.describe() for step in steps])


def differences_of_all(interfaces: Sequence[PodInterface]) -> list[Differences]:
    """Return :func:`differences` of each; what can't be read is a difference too."""
    found = []
    for interface in interfaces:
        try:
            found.append(differences(interface))
        except Exception as exc:  # one namespace does not hide the others
            found.append(Differences([str(exc)]))
    return found


def detach(host_link: str) -> bool:
    """Remove the pair; return False when there was none. :raises HostError: when the kernel refuses."""
    try:
        return remove_pair(host_link)
    except OSError as error:
        raise HostError(f"link {host_link} can't be removed: {error.strerror}") from None


def faults(interfaces: Sequence[PodInterface]) -> dict[Attachment, str]:
    """Return what is wrong with the host's ends of these interfaces, of those whose namespace is there."""
    ends = outer_ends([interface.host_link for interface in interfaces])
    wrong = [(interface, _wrong(interface, end)) for interface, end in zip(interfaces, ends)]
    return {
        interface.attachment: "; ".join(lines) for interface, lines in wrong if lines and is_namespace(interface.netns)
    }


def by_age(attachments: Sequence[Attachment]) -> list[Attachment]:
    """Return the attachments in the order in which their pairs were made: the kernel gives each link a higher number
    than all before. Those without a pair come first.
    """

    def number(attachment: Attachment) -> int:
        try:
            return link_index(attachment.host_link)
        except OSError:
            return 0

    return sorted(attachments, key=number)


def without_sandbox(sandboxes: Sequence[Sandbox]) -> list[Attachment]:
    """Return the attachments whose network namespace is gone, or the host's end of whose pair, which goes with it
    unless it can be made again.
    """
    ends = outer_ends([sandbox.attachment.host_link for sandbox in sandboxes])
    return [
        sandbox.attachment
        for sandbox, end in zip(sandboxes, ends)
        if (end is None and not sandbox.is_recorded) or not is_namespace(sandbox.netns)
    ]
