# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Ask behind a load balancer for what the userspace datapath can't serve, and answer.

As a program: ``serve ADDRESS`` says "ready" and goes on until somebody ends it; ``datagram ADDRESS`` and
``affinity ADDRESS`` ask port 80 of the load balancer's address, and fail with a word about what was wrong.
"""

from __future__ import annotations

import select
import socket
import sys
import time

DATAGRAMS = 7000
CONNECTIONS = (7001, 7002)
LARGE = b"ovn-k8s " * 625  # 5,000 bytes: four fragments
TRIES = 3  # a datagram may be lost
CONNECTIONS_AFTER = 7  # without affinity one client in 128 would meet the same port at all of them


def serve(address: str) -> None:
    """Send datagrams back, and tell who connects the port."""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((address, DATAGRAMS))
    listeners = [socket.create_server((address, port)) for port in CONNECTIONS]
    print("ready", flush=True)
    while True:
        for ready in select.select([datagrams, *listeners], [], [])[0]:
            if ready is datagrams:
                datagrams.sendto(*datagrams.recvfrom(65535))
            else:
                with ready.accept()[0] as connection:
                    connection.sendall(str(ready.getsockname()[1]).encode())


def ask_with_datagram(address: str) -> None:
    """Send a datagram that needs fragments. The answer needs them too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(5)
        asking.connect((address, 80))
        for _ in range(TRIES):
            asking.send(LARGE)
            try:
                answer = asking.recv(65535)
            except TimeoutError:
                continue
            sys.exit(None if answer == LARGE else f"another answer, of {len(answer)} bytes")
    sys.exit(f"no answer to {TRIES} datagrams of {len(LARGE)} bytes")


def _backend_of(address: str) -> str:
    began = time.monotonic()
    with socket.create_connection((address, 80), timeout=10) as connection:
        backend = connection.recv(16).decode()
    print(f"port {backend} after {time.monotonic() - began:.2f} s")
    return backend


def ask_for_affinity(address: str) -> None:
    """Connect as a new client, and again. OVN learns from the first packet and drops it: the client sends it again."""
    first = _backend_of(address)
    others = {_backend_of(address) for _ in range(CONNECTIONS_AFTER)} - {first}
    if others:
        sys.exit(f"the first connection went to port {first}, later ones to {', '.join(others)} too")


if __name__ == "__main__":
    {"serve": serve, "datagram": ask_with_datagram, "affinity": ask_for_affinity}[sys.argv[1]](sys.argv[2])
