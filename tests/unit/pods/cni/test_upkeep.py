# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects whoever has made a pod from advice that does not help."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.annotation import PodAnnotations
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni.upkeep import Upkeep
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.interface import Attachment
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.model import Pod

LOST = Attachment("one", "eth0")


@pytest.mark.parametrize("is_running", [True, False])
def test_a_sandbox_that_is_lost(is_running):
    """Protects a pod whose next plugin fails: its runtime takes the sandbox away and makes another one, which a new
    pod does not help. A sandbox of a pod that runs comes back with a new pod only.
    """
    pod, told = Pod("ns", "web", "u1", "node1", PodAnnotations(), is_running=is_running), []
    record = SimpleNamespace(ifname="eth0", pod_key=pod.key, uid=pod.uid)
    upkeep = Upkeep(
        SimpleNamespace(records={LOST: record}),
        SimpleNamespace(get=lambda _key, _uid: pod),
        lambda: True,
        lambda _about, reason, message: told.append((reason, message)),
    )
    upkeep.lost_sandbox(LOST)
    ((reason, message),) = told
    assert reason == "NetworkBroken" and message.endswith(": kubectl delete pod -n ns web")
    assert ("the kubelet makes another sandbox" in message) is not is_running
