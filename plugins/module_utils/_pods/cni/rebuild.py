# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The record of an attachment that has none: an earlier release has made it, or its record could not be read. Its port
says what it has, and its pod's annotation the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..._common import names
from ..._ovsdb.rows import CurrentRow
from ..annotation import AnnotationError
from ..interface import Attachment, PodInterface
from ..model import Pod
from .own_rows import NodeFacts


def rebuilt(attachment: Attachment, row: CurrentRow, pods: Mapping[str, Pod], node: NodeFacts) -> PodInterface | None:
    """Return what ADD has made; None: the port does not say enough, or its pod is gone or has no network.

    :param row: of its interface.
    :param pods: ``namespace/name`` -> pod.
    """
    netns, mac = row.external_id(names.NETNS_KEY), row.external_id("attached_mac")
    addresses = tuple(filter(None, (row.external_id("ip_address") or "").split(",")))
    namespace, _underscore, name = (row.external_id("iface-id") or "").partition("_")
    pod = pods.get(f"{namespace}/{name}")
    uid = row.external_id("iface-id-ver")
    if pod is None or not pod.has_uid(uid or "") or not (netns and mac and addresses):
        return None
    try:
        annotated = pod.network()
    except AnnotationError:
        return None
    if annotated is None:
        return None
    network = replace(annotated, mac=mac, addresses=addresses)
    return PodInterface(
        attachment,
        netns,
        namespace,
        name,
        pod.identity,
        network,
        node.mtu,
        node.userspace,
        row.external_id(names.NETWORK_KEY) or "",
    )
