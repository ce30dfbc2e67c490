# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which addresses a pod without port has already, as far as its object can be believed.

Users may write the annotations of their pods. The status is the kubelet's: it counts first. Neither gives a pod more
than one address of each IP version, nor one that its node's pods don't get.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .._common.errors import SettingsError
from . import annotation, northbound
from .addresses import is_for_pods
from .model import Pod


def of_status(pod: Pod, subnets: Sequence[str], is_foreign: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the addresses that the kubelet has reported.

    An address of an earlier subnet of the node counts when the pod's own annotation has it too: a pod of another
    network plugin has none.

    :param subnets: of the pod's node.
    :param is_foreign: whether an address is in a subnet of any node.
    """
    return tuple(
        ip
        for ip in pod.status_ips
        if is_for_pods(ip, subnets) or (not is_foreign(ip) and ip in annotated(pod))  # the latter costs most
    )


def annotated(pod: Pod) -> tuple[str, ...]:
    """Return the addresses that a pod's own annotations tell of, wherever they are; none where MAC or gateways are not
    those that the watcher gives with such addresses.
    """
    if not pod.is_annotated:
        return ()
    try:
        told = annotation.parse(pod.annotations._replace(egress_bandwidth=None, ingress_bandwidth=None))
        if told is None or told != northbound.network(told.addresses):
            return ()
    except (annotation.AnnotationError, SettingsError):  # the latter: a prefix length that leaves no router
        return ()
    return annotation.claimed_addresses(pod.annotations)


def of_annotation(pod: Pod, subnets: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses that the annotations tell of; none when they are not this pod's own.

    :param subnets: of the pod's node.
    """
    subnets = tuple(subnets)
    addresses = annotated(pod)
    return addresses if all(is_for_pods(ip, subnets) for ip in addresses) else ()
