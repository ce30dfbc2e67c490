# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether an ACL's match (ovn-sb(5), Logical_Flow: match) is true of the first packet of a connection.

It knows the fields that decide about pods: ports, groups, addresses, sets, protocols and their ports. Of what it does
not know the answer is None: it may be true or false. So an ACL of somebody else makes a verdict uncertain, never wrong.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Optional

from .networks import span
from .selectors import Unreadable

Truth = Optional[bool]  # None: it can't be told
LONGEST = 1_000_000  # characters of a match
DEEPEST = 50  # parentheses in one another
NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
TOKEN = re.compile(
    r"""\s*(?:
    (?P<op>==|!=|<=|>=|<|>|&&|\|\||!|[(){},])
    |(?P<text>"(?:[^"\\]|\\.)*")
    |(?P<set>\$[\w.]+)
    |(?P<group>@[\w.]+)
    |(?P<constant>[0-9a-fA-F]*:[0-9a-fA-F:.]+(?:/[0-9a-fA-F:.]+)?|0x[0-9a-fA-F]+|\d[\d.]*(?:/[\d.]+)?)
    |(?P<field>[A-Za-z_][\w.]*(?:\[[\d.]+\])?)
    )""",
    re.VERBOSE,
)


class Packet(NamedTuple):
    """The first packet of a connection.

    :ivar inport, outport: logical ports of the switch where it is judged; None: not known there.
    :ivar protocol: lower case; :ivar port: the one that it goes to.
    """

    inport: str | None
    outport: str | None
    version: int
    source: str
    destination: str
    protocol: str
    port: int


class Names(NamedTuple):
    """What matches name.

    :ivar is_in_group: returns whether a port is in a port group.
    :ivar members: returns the addresses of an address set; None: there is none.
    """

    is_in_group: Callable[[str, str], bool]
    members: Callable[[str], Iterable[str] | None]


class Token(NamedTuple):
    """One word of a match, and its kind."""

    kind: str
    text: str


class Choice(NamedTuple):
    """What is in braces."""

    members: tuple[Token, ...]


class _Unknown(Exception):
    """The match is not of the language that is known here."""


def is_true(match: str, packet: Packet, names: Names) -> Truth:
    """Return whether a match is true of a packet; None: it can't be told."""
    try:
        parser = _Parser(_tokens(match), packet, names)
        result = parser.either(0)
        return result if parser.is_at_end() else None
    except _Unknown:
        return None


def _tokens(match: str) -> list[Token]:
    if len(match) > LONGEST:
        raise _Unknown
    found: list[Token] = []
    place, end = 0, len(match.rstrip())
    while place < end:
        one = TOKEN.match(match, place)
        if one is None or one.lastgroup is None:
            raise _Unknown
        found.append(Token(one.lastgroup, one[one.lastgroup]))
        place = one.end()
    return found


