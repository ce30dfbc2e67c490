# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A pod's pair of links and what is in its network namespace: the blocking part, for threads of their own."""

from __future__ import annotations

from ..._common.errors import HostError
from ..._host.apply import apply_steps
from ..._host.current import CurrentState
from ..._host.plan import plan_host
from ..._host.read import read_and_plan
from ..._host.sysctl import read_sysctl
from ..._netlink.announce import announce as send
from ..._netlink.ethtool import OFFLOADS
from ..._netlink.namespace import inside, is_namespace, opened
from ..._netlink.records import KernelLink
from ..._netlink.shaping import limit_rate
from ..._netlink.veth import make_pair, outer_end, outer_ends, remove_pair
from .. import interface as pod_interface


def attach(interface):
    """Make the pod's links what they should be, also where a part is there already; :returns: the MAC of the host's end.

    Each message to the kernel may wait for those of others, and in a burst of pods all wait for each other. So nothing is asked of a pair that
    was just made: what it is like is known.

    :raises HostError: one sentence.
    """
    state = pod_interface.inner_state(interface)
    with opened(interface.netns) as namespace:
        mac = _make(interface, namespace)
        made = mac is not None
        if not made:
            outer = outer_end(interface.outer)
            if outer is not None and not _inner_exists(namespace, interface.ifname):
                remove_pair(interface.outer)  # of an attempt that was cut off
                outer = None
            mac = _make(interface, namespace) if outer is None else outer.mac
            if mac is None:
                raise HostError(
                    f"the pair of links {interface.outer} and {interface.ifname} can't be made: the pod has a link {interface.ifname} already"
                )
        with inside(namespace):
            steps = plan_host(_as_made(interface, state), state) if made else read_and_plan(state)
            apply_steps(steps, link_timeout=0)
            limit = pod_interface.inner_limit(interface)
            if limit:
                _limit(interface.ifname, limit)
    return mac


def _make(interface, namespace):
    """Make the pair; :returns: the MAC of the host's end, None when one of the names is taken."""
    try:
        return make_pair(
            interface.outer, namespace, interface.ifname, interface.network.mac, interface.mtu, interface.userspace
        )
    except OSError as error:
        if error.errno == 17:  # EEXIST
            return None
        raise HostError(
            f"the pair of links {interface.outer} and {interface.ifname} can't be made: {error.strerror}"
        ) from None


def _as_made(interface, state):
    """What a pair that was just made is like in the pod, without asking."""
    link = KernelLink(interface.ifname, False, interface.mtu, interface.network.mac)
    return CurrentState(
        {link.name: link},
        sysctls={wish: read_sysctl(wish.parts) for wish in state.sysctls},
        offloads={wish.link: tuple(OFFLOADS) for wish in state.no_offloads},
    )


def _limit(ifname, bits):
    try:
        limit_rate(ifname, bits)
    except OSError as error:
        raise HostError(
            f"the pod's link {ifname} can't be limited to {bits} bits a second: {error.strerror} (needs the kernel's sch_tbf)"
        ) from None


def _inner_exists(namespace, ifname):
    with inside(namespace):
        return outer_end(ifname) is not None


def announce(interface):
    """Tell the neighbours in the overlay who has these addresses now; :returns: what is to be closed, beside the answer, since that takes its time."""
    try:
        with opened(interface.netns) as namespace, inside(namespace):
            return send(interface.ifname, interface.network.mac, interface.network.addresses)
    except OSError as error:
        raise HostError(f"the pod's addresses can't be announced: {error.strerror}") from None


def differences(interface):
    """What of the pod's links is not as it should be: lines for people, none when all is right."""
    state = pod_interface.inner_state(interface)
    found = []
    outer = outer_end(interface.outer)
    if outer is None:
        return [f"link {interface.outer} does not exist"]
    if not outer.up:
        found.append(f"link {interface.outer} is down")
    if outer.no_arp != interface.userspace:
        found.append(f"link {interface.outer} has arp {'off' if outer.no_arp else 'on'}")
    with opened(interface.netns) as namespace, inside(namespace):
        if outer_end(interface.ifname) is None:
            return [*found, f"link {interface.ifname} does not exist in the pod"]
        return found + [step.describe() for step in read_and_plan(state)]


def detach(interface_outer):
    """Remove the pair; :returns: False when there was none."""
    try:
        return remove_pair(interface_outer)
    except OSError as error:
        raise HostError(f"link {interface_outer} can't be removed: {error.strerror}") from None


def dead(sandboxes):
    """Those whose sandbox is gone: its network namespace, or our end of the pair, which goes with it. ``sandboxes``: (outer, netns) of each."""
    ends = outer_ends([outer for outer, _netns in sandboxes])
    return [
        number
        for number, ((_outer, netns), end) in enumerate(zip(sandboxes, ends))
        if end is None or not is_namespace(netns)
    ]
