# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rules of policy routing that are bound to a link (ip-rule(8)), read and written by netlink messages (linux/fib_rules.h).

What a rule says beside its links goes along as the bytes that the kernel gave.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from .._host.current import FoundRule
from .libraries import netlink
from .rtnetlink import CREATE, DUMP, EXCLUSIVE, FAMILIES, NUMBERS, attributes_of
from .socket import ACK, Asking

NEWRULE, DELRULE, GETRULE = 32, 33, 34
FRA_IIFNAME, FRA_PRIORITY, FRA_PAD, FRA_OIFNAME = 3, 6, 18, 17
HEADER = ("dst_len", "src_len", "tos", "table", "action", "flags")
INVERT = 0x2  # FIB_RULE_INVERT; the other flags tell a state


@lru_cache(maxsize=1)
def _message_class():
    return type(
        "RuleMessage",
        (netlink().nlmsg,),
        {
            "nla_map": tuple((number, str(number), "cdata") for number in range(1, 64)),
            "fields": (
                ("family", "B"),
                ("dst_len", "B"),
                ("src_len", "B"),
                ("tos", "B"),
                ("table", "B"),
                ("res1", "B"),
                ("res2", "B"),
                ("action", "B"),
                ("flags", "I"),
            ),
        },
    )


def rules(links):
    """All :class:`.found.FoundRule` that are bound to one of the links, in the order in which the kernel tries them."""
    found = []
    for family, version in FAMILIES.items():
        message = _message_class()()
        message["family"] = family
        for reply in _ask(message, GETRULE, DUMP):
            rule = _found(reply, version)
            if rule.links & links:
                found.append(rule)
    return found


def add_rule(rule):
    """Add it after those of the same priority; :returns: False when it is there already."""
    try:
        _ask(_message(rule), NEWRULE, ACK | CREATE | EXCLUSIVE)
    except OSError as error:
        if error.errno == 17:  # EEXIST
            return False
        raise
    return True


def remove_rule(rule):
    """Remove exactly this one; :returns: False when it is not there."""
    try:
        _ask(_message(rule), DELRULE, ACK)
    except OSError as error:
        if error.errno == 2:  # ENOENT
            return False
        raise
    return True


def _found(reply, version):
    attributes = attributes_of(reply)
    header = tuple((name, reply[name] & INVERT if name == "flags" else reply[name]) for name in HEADER)
    extra = tuple(
        (number, bytes(value))
        for number, value in sorted(attributes.items())
        if number not in (FRA_IIFNAME, FRA_OIFNAME, FRA_PRIORITY, FRA_PAD)
    )
    priority = struct.unpack("I", attributes[FRA_PRIORITY])[0] if FRA_PRIORITY in attributes else 0
    return FoundRule(
        version, priority, _name(attributes.get(FRA_IIFNAME)), _name(attributes.get(FRA_OIFNAME)), header, extra
    )


def _name(data):
    return data.rstrip(b"\0").decode() if data else None


def _message(rule):
    message = _message_class()()
    message["family"] = NUMBERS[rule.version]
    for name, number in rule.header:
        message[name] = number
    attributes = dict(rule.extra)
    attributes[FRA_PRIORITY] = struct.pack("I", rule.priority)
    for number, link in ((FRA_IIFNAME, rule.iif), (FRA_OIFNAME, rule.oif)):
        if link:
            attributes[number] = link.encode() + b"\0"
    message["attrs"] = [[str(number), value] for number, value in sorted(attributes.items())]
    return message


def _ask(message, kind, flags):
    with Asking({NEWRULE: _message_class()}) as asking:
        return asking.ask(message, kind, flags)
