# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rules of policy routing: the tables that they use; those bound to a link, read, added and removed (ip-rule(8),
linux/fib_rules.h)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from .constants import FibRule, Fra, NlFlag, Rtm
from .messages import (
    AF_OF_VERSION,
    IP_VERSIONS,
    attributes_of,
    messages,
    pack_name,
    pack_number,
    set_attributes,
    unpack_name,
    unpack_number,
)
from .records import KernelRule

if TYPE_CHECKING:
    from collections.abc import Set

    from .socket import RouteSocket

# Members of struct fib_rule_hdr that make a rule. ``res1`` and ``res2`` are padding.
HEADER = ("dst_len", "src_len", "tos", "table", "action", "flags")
READ_ATTRIBUTES = (Fra.IIFNAME, Fra.OIFNAME, Fra.PRIORITY, Fra.PAD)


def read_rules(kernel: RouteSocket, links: Set[str]) -> list[KernelRule]:
    """Return all rules that are bound to one of the links, in the order in which the kernel tries them."""
    rules = []
    for family, version in IP_VERSIONS.items():
        message = messages().rule()
        message["family"] = family
        for reply in kernel.request(message, Rtm.GETRULE, NlFlag.DUMP):
            rule = _from_reply(reply, version)
            if rule.links & links:
                rules.append(rule)
    return rules


def read_tables(kernel: RouteSocket) -> frozenset[int] | None:
    """Return the tables that rules of policy routing name; None: any, since a rule takes that of a VRF (l3mdev)."""
    tables = set()
    for family in IP_VERSIONS:
        message = messages().rule()
        message["family"] = family
        for reply in kernel.request(message, Rtm.GETRULE, NlFlag.DUMP):
            attributes = attributes_of(reply)
            if Fra.L3MDEV in attributes:
                return None
            tables.add(unpack_number(attributes[Fra.TABLE]) if Fra.TABLE in attributes else int(reply["table"]))
    return frozenset(tables)


def add_rule(kernel: RouteSocket, rule: KernelRule) -> bool:
    """Add a rule after those of the same priority. Return False when it exists already."""
    try:
        kernel.request(_message(rule), Rtm.NEWRULE, NlFlag.ACK | NlFlag.CREATE | NlFlag.EXCL)
    except OSError as error:
        if error.errno == errno.EEXIST:
            return False
        raise
    return True


def remove_rule(kernel: RouteSocket, rule: KernelRule) -> bool:
    """Remove exactly this rule. Return False when it does not exist."""
    try:
        kernel.request(_message(rule), Rtm.DELRULE, NlFlag.ACK)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return False
        raise
    return True


def _from_reply(reply: Any, version: int) -> KernelRule:
    attributes = attributes_of(reply)
    # Flags other than FIB_RULE_INVERT report a state.
    header = tuple((name, int(reply[name] & FibRule.INVERT) if name == "flags" else reply[name]) for name in HEADER)
    return KernelRule(
        version,
        unpack_number(attributes[Fra.PRIORITY]) if Fra.PRIORITY in attributes else 0,
        _link(attributes.get(Fra.IIFNAME)),
        _link(attributes.get(Fra.OIFNAME)),
        header,
        tuple((number, bytes(value)) for number, value in sorted(attributes.items()) if number not in READ_ATTRIBUTES),
    )


def _link(name: bytes | None) -> str | None:
    return unpack_name(name) if name else None


def _message(rule: KernelRule) -> Any:
    message = messages().rule()
    message["family"] = AF_OF_VERSION[rule.version]
    for name, number in rule.header:
        message[name] = number
    attributes: dict[int, bytes] = dict(rule.extra)
    attributes[Fra.PRIORITY] = pack_number(rule.priority)
    if rule.iif:
        attributes[Fra.IIFNAME] = pack_name(rule.iif)
    if rule.oif:
        attributes[Fra.OIFNAME] = pack_name(rule.oif)
    set_attributes(message, attributes)
    return message
