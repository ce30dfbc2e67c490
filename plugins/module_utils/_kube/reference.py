# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Name an object of Kubernetes that an event is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Reference(NamedTuple):
    """An object of the API.

    :ivar kind: as Kubernetes spells it, for example ``Pod``.
    :ivar namespace: empty for an object that has none, such as a node.
    :ivar uid: for a node its name, as the kubelet writes it: ``kubectl describe node`` looks for that.
    :ivar api_version: group and version of the API.
    """

    kind: str
    namespace: str
    name: str
    uid: str
    api_version: str = "v1"

    def __str__(self) -> str:
        return f"{self.kind.lower()} {self.namespace}/{self.name}".replace(" /", " ")


def node(name: str) -> Reference:
    """Return a node."""
    return Reference("Node", "", name, name)


# Called with an object, a reason of an event (one word in CamelCase, for programs), and its message, one sentence.
OnEvent = Callable[[Reference, str, str], object]
