# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each ADD has made, kept as one small file for each attachment until DEL.

With it a port that somebody has taken away is made again for the pod that runs. The files are below /run, as the pods'
network namespaces are: neither outlives a boot. They are written by the loop's thread, since that costs less than to
ask another one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

from ..._common import addressing
from ..._common.files import FileContent, read_regular_file, remove_file, write_file
from ..annotation import MAC, PodNetwork, PodRoute
from ..interface import Attachment, PodInterface

LOG = logging.getLogger("ovn-k8s-node")
LARGEST = 1 << 16  # bytes; a record has less than a thousand


class Records(Mapping[Attachment, PodInterface]):
    """The interfaces that pods of this node have.

    :param directory: where the files are; only root may read them.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._interfaces: dict[Attachment, PodInterface] = {}

    def __getitem__(self, attachment: Attachment) -> PodInterface:
        return self._interfaces[attachment]

    def __iter__(self) -> Iterator[Attachment]:
        return iter(self._interfaces)

    def __len__(self) -> int:
        return len(self._interfaces)

    def read(self) -> None:
        """Read all files. One that can't be understood is removed, with a line in the log."""
        with contextlib.suppress(FileNotFoundError):
            for entry in list(os.scandir(self._directory)):
                try:
                    interface = _parse(entry.path)
                except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
                    LOG.warning("the record %s can't be used and is removed: %s", entry.path, exc)
                    with contextlib.suppress(OSError):
                        os.unlink(entry.path)
                    continue
                self._interfaces[interface.attachment] = interface

    def add(self, interface: PodInterface) -> None:
        """Keep what was made. :raises OSError: it can't be written."""
        os.makedirs(self._directory, 0o700, exist_ok=True)
        text = json.dumps(dataclasses.asdict(interface), sort_keys=True)
        write_file(self._path(interface.attachment), FileContent(text + "\n", 0o600))
        self._interfaces[interface.attachment] = interface

    def remove(self, attachment: Attachment) -> None:
        """Forget an attachment. It may be unknown."""
        self._interfaces.pop(attachment, None)
        with contextlib.suppress(OSError):
            remove_file(self._path(attachment))

    def _path(self, attachment: Attachment) -> str:
        """Return the file of an attachment; the name of its link is a hash, and fits."""
        return os.path.join(self._directory, attachment.host_link)


def _parse(path: str) -> PodInterface:
    """Return the interface in a file.

    :raises OSError: it can't be read.
    :raises ValueError, TypeError, KeyError, AttributeError, RecursionError: it is not a record.
    """
    fields: dict[str, Any] = json.loads(read_regular_file(path, LARGEST))
    container, ifname = fields.pop("attachment")
    network = dict(fields.pop("network"))
    for key in ("addresses", "gateways"):
        network[key] = tuple(network[key])
    network["routes"] = tuple(PodRoute(*route) for route in network["routes"])
    interface = PodInterface(Attachment(container, ifname), network=PodNetwork(**network), **fields)
    _check(interface)
    if interface.host_link != os.path.basename(path):
        raise ValueError(f"it is about {interface.host_link}")
    return interface


def _check(interface: PodInterface) -> None:
    """Check the values, which become rows, links and routes. :raises ValueError, TypeError: one can't be right."""
    network = interface.network
    texts = [*interface.attachment, interface.netns, interface.namespace, interface.pod, interface.uid]
    texts += [interface.network_name, network.mac, *network.addresses, *network.gateways]
    texts += [text for route in network.routes for text in route]
    numbers = [interface.mtu, *(rate for rate in (network.egress_rate, network.ingress_rate) if rate is not None)]
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        raise ValueError("a text in it can't be right")
    are_numbers = all(isinstance(one, int) and not isinstance(one, bool) and one > 0 for one in numbers)
    if not are_numbers or not isinstance(interface.userspace, bool):
        raise ValueError("a number in it can't be right")
    if not MAC.fullmatch(network.mac):
        raise ValueError(f"{network.mac} is no MAC")
    for cidr in network.addresses:
        addressing.interface(cidr)
    for ip in (*network.gateways, *(route.next_hop for route in network.routes)):
        addressing.address(ip)
    for route in network.routes:
        addressing.network(route.destination)
