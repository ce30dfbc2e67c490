# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The messages of a lease as datagrams: each with a code (HMAC, RFC 2104) of a secret that the cluster's masters and
chassis know.

A datagram is a tag, the code, and a body: numbers in network order, a node's name, and addresses of 4 or 16 bytes.
"""

from __future__ import annotations

import functools
import hmac
import ipaddress
import struct
from collections.abc import Iterable

from .lease import MOST_OF_NODE, Answer, Request

ASKS, ANSWERS = b"ovnkEIP1", b"ovnkEIP2"
CODE = 32  # bytes of SHA-256
LONGEST_NAME = 253  # characters of a node's name (RFC 1123)
NUMBERS = struct.Struct("!QQQ")  # session, number, term
LONGEST = 2048  # bytes of a datagram that is read


def pack_request(request: Request, secret: bytes) -> bytes:
    """Return a request as a datagram."""
    name = request.node.encode()
    head = NUMBERS.pack(request.session, request.number, request.term) + bytes([request.is_sure, len(name)])
    body = head + name + _pack(request.guarded)
    return _seal(ASKS, body, secret)


def parse_request(data: bytes, secret: bytes) -> Request | None:
    """Return the request of a datagram; None: it is none, or of somebody who does not know the secret."""
    body = _open(ASKS, data, secret)
    if body is None:
        return None
    try:
        session, number, term = NUMBERS.unpack_from(body)
        is_sure, length = body[NUMBERS.size], body[NUMBERS.size + 1]
        start = NUMBERS.size + 2
        name = body[start : start + length].decode("ascii")
        return Request(name, session, number, _parse(body[start + length :]), bool(is_sure), term)
    except (struct.error, IndexError, ValueError):
        return None


def pack_answer(answer: Answer, secret: bytes) -> bytes:
    """Return an answer as a datagram: what is granted, and then what is offered beside it."""
    numbers = NUMBERS.pack(answer.session, answer.number, answer.term) + bytes([answer.assignable, len(answer.granted)])
    body = numbers + _pack(answer.granted) + _pack(answer.offered - answer.granted)
    return _seal(ANSWERS, body, secret)


def parse_answer(data: bytes, secret: bytes) -> Answer | None:
    """Return the answer of a datagram; None: it is none, or of somebody who does not know the secret."""
    body = _open(ANSWERS, data, secret)
    if body is None:
        return None
    try:
        session, number, term = NUMBERS.unpack_from(body)
        assignable, count = body[NUMBERS.size : NUMBERS.size + 2]
        found = _list(body[NUMBERS.size + 2 :])
    except (struct.error, ValueError):
        return None
    return Answer(session, number, frozenset(found), frozenset(found[:count]), bool(assignable), term)


def _seal(tag: bytes, body: bytes, secret: bytes) -> bytes:
    return tag + hmac.digest(secret, tag + body, "sha256") + body


def _open(tag: bytes, data: bytes, secret: bytes) -> bytes | None:
    code, body = data[len(tag) : len(tag) + CODE], data[len(tag) + CODE :]
    if not data.startswith(tag) or not hmac.compare_digest(code, hmac.digest(secret, tag + body, "sha256")):
        return None
    return body


# The same addresses are in each message of a node.


@functools.lru_cache(maxsize=16384)
def _bytes(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


@functools.lru_cache(maxsize=16384)
def _text(packed: bytes) -> str:
    """:raises ValueError: these are no address."""
    return str(ipaddress.ip_address(packed))


def _pack(addresses: Iterable[str]) -> bytes:
    packed = [_bytes(one) for one in sorted(addresses)[:MOST_OF_NODE]]
    return b"".join(bytes([len(one)]) + one for one in packed)


def _parse(data: bytes) -> frozenset[str]:
    return frozenset(_list(data))


def _list(data: bytes) -> list[str]:
    """Return the addresses. :raises ValueError: there are none like this."""
    found, place = [], 0
    while place < len(data):
        end = place + 1 + data[place]
        found.append(_text(data[place + 1 : end]))
        place = end
    if len(found) > 2 * MOST_OF_NODE:
        raise ValueError("more addresses than a node has")
    return found
