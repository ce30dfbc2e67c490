# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which kinds an API server has, by its own lists (Kubernetes, "The Kubernetes API": discovery).

A 404 alone says little: a proxy whose way to the API server is lost answers so too, and the API server's own one for a
group that it does not have is no ``Status``. Its lists of groups and of resources are answers that nobody else gives.
Each account may read them, unless a cluster has taken that right away (the role ``system:discovery``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common.errors import KubernetesError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .client import Client

GROUPS = "/apis"


async def is_served(client: Client, path: str) -> bool:
    """Return whether the API server has a kind.

    :param path: of its collection, of all namespaces: ``/apis/GROUP/VERSION/RESOURCE``.
    :raises KubernetesError: it does not say.
    """
    parent, _slash, resource = path.rpartition("/")
    _empty, _apis, group, version = parent.split("/")
    groups = _named(await client.get(GROUPS), GROUPS, "APIGroupList", "groups")
    versions = groups[group].get("versions") if group in groups else None
    if not any(isinstance(one, dict) and one.get("version") == version for one in versions or ()):
        return False
    return resource in _named(await client.get(parent), parent, "APIResourceList", "resources")


def _named(answer: object, path: str, kind: str, field: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the entries of a list by their names. :raises KubernetesError: it is no such list."""
    entries = answer.get(field) if isinstance(answer, dict) and answer.get("kind") == kind else None
    if not isinstance(entries, list) or not all(isinstance(one, dict) and one.get("name") for one in entries):
        raise KubernetesError(f"{path} is no list of what the API server has")
    if not entries and path == GROUPS:
        raise KubernetesError(f"{path} has no groups: that is no API server which is ready")
    return {str(one["name"]): one for one in entries}
