# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Carry out a host's plan: all of it, or, when a step fails, nothing."""

from __future__ import annotations

import contextlib

from .._common.errors import HostError
from .._common.files import remove_file, write_file
from .._netlink.ethtool import set_offloads
from .._netlink.ingress import add_drop, remove_drop
from .._netlink.rtnetlink import Rtnl, index_of, wait_for_link
from .._netlink.rules import add_rule, remove_rule
from .._nic.managers.handover import hand_over
from .._nic.managers.resolved import set_resolver
from .steps import (
    AddressStep,
    DropStep,
    FileStep,
    HandoverStep,
    LinkStep,
    OffloadStep,
    ResolverStep,
    RouteStep,
    RuleStep,
    SysctlStep,
)
from .sysctl import write_sysctl

PATIENCE = 5.0  # seconds for a link that ovs-vswitchd is about to make
ADVICE = {
    1: "run as root",  # EPERM
    13: "run as root",  # EACCES
    16: "something else holds it: set the link down first",  # EBUSY
    22: "the kernel does not take these values",  # EINVAL
    28: "there is no space left: free some",  # ENOSPC
    95: "the kernel or the driver can't do it",  # EOPNOTSUPP
    101: "the next hop must be in a network of the link: give the link an address in that network",  # ENETUNREACH
    113: "the next hop must be in a network of the link: give the link an address in that network",  # EHOSTUNREACH
}


def apply(steps, patience=PATIENCE):
    """Do the steps in their order.

    :param steps: as :func:`.difference.difference` plans them.
    :param patience: seconds to wait for a link that does not exist yet.
    :raises HostError: one sentence; what was done before has been undone, in opposite order.
    """
    parts = [part for step in steps for part in step.parts()]
    done = []
    with Hands(patience) as hands:
        for part in parts:
            try:
                if not part.whole:
                    done.append(part)
                if hands.do(part) and part.whole:
                    done.append(part)
            except (OSError, HostError) as error:
                raise HostError(sentence(part, error) + _roll_back(hands, done)) from error
            except BaseException:
                _roll_back(hands, done)
                raise


def _roll_back(hands, done):
    """Undo; :returns: what to add to the error's sentence."""
    hands.patience = 0
    failed = []
    for part in reversed(done):
        undo = part.undo()
        if undo is None:
            continue
        try:
            hands.do(undo)
        except (OSError, HostError) as error:
            if getattr(error, "errno", None) != 19:  # ENODEV: what it was on has gone too
                failed.append("%s (%s)" % (undo.describe(), getattr(error, "strerror", None) or error))
    return "; undoing what was done before failed too, do it by hand: %s" % ", ".join(failed) if failed else ""


def sentence(part, error):
    """What failed at a part, for the user."""
    if isinstance(error, HostError):
        return str(error)
    number = error.errno
    reason = error.strerror or str(error)
    if isinstance(part, SysctlStep) and number == 2:
        return (
            "%s failed: this kernel has no such setting; correct its name or load the module that brings it"
            % part.describe()
        )
    advice = ADVICE.get(number)
    return "%s failed: %s%s" % (part.describe(), reason, " (%s)" % advice if advice else "")


class Hands:
    """Does single steps; a netlink socket is opened with the first that needs one."""

    def __init__(self, patience):
        self.patience = patience
        self._stack = contextlib.ExitStack()
        self._socket = None
        self._actions = {
            AddressStep: self._address,
            RouteStep: self._route,
            LinkStep: self._link,
            SysctlStep: self._sysctl,
            OffloadStep: self._offload,
            DropStep: self._drop,
            FileStep: self._file,
            RuleStep: self._rule,
            HandoverStep: self._handover,
            ResolverStep: self._resolver,
        }

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._stack.close()

    def do(self, part):
        """:returns: False when it was so already."""
        return self._actions[type(part)](part) is not False

    @property
    def _rtnl(self):
        if self._socket is None:
            self._socket = self._stack.enter_context(Rtnl())
        return self._socket

    def _await(self, link):
        if self.patience:
            wait_for_link(link, self.patience)
        else:
            index_of(link)

    def _address(self, part):
        if not part.present:
            return self._rtnl.remove_address(part.address)
        self._await(part.address.link)
        return self._rtnl.add_address(part.address)

    def _route(self, part):
        if not part.present:
            return self._rtnl.remove_route(part.route)
        for hop in part.route.nexthops:
            self._await(hop.link)
        return self._rtnl.add_route(part.route)

    def _link(self, part):
        self._await(part.name)
        self._rtnl.set_link(part.name, part.up, part.mtu, part.mac, part.promiscuous)

    @staticmethod
    def _rule(part):
        return add_rule(part.rule) if part.present else remove_rule(part.rule)

    def _sysctl(self, part):
        if part.link is not None:
            self._await(part.link)
        write_sysctl(part.parts_of_key, part.value)

    def _offload(self, part):
        self._await(part.link)
        set_offloads(part.link, part.names or ("tx", "tso"), part.on)

    def _drop(self, part):
        if not part.present:
            return remove_drop(part.nic)
        self._await(part.nic)
        return add_drop(part.nic)

    def _file(self, part):
        if part.wanted is None:
            return remove_file(part.path)
        write_file(part.path, part.wanted)
        return True

    def _handover(self, part):
        if not part.tells:
            return True
        hand_over(part)
        return True

    def _resolver(self, part):
        self._await(part.target)
        set_resolver(part.target, part.resolver)
        if part.source is not None:
            set_resolver(part.source, None)
        return True
