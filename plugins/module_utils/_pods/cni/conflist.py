# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The runtime's network configuration: what the node's own says, what others have added to it, and which of others come
before it.

Service meshes add their plugin to the list of the network that they find, and it sets up a pod after ours.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ..._common import names
from ..._common.files import read_regular_file
from .protocol import VERSIONS

# A version that every runtime in use knows: containerd 1.7 knows none after it. A runtime that knows "cniVersions"
# takes the highest that it has, and calls STATUS from 1.1.0 on.
OLDEST = "1.0.0"
NETWORK = "ovn-kubernetes"
PLUGIN = re.compile(r"[!-.0-~]{1,100}")
LONGEST = 1 << 16  # characters of a configuration
MOST_ADDED = 16  # plugins of others in ours
MOST_FILES = 8  # of others that are told of
EXTENSIONS = (".conf", ".conflist", ".json")  # that runtimes read (ConfFiles of CNI's library)
# They call the plugins of other networks, which a configuration elsewhere may name.
META_PLUGINS = ("multus", "multus-shim", "genie", "danm")


def configuration(mtu: int | None, current: str = "") -> str:
    """Return the node's configuration list for the runtime.

    :param mtu: of the pods' network, in bytes; None: it can't be known now.
    :param current: the list as it is: plugins that others have added to it stay where they are. One that means the
        same is returned as it is.
    """
    ours = {"type": names.CNI_PLUGIN, **({} if mtu is None else {"mtu": mtu})}
    found = _plugins(_parsed(current))
    kinds = [plugin["type"] for plugin in found]
    place = kinds.index(names.CNI_PLUGIN) if names.CNI_PLUGIN in kinds else 0
    before, after = _added(found[:place]), _added(found[place:])
    content = {
        "cniVersion": OLDEST,
        "cniVersions": [version for version in VERSIONS if version >= OLDEST],
        "name": NETWORK,
        "plugins": [*before, ours, *after],
    }
    return current if _parsed(current) == content else json.dumps(content, indent=2) + "\n"


def added(current: str) -> list[str]:
    """Return the types of the plugins that others have added to the node's list."""
    return [plugin["type"] for plugin in _added(_plugins(_parsed(current)))]


class Earlier(NamedTuple):
    """A configuration that the runtime takes instead of the node's, since its name sorts first.

    :ivar plugins: the types of its plugins; empty: it can't be read.
    :ivar is_meta: a plugin in it calls those of other networks, which it does not name.
    """

    path: str
    plugins: tuple[str, ...]
    is_meta: bool = False

    def describe(self, own: str) -> str:
        """Return what is wrong. :param own: path of the node's configuration."""
        has = f"has {', '.join(self.plugins):.200}" if self.plugins else "can't be read"
        return f"{ascii(self.path)[1:-1]:.200} {has}, and comes before {os.path.basename(own)}"

    @property
    def causes(self) -> str:
        """What follows."""
        if self.is_meta:
            return "new pods have this overlay's network only where that plugin passes it on"
        return "new pods get their network from there, or none: this overlay does not know them"

    @property
    def mend(self) -> str:
        """What to do."""
        if self.is_meta:
            return f"have that plugin name the network {NETWORK}, or remove its program, then the file"
        return "remove the program that writes it, then the file; then delete the pods that it has connected"


def earlier(own: str) -> list[Earlier]:
    """Return the configurations of others that the runtime takes first, :data:`MOST_FILES` at most.

    Runtimes take the first name in the order of bytes. One that calls our plugin, or a meta plugin that names our
    network, is left out.

    :param own: path of the node's configuration.
    """
    folder, name = os.path.split(own)
    try:
        first = sorted(other for other in os.listdir(folder) if other < name and other.endswith(EXTENSIONS))
    except OSError:
        return []  # there is no folder
    found = (_earlier(os.path.join(folder, other)) for other in first[: 4 * MOST_FILES])
    return [other for other in found if other][:MOST_FILES]


def _earlier(path: str) -> Earlier | None:
    if os.path.isdir(path):
        return None
    try:
        content = _parsed(read_regular_file(os.path.realpath(path), LONGEST).decode())
    except (OSError, ValueError):
        content = {}
    kinds = tuple(plugin["type"] for plugin in (_plugins(content) or _typed([content]))[:MOST_ADDED])
    is_meta = any(kind in META_PLUGINS for kind in kinds)
    if any(text == names.CNI_PLUGIN or (is_meta and NETWORK in text) for text in _texts(content)):
        return None
    return Earlier(path, kinds, is_meta)


def _parsed(text: str) -> dict[str, Any]:
    """Return a configuration; empty where the text is none."""
    try:
        content = json.loads(text) if len(text) <= LONGEST else None
    except (ValueError, RecursionError):
        content = None
    return content if isinstance(content, dict) else {}


def _plugins(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the plugins of a list."""
    plugins = content.get("plugins")
    return _typed(plugins) if isinstance(plugins, list) else []


def _typed(plugins: Iterable[Any]) -> list[dict[str, Any]]:
    """Return those that are plugins: their type is the name of a file."""
    found = (one for one in plugins if isinstance(one, dict) and isinstance(one.get("type"), str))
    return [one for one in found if PLUGIN.fullmatch(one["type"])]


def _added(plugins: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those that are not ours."""
    return [plugin for plugin in plugins if plugin["type"] != names.CNI_PLUGIN][:MOST_ADDED]


def _texts(content: Any) -> Iterator[str]:
    """Yield all texts in a configuration."""
    rest = [content]
    while rest:
        one = rest.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            rest += one.values()
        elif isinstance(one, list):
            rest += one
