# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Pods of Kubernetes that begin while tokens, keys and CAs are replaced: each becomes ready, at its first attempt."""

from __future__ import annotations

import json
import threading
import time

import pytest
from lab_hosts import HOSTS, on, wait
from lab_kubernetes import kubectl
from lab_masters import converge, whole
from lab_running_pods import delete, make, running

TOKENS = "/etc/ovn-kubernetes/*.token"
LONGEST = 60  # seconds until a pod is ready


class Pods:
    """Pods that begin one after another, on two nodes in turn, until it ends.

    :ivar times: seconds until each was ready.
    :ivar failed: what became of the others.
    """

    def __init__(self):
        self.times, self.failed = [], []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._begin_and_end, daemon=True)

    def __enter__(self):
        self._thread.start()
        wait(lambda: self.times or self.failed, LONGEST, "a first pod")
        return self

    def __exit__(self, *_failure):
        self._ended.set()
        self._thread.join(2 * LONGEST)
        assert not self._thread.is_alive()

    def _begin_and_end(self):
        number = 0
        while not self._ended.is_set():
            name, number = f"drill-{number}", number + 1
            began = time.monotonic()
            try:
                make(name, HOSTS[1 + number % 2])
                wait(lambda name=name: running(name), LONGEST, f"{name} to be ready")
                self.times.append(time.monotonic() - began)
            except AssertionError as error:
                self.failed.append(str(error))
            finally:
                delete(name)


def new_tokens():
    """Replace the tokens of all hosts: those that are gone are issued anew."""
    for host in HOSTS:
        on(host, f"rm -f {TOKENS}")
    converge("site").ok()


def rotate(what):
    """Replace keys or a CA."""
    converge("site", "-e", json.dumps({"ovn_tls_rotate": [what]})).ok()


CHANGES = {
    "tokens": new_tokens,
    "keys": lambda: rotate("keys"),
    "chassis_ca": lambda: rotate("chassis_ca"),
    "central_ca": lambda: rotate("central_ca"),
}


def sandboxes_that_failed():
    """How many attempts to begin a pod of the drill have failed, as kubelets have written it."""
    events = json.loads(kubectl("get", "events", "--output=json", "--field-selector=reason=FailedCreatePodSandBox"))
    return sum(one.get("count") or 1 for one in events["items"] if one["involvedObject"]["name"].startswith("drill-"))


@pytest.mark.parametrize("what", CHANGES)
def test_pods_begin_while_secrets_are_replaced(site, tell, what):
    """Protects the users of Kubernetes from what its operators do: no pod waits for a program without a valid token or
    certificate, and none has to begin twice."""
    whole()
    before = sandboxes_that_failed()
    with Pods() as pods:
        CHANGES[what]()
    repeated = sandboxes_that_failed() - before
    longest = max(pods.times, default=0)
    tell(
        f"pods while {what} are replaced",
        f"{len(pods.times)} ready, the slowest after {longest:.1f} s, {len(pods.failed)} failed, {repeated} twice",
    )
    assert pods.failed == [] and repeated == 0
    whole()
    if what.endswith("_ca"):
        converge("site").ok()  # the CA of before leaves
    converge("verify").ok()