class _Parser:
    """Reads a match, and says of each part whether it is true."""

    def __init__(self, tokens: list[Token], packet: Packet, names: Names) -> None:
        self._tokens, self._place = tokens, 0
        self._packet, self._names = packet, names

    def is_at_end(self) -> bool:
        """Return whether all was read."""
        return self._place == len(self._tokens)

    def _next(self) -> Token:
        if self.is_at_end():
            raise _Unknown
        self._place += 1
        return self._tokens[self._place - 1]

    def _takes(self, *texts: str) -> str:
        """Take one of these operators where it comes next; return it, or an empty text."""
        if not self.is_at_end() and self._tokens[self._place] in [Token("op", text) for text in texts]:
            return self._next().text
        return ""

    def either(self, depth: int) -> Truth:
        """Read terms with ``||`` between them."""
        found = [self._both(depth)]
        while self._takes("||"):
            found.append(self._both(depth))
        return True if True in found else None if None in found else False

    def _both(self, depth: int) -> Truth:
        found = [self._term(depth)]
        while self._takes("&&"):
            found.append(self._term(depth))
        return False if False in found else None if None in found else True

    def _term(self, depth: int) -> Truth:
        if depth > DEEPEST:
            raise _Unknown
        if self._takes("!"):
            found = self._term(depth + 1)
            return None if found is None else not found
        if self._takes("("):
            found = self.either(depth + 1)
            if not self._takes(")"):
                raise _Unknown
            return found
        return self._comparison()

    def _comparison(self) -> Truth:
        """Read a field alone, a comparison, or a range (``1 <= tcp.dst <= 9``)."""
        left = self._operand()
        relation = self._takes(*COMPARE)
        if not relation:
            return self._alone(left)
        middle = self._operand()
        second = self._takes(*COMPARE)
        if second:
            parts = [_turned(left, relation, middle), (middle, second, self._operand())]
        else:
            parts = [(left, relation, middle) if _is_field(left) else _turned(left, relation, middle)]
        found = [self._compare(*part) for part in parts]
        return False if False in found else None if None in found else True

    def _operand(self) -> Token | Choice:
        one = self._next()
        if one == Token("op", "{"):
            members = [self._next()]
            while not self._takes("}"):
                self._takes(",")
                members.append(self._next())
            return Choice(tuple(members))
        if one.kind == "op":
            raise _Unknown
        return one

    def _alone(self, one: Token | Choice) -> Truth:
        """Return whether a predicate is true."""
        packet = self._packet
        if not isinstance(one, Token):
            raise _Unknown
        known: dict[str, bool] = {
            "1": True,
            "0": False,
            "ip": True,
            "ip4": packet.version == 4,
            "ip6": packet.version == 6,
            **{protocol: packet.protocol == protocol for protocol in NUMBERS},
            **dict.fromkeys(("icmp", "icmp4", "icmp6", "igmp", "arp", "nd", "nd_ns", "nd_na"), False),
            **dict.fromkeys(("nd_rs", "nd_ra", "mldv1", "mldv2", "ip4.mcast", "ip6.mcast"), False),
            **dict.fromkeys(("ct.new", "ct.trk"), True),
            **dict.fromkeys(("ct.est", "ct.rel", "ct.rpl", "ct.inv", "ip.frag"), False),
        }
        return known.get(one.text)

    def _compare(self, field: Token | Choice, relation: str, value: Token | Choice) -> Truth:
        if not isinstance(field, Token) or field.kind != "field":
            raise _Unknown
        members = value.members if isinstance(value, Choice) else (value,)
        found = [self._compare_one(field.text, "==" if relation == "!=" else relation, one) for one in members]
        equal: Truth = True if True in found else None if None in found else False
        if relation != "!=" or equal is None:
            return equal
        return not equal and self._has(field.text) is not False

    def _has(self, field: str) -> Truth:
        """Return whether the packet has a field."""
        layer = field.split(".")[0]
        if layer in ("ip4", "ip6"):
            return self._packet.version == int(layer[2])
        return self._packet.protocol == layer if layer in NUMBERS else None

    def _compare_one(self, field: str, relation: str, value: Token) -> Truth:
        packet = self._packet
        if field in ("inport", "outport"):
            port = packet.inport if field == "inport" else packet.outport
            return self._is_port(port, relation, value)
        if self._has(field) is False:
            return False
        if field in ("ip4.src", "ip6.src", "ip4.dst", "ip6.dst") and relation == "==":
            return self._is_address(packet.source if field.endswith("src") else packet.destination, value)
        numbers = {f"{packet.protocol}.dst": packet.port, "ip.proto": NUMBERS.get(packet.protocol)}
        number = numbers.get(field)
        if number is None or value.kind != "constant":
            return None
        try:
            return COMPARE[relation](number, int(value.text, 0))
        except ValueError:
            return None

    def _is_port(self, port: str | None, relation: str, value: Token) -> Truth:
        if port is None or relation != "==":
            return None
        if value.kind == "group":
            return self._names.is_in_group(value.text[1:], port)
        return value.text[1:-1] == port if value.kind == "text" and "\\" not in value.text else None

    def _is_address(self, address: str, value: Token) -> Truth:
        if value.kind == "constant":
            return _has_address(value.text, address)
        members = self._names.members(value.text[1:]) if value.kind == "set" else None
        if members is None:
            return None
        found = [_has_address(one, address) for one in members]
        return True if True in found else None if None in found else False


def _is_field(one: Token | Choice) -> bool:
    return isinstance(one, Token) and one.kind == "field"


def _turned(left: Token | Choice, relation: str, right: Token | Choice) -> tuple[Token | Choice, str, Token | Choice]:
    """Return the comparison with its field first."""
    return right, relation.translate(str.maketrans("<>", "><")), left


def _has_address(network: str, address: str) -> Truth:
    """Return whether an address is in a network, or is it."""
    try:
        one = span(address if "/" in address else f"{address}/{128 if ':' in address else 32}")
        other = span(network if "/" in network else f"{network}/{128 if ':' in network else 32}")
    except Unreadable:
        return None
    return one.version == other.version and other.first <= one.first <= other.last
