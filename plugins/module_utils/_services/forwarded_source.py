# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The source of what a host forwards, once the overlay leads the answers back.

An upgrade gives a host new programs before the masters' rows say that its management port has the address
(:mod:`.node_subnet`). Until they do clients are masqueraded, as before: their answers would get lost.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from .._common import names
from .._common.errors import DatabaseError
from .._common.node_subnet import host_addresses
from .._ovsdb import access
from .._ovsdb.connection import Connection
from .._ovsdb.converge import read_rows
from .._ovsdb.rows import Query
from .._ovsdb.values import as_set

LOG = logging.getLogger("ovn-k8s-node")
PATIENCE = 3.0  # seconds for the database to answer
# Seconds after which a database that did not answer is asked again, at the next check: rules do not wait for it at each
# change of a service.
SILENCE = 20.0


class ForwardedSource:
    """The addresses of one host.

    :param node: the node's name.
    :param subnets: the node's; empty: there are no such addresses.
    :param southbound: remote of the Southbound database; empty: nobody is asked, and they are led here.

    :ivar is_led: whether the overlay leads answers here; None: nobody has said it yet.
    """

    def __init__(self, node: str, subnets: Sequence[str] = (), southbound: str = "") -> None:
        self._port = names.management_port(node)
        self._addresses = tuple(host_addresses(subnet).forwarded for subnet in subnets)
        self._southbound = southbound
        self.is_led: bool | None = None if southbound and subnets else True
        self._silent_until = 0.0
        self._told: set[str] = set()

    def read(self) -> tuple[str, ...]:
        """Return the addresses to use now, none as long as the overlay is known not to know them. It blocks.

        A database that does not answer changes nothing that is known, and brings the former way not back: whoever may
        be seen as the host itself is let in by policies. It is asked again until it has said that they are led here.
        """
        if not self.is_led and time.monotonic() >= self._silent_until:
            self._ask()
        return () if self.is_led is False else self._addresses

    def _ask(self) -> None:
        try:
            known = self._known_addresses()
        except DatabaseError as error:
            self._silent_until = time.monotonic() + SILENCE
            self._warn_once(
                "silence", f"the Southbound database does not say which addresses {self._port} has: {error}"
            )
            return
        if known is None:  # a new host: its rows come later than its programs
            return
        self.is_led = known.issuperset(self._addresses)
        if not self.is_led:
            self._warn_once(
                "former",
                "what this host forwards has the host's own address until a site play has brought the overlay's rows "
                "to this release: network policies take clients of node ports for the host",
            )

    def _warn_once(self, kind: str, text: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            LOG.warning("%s", text)

    def _known_addresses(self) -> set[str] | None:
        """Return the addresses that the port has in the database; None: there is no port.

        :raises DatabaseError: the database does not answer.
        """
        found = access.chassis(self._southbound)
        connection = Connection(found.remote, names.SOUTHBOUND, PATIENCE, found.tls, leader_only=False)
        try:
            ports = read_rows(connection, [Query("Port_Binding", (("logical_port", "==", self._port),), ("mac",))])
        finally:
            connection.close()
        if not ports:
            return None
        return {word for port in ports for line in as_set(port.columns["mac"]) for word in str(line).split()}
