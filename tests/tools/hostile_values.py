# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Values that somebody may write into objects of the API server to do harm: texts, quantities, addresses."""

from __future__ import annotations

import ipaddress
import json

ANNOTATIONS = 256 * 1024  # bytes of all annotations of an object that the API server takes (TotalAnnotationSizeLimitB)
REQUEST = 1_400_000  # bytes: a little less than etcd takes (1.5 MiB)

# Words of OVN's matches, of nft's language, of shells, of formats; control characters; what looks like something else.
TEXTS = (
    "",
    " ",
    '"',
    "'",
    "\\",
    '" || ip4 || "',
    "ip4.src == 0.0.0.0/0 && tcp",
    "$address_set",
    "@port_group",
    "^chassis_variable",
    "1 == 1",
    "; flush ruleset #",
    "} accept {",
    "$(id)",
    "`id`",
    "%s%n%x",
    "{0.__class__}",
    "../../etc/passwd",
    "a\x00b",
    "a\nb",
    "\r\n\r\n",
    "\t",
    "\x1b[2J",
    "\x7f",
    "\u0085",
    "\u2028",
    "\u202egnp",
    "\ufeff",
    "\ud800",
    "\U0001f600",
    "e\u0301",
    "\u0661\u0662\u0663",
    "null",
    "None",
    "true",
    "-1",
    "1e9999",
    "default",
    "kubernetes",
    "node1",
    "*",
)
QUANTITIES = (
    *("0", "-0", "1", "-1", "+5", ".5", "5.", "0.0000000001", "1n", "1u", "1m", "1k", "10M", "1Ki", "1Ei", "1E", "1P"),
    *("1e3", "1E3", "1e-9", "1e400", "9" * 400, "9223372036854775807", "9223372036854775808", "0x10", "1_000"),
    *("\u0661M", " 1M ", "1M\n", "1.5.2", "Infinity", "NaN", "", "M", "10MM", "1 M", "1" * 100_000),
)
# The world of the tests: pods of node1 and node2, gateways, management ports, join network, nodes, services.
ADDRESSES = (
    *("192.168.1.0", "192.168.1.1", "192.168.1.2", "192.168.1.3", "192.168.1.4", "192.168.1.255", "192.168.2.3"),
    *("100.64.0.1", "100.64.0.2", "10.96.0.1", "10.96.0.10", "10.0.0.1", "10.55.0.1", "10.55.0.254", "8.8.8.8"),
    *("fd10:128:0:1::1", "fd10:128:0:1::3", "FD10:128:0:1::3", "fd10:128:0:2::3", "fd98::1", "fd96::1", "fd55::1"),
    *("0.0.0.0", "255.255.255.255", "127.0.0.1", "169.254.169.254", "224.0.0.1", "::", "::1", "fe80::1", "ff02::1"),
    *("::ffff:192.168.1.3", "64:ff9b::1", "203.0.113.7", "2001:db8::7"),
)
TAKEN = tuple(
    text
    for text, one in ((text, ipaddress.ip_address(text)) for text in ADDRESSES)
    if text == str(one)
    and not (one.is_unspecified or one.is_loopback or one.is_link_local or one.is_multicast)
    and not text.startswith("::ffff:")
)
NOT_ADDRESSES = (
    *("192.168.1.300", "1.2.3", "010.1.1.1", "16909060", "0x7f.1", "fe80::1%eth0", "192.168.1.3/24", "192.168.1.3:80"),
    *("[fd10::1]", "1.2.3.4\n", " 1.2.3.4", "\u0661.2.3.4", "::1/128", "host.example", *TEXTS),
)


class Values:
    """Values that a random number generator chooses."""

    def __init__(self, chance):
        self.chance = chance

    def text(self):
        """A text: a known one, several of them, or a long one."""
        kind = self.chance.randrange(10)
        if kind == 0:
            return self.long(5000)
        if kind < 4:
            return "".join(self.chance.choices(TEXTS, k=3))
        return self.chance.choice(TEXTS)

    def long(self, size):
        """A text of so many bytes, more or less."""
        unit = self.chance.choice(['"', "[", "{", "9", "a", "\\", "\u00e9", "\U0001f600", "192.168.1.3,", "\n"])
        return unit * (size // len(unit.encode()))

    def address(self):
        """An address, or something like it."""
        return self.chance.choice(ADDRESSES if self.chance.random() < 0.8 else NOT_ADDRESSES)

    def valid_address(self, version=None):
        """An address that the API server takes for services and their endpoints; of this IP version."""
        return self.chance.choice([one for one in TAKEN if version in (None, 6 if ":" in one else 4)])

    def quantity(self):
        """A quantity, or something like it."""
        return self.chance.choice(QUANTITIES)

    def name(self, size=0):
        """A name that the API server takes (RFC 1123, a label)."""
        size = size or self.chance.choice([1, 3, 8, 20, 63])
        inner = "".join(self.chance.choices("abcxyz0189-", k=max(size - 2, 0)))
        return f"a{inner}z"[: max(size, 1)]

    def network(self):
        """An annotation that tells of a pod's network, in the form of one of those that the watcher writes."""
        chance = self.chance
        kind = chance.randrange(8)
        if kind == 0:
            return self.long(chance.choice([1000, 100_000]))
        if kind == 1:
            return self.text()
        if kind == 2:
            return chance.choice(["[" * 90_000, '{"a":' * 30_000, "9" * 90_000, "-" * 90_000, '"' + "\\u0000" * 15_000])
        addresses = [f"{self.address()}/{chance.choice([0, 24, 32, 64, 128, 999])}" for _number in range(3)]
        if kind == 3:
            network = chance.choice([1, 2])
            addresses = [f"192.168.{network}.{last}/24" for last in range(3, 255)]
        elif kind == 4:
            addresses = [f"fd10:128:0:1::{last:x}/64" for last in range(3, 4000)]
        fields = {
            "ip_addresses": chance.choice([addresses, addresses[:1], addresses[0], None, {"a": 1}, [None], [[]]]),
            "ip_address": chance.choice([addresses[0], None, 7, True, self.text()]),
            "mac_address": chance.choice(["0a:58:c0:a8:01:03", "0A:58", self.text(), 5, None]),
            "gateway_ip": chance.choice(["192.168.1.1", self.address(), None]),
            "gateway_ips": chance.choice([["192.168.1.1"], self.text(), [7], {}]),
            "routes": chance.choice([[], [{"dest": "0.0.0.0/0", "nextHop": self.address()}], [1], self.text()]),
        }
        for name in chance.sample(sorted(fields), chance.randrange(4)):
            del fields[name]
        return json.dumps(chance.choice([fields, {"default": fields}, {"default": [fields]}, [fields]]))
