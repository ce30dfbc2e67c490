# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The source of what a host forwards, once the overlay leads the answers back.

An upgrade gives a host new programs before the masters' rows say that its management port has the address
(:mod:`.node_subnet`). Until they do clients are masqueraded, as before: their answers would get lost.
"""

from __future__ import annotations

import logging
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


class ForwardedSource:
    """The addresses of one host.

    :param node: the node's name.
    :param subnets: the node's; empty: there are no such addresses.
    :param southbound: remote of the Southbound database; empty: nobody is asked, and they are led here.

    :ivar is_led: whether the overlay leads answers here, as far as is known.
    """

    def __init__(self, node: str, subnets: Sequence[str] = (), southbound: str = "") -> None:
        self._port = names.management_port(node)
        self._addresses = tuple(host_addresses(subnet).forwarded for subnet in subnets)
        self._southbound = southbound
        self.is_led = not (southbound and subnets)
        self._has_told = False

    def read(self) -> tuple[str, ...]:
        """Return the addresses to use now, none before the overlay knows them. It blocks.

        A database that does not answer does not bring the former way back: whoever may be seen as the host itself is
        let in by policies.
        """
        if not self.is_led:
            self.is_led = not self._is_missing()
            if not self.is_led and not self._has_told:
                self._has_told = True
                LOG.warning(
                    "what this host forwards has the host's own address until a site play has brought the overlay's "
                    "rows to this release: network policies take clients of node ports for the host"
                )
        return self._addresses if self.is_led else ()

    def _is_missing(self) -> bool:
        """Return whether the database says that the port has not all of the addresses."""
        try:
            found = access.chassis(self._southbound)
            connection = Connection(found.remote, names.SOUTHBOUND, PATIENCE, found.tls, leader_only=False)
            try:
                ports = read_rows(connection, [Query("Port_Binding", (("logical_port", "==", self._port),), ("mac",))])
            finally:
                connection.close()
        except DatabaseError as error:
            LOG.info("the Southbound database does not say which addresses %s has: %s", self._port, error)
            return False
        known = {word for port in ports for line in as_set(port.columns["mac"]) for word in str(line).split()}
        return bool(ports) and not known.issuperset(self._addresses)
