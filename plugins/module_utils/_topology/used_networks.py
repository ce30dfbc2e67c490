# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host has and uses of the overlay's networks already: led into the overlay, it would be cut off.

The controller asks every host before the first change on any, and each host's own part refuses it once more.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import urllib.parse
from typing import TYPE_CHECKING

from .._common import addressing, names, remotes
from .._common.errors import DatabaseError, HostError, KubernetesError
from .._host.rows import COLUMNS
from .._host.used import Networks, Use, read_uses
from .._kube.settings import Settings as Access
from .._netlink.plain import plain_messages
from .._ovsdb.connection import Connection
from .._ovsdb.converge import read_rows
from .._ovsdb.rows import Owner, Query, includes
from .own_facts import own_links, saved_networks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from .._ovsdb.rows import CurrentRow

ADVICE = "choose a network that nothing else uses"
API_SERVER = "the API server"
SOUTHBOUND = "the Southbound database"
PATIENCE = 3.0  # seconds for Open vSwitch and for name servers to answer


def uses_of_host(
    pods: Sequence[str], others: Sequence[str], links: Collection[str], peers: Mapping[str, str]
) -> list[Use]:
    """Return what this host has and uses of the networks.

    :param pods: the networks of pods.
    :param others: those of services and of routers.
    :param links: the overlay's own links.
    :param peers: address -> what it is for this host.
    :raises HostError: it can't be read.
    """
    networks = Networks(tuple(pods), tuple(others), saved_networks())
    return read_uses(networks, links, {**dict.fromkeys(_api_servers(), API_SERVER), **peers})


def in_use(pods: Sequence[str], others: Sequence[str], peers: Sequence[str]) -> list[dict[str, str]]:
    """Return what this host uses of the networks as a fact: ``network``, and ``use`` as a clause.

    Nothing has to be installed here.

    :param peers: addresses and names of API servers.
    :raises HostError: it can't be read.
    """
    api_servers = dict.fromkeys(_resolved(peers), API_SERVER)
    with plain_messages():
        found = uses_of_host(pods, others, own_links(_link_rows()), api_servers)
    return [{"network": use.network, "use": use.text} for use in found]


def refusal(pods: Collection[str], found: Iterable[Use]) -> HostError | None:
    """Return the error about the first use of a node's networks; None: there is none.

    :param pods: the networks of pods.
    """
    for use in found:
        option = "cluster_ip_subnet" if use.network in pods else "routes"
        return HostError(f"{option} {use.network} overlaps {use.text}: {ADVICE}")
    return None


def southbound_peers(remote: str) -> dict[str, str]:
    """Return the addresses of the Southbound database, ``ssl:10.33.74.10:6642,...``, with what they are."""
    return dict.fromkeys(remotes.addresses(remote), SOUTHBOUND)


def _api_servers() -> list[str]:
    """Return the addresses of the API server that programs of this host use; those of names are left out."""
    found = []
    for path in (names.NODE_ACCESS, names.WATCHER_ACCESS):
        with contextlib.suppress(KubernetesError, ValueError):
            for server in Access.read(path).servers:
                ip = addressing.normalized(urllib.parse.urlsplit(server).hostname)
                found += [ip] if ip else []
    return found


def _link_rows(remote: str = names.LOCAL_SOCKET) -> Sequence[CurrentRow]:
    """Return the rows of the node's links; none where Open vSwitch does not run, or the library for it is missing."""
    if not os.path.exists(remote.partition(":")[2]):
        return []
    is_ours = includes("external_ids", Owner("Node", "host").keys())
    try:
        connection = Connection(remote, names.LOCAL, PATIENCE)
        try:
            return read_rows(connection, [Query("Interface", (is_ours,), COLUMNS["Interface"])])
        finally:
            connection.close()
    except DatabaseError:
        return []


def _resolved(hosts: Iterable[str]) -> list[str]:
    """Return the addresses of hosts; none of a name that is not known within seconds."""
    found: list[str] = []

    def resolve(host: str) -> None:
        with contextlib.suppress(OSError, UnicodeError):
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            found.extend(filter(None, (addressing.normalized(str(answer[4][0])) for answer in answers)))

    # A resolver can't be told to give up.
    threads = [threading.Thread(target=resolve, args=(host,), daemon=True) for host in hosts]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return list(found)
