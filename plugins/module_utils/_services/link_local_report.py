# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell the watcher which link-local addresses this host carries."""

from __future__ import annotations

from collections.abc import Iterable

from .._common import names
from .._kube.client import Client
from .._netlink.records import KernelAddress
from . import link_local
from .node_report import LOG, NodeReport


class LinkLocalReport(NodeReport):
    """The annotation, kept as the host is.

    :param client: acts as the node.
    :param node: its name in Kubernetes.
    """

    def __init__(self, client: Client, node: str) -> None:
        words = "link-local addresses that this node's pods reach"
        super().__init__(client, node, names.LINK_LOCAL_ANNOTATION, words)
        self._left_out: list[str] = []

    def set(self, addresses: Iterable[KernelAddress]) -> None:
        """Take in the addresses that the host has now."""
        found = link_local.candidates(addresses)
        left_out = found[link_local.MOST :]
        is_new, self._left_out = left_out != self._left_out, left_out
        if left_out and is_new:
            LOG.warning("%s", self._too_many())
        self.replace(link_local.usable(found[: link_local.MOST]))

    def problem(self) -> str | None:
        """Return which addresses pods don't reach, and why, in one sentence; None: they reach all."""
        if self._failure:
            return f"pods don't reach {', '.join(self._addresses or ())}, or where it was: {self._failure}"
        return self._too_many()

    def _too_many(self) -> str | None:
        if not self._left_out:
            return None
        shown, most = ", ".join(self._left_out[: link_local.MOST]), link_local.MOST
        return f"pods don't reach {shown}: {most} link-local addresses of a host count"
