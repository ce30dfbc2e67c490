# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A node in a network namespace of its own, and pods' namespaces."""

from __future__ import annotations

from node_fixtures import namespace, node, ready, sandbox

__all__ = ["namespace", "node", "ready", "sandbox"]
