# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The node's own rows in the host's Open_vSwitch database, which tell whether pods can be served."""

from __future__ import annotations

from dataclasses import dataclass

from ..._common import names
from ..._ovsdb.replica import Replica
from ..._ovsdb.rows import CurrentRow, Owner
from ..._ovsdb.values import as_set

NODE = Owner("Node", "host")
MANAGEMENT_ROLE = "management-interface"


@dataclass(frozen=True)
class NodeFacts:
    """What the node's own rows tell.

    :ivar mtu: of the pods' network, in bytes.
    :ivar userspace: whether br-int has the userspace datapath.
    """

    mtu: int
    userspace: bool


class OwnRows:
    """What the rows tell.

    :param replica: the copy of the database.
    """

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def bridge(self) -> CurrentRow | None:
        """Return br-int, None: there is none."""
        row: CurrentRow | None = self._replica.named("Bridge", names.INTEGRATION_BRIDGE)
        return row

    def _management(self) -> CurrentRow | None:
        """Return the interface of the management port."""
        rows = self._replica.owned(NODE, ("Interface",))
        return next((row for row in rows if row.role == MANAGEMENT_ROLE), None)

    def problem(self) -> str | None:
        """Return why no pod can get a port now, in one sentence; None when it can."""
        if not self._replica.connected:
            return "Open vSwitch's database does not answer: look at systemctl status ovsdb-server"
        management = self._management()
        if self.bridge() is None or management is None or not management.columns["mtu_request"]:
            return "this host is not a node of the overlay (yet): run ovn.kubernetes.site"
        return None

    def flows_problem(self) -> str | None:
        """Return why ovn-controller seems not to serve this host, in one sentence; None when it does."""
        management = self._management()
        if management is None or not has_flows(management):
            return (
                "ovn-controller has not installed the flows of this node's own port: "
                "look at systemctl status ovn-controller"
            )
        return None

    def facts(self) -> NodeFacts:
        """Return what the node's own rows tell; :meth:`problem` must be None."""
        bridge, management = self.bridge(), self._management()
        if bridge is None or management is None:
            raise AssertionError("readiness was not checked before")
        return NodeFacts(as_set(management.columns["mtu_request"])[0], bridge.columns["datapath_type"] == "netdev")


def has_flows(row: CurrentRow) -> bool:
    """Return whether ovn-controller has installed the flows of an interface."""
    return row.external_id(names.INSTALLED_KEY) == "true"
