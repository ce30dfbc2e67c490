# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A TCP conversation of some rounds, in which each side sends a segment that is far out of the window.

As a program: ``listen ADDRESS PORT`` or ``connect ADDRESS PORT``. It says "well", or what has ended the connection.
"""

from __future__ import annotations

import contextlib
import pathlib
import socket
import struct
import subprocess
import sys

PROGRAM = ("/usr/bin/python3", str(pathlib.Path(__file__).resolve()))
CONNECT = (*PROGRAM, "connect")
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21  # linux/tcp.h
REPAIR_ON, REPAIR_OFF, RECEIVED, SENT = 1, -1, 1, 2
ACK, HEADER_WORDS = 0x10, 5  # RFC 9293, 3.1
ROUNDS = 4


@contextlib.contextmanager
def listener(where_to, where):
    """The listening side, in the network namespace at this path; a function that returns what it says at its end."""
    address, port = where_to
    command = ["nsenter", f"--net={where}", *PROGRAM, "listen", address, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "listening\n"
            yield lambda: process.communicate(timeout=10)[0]
        finally:
            process.kill()


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def _next_number(connection, queue):
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_ON)
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
    number = connection.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ)
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF)
    return number & 0xFFFFFFFF


def _stray(connection):
    """Send a segment of this connection that is far out of its window."""
    received, sent = (_next_number(connection, queue) for queue in (RECEIVED, SENT))
    (own, port), (other, other_port) = connection.getsockname(), connection.getpeername()
    number = (sent + 2**30) & 0xFFFFFFFF
    header = struct.pack("!HHIIHH", port, other_port, number, received, HEADER_WORDS << 12 | ACK, 500)
    text = b"late"
    length = HEADER_WORDS * 4 + len(text)
    pseudo_header = socket.inet_aton(own) + socket.inet_aton(other) + struct.pack("!HH", socket.IPPROTO_TCP, length)
    check = _checksum(pseudo_header + header + bytes(4) + text)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.bind((own, 0))
        raw.sendto(header + struct.pack("!HH", check, 0) + text, (other, 0))


def main(role, address, port):
    """The program."""
    try:
        if role == "listen":
            waiting = socket.create_server((address, int(port)))
            print("listening", flush=True)
            connection, _peer = waiting.accept()
        else:
            connection = socket.create_connection((address, int(port)), timeout=5)
        connection.settimeout(5)
        for turn in range(ROUNDS):
            if turn == 1:
                _stray(connection)
            connection.sendall(b"x")
            if not connection.recv(1):
                print("ended", flush=True)
                return
        print("well", flush=True)
    except OSError as exc:
        print(exc.strerror or exc, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
