# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The Kubernetes of the lab's hosts, and web pods on it that are asked from a pod, from hosts and from outside."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import json
import ssl
import subprocess
import urllib.parse

import yaml
from lab_hosts import ROOT, on, wait

CLUSTER = ROOT / "molecule" / "kubernetes" / "cluster"
ADMIN = ROOT / ".cache" / "lab" / "admin.kubeconfig"
INVENTORY = ROOT / "molecule" / "kubernetes" / "inventory"
WEB = ROOT / "molecule" / "kubernetes" / "files" / "web.yaml"
GATEWAY = "10.55.0.11"  # ovn-node1's address outside
NODE_PORT = 30080


@functools.cache
def _kubectl():
    where = [str(ROOT / "tests" / "tools" / "kubernetes"), "--where"]
    done = subprocess.run(where, check=True, capture_output=True, text=True, timeout=60)
    return f"{done.stdout.strip()}/kubectl", f"--kubeconfig={ADMIN}"


def kubectl(*arguments, check=True, limit=120, content=None):
    """kubectl as the administrator; its output."""
    done = subprocess.run(
        [*_kubectl(), *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=limit,
        input=content,
    )
    if check and done.returncode:
        raise AssertionError(f"kubectl {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
    return done.stdout if check else done


def get(kind, name="", namespace="default", **selectors):
    """An object, or all of a kind, from the API server, without a program in between: tests ask again and again.

    :param kind: as in paths of the core API, ``pods``.
    :param namespace: None: of all namespaces.
    :param selectors: ``labelSelector`` and ``fieldSelector``.
    """
    inside = [] if namespace is None or kind == "nodes" else ["namespaces", namespace]
    path = "/".join(["/api/v1", *inside, kind, *filter(None, [name])])
    try:
        status, text = _ask(f"{path}?{urllib.parse.urlencode(selectors)}")
    except OSError as exc:
        raise AssertionError(f"{path}: {exc}") from exc
    assert status == 200, f"{path}: {text}"
    return json.loads(text)


def _ask(path):
    config = yaml.safe_load(ADMIN.read_text(encoding="utf-8"))
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    server = cluster["server"].removeprefix("https://")
    context = ssl.create_default_context(cadata=authority)
    with contextlib.closing(http.client.HTTPSConnection(server, timeout=60, context=context)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Bearer {user['token']}"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def run_in(pod, *command, check=True):
    """A command in a pod."""
    return kubectl("exec", pod, "--", *command, check=check)


class Web:
    """The web pods, their service, and the pod that asks."""

    def __init__(self):
        kubectl("apply", "--filename", WEB)
        kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=90s")
        self.address = get("services", "web")["spec"]["clusterIP"]
        self.read()

    def read(self):
        """Wait until all run, and take their names."""
        kubectl("rollout", "status", "deployment/web", "--timeout=90s")
        self.pods = {
            pod["metadata"]["name"]: pod["spec"]["nodeName"]
            for pod in get("pods", labelSelector="app=web")["items"]
            if not pod["metadata"].get("deletionTimestamp")
        }

    def remove(self):
        """Take it all away."""
        kubectl("delete", "--now", "--ignore-not-found", "--filename", WEB)

    def from_pod(self):
        """One answer of the service to a pod: the name of the web pod."""
        return run_in(
            "client", "curl", "--silent", "--show-error", "--max-time", "10", f"http://{self.address}/hostname"
        )

    def from_host(self, host):
        """One answer of the service to a host."""
        return on(host, f"curl --silent --show-error --max-time 10 http://{self.address}/hostname")

    def from_outside(self, address=GATEWAY):
        """One answer of the node port to a host that is none of the cluster's."""
        return on("ovn-outside", f"curl --silent --show-error --max-time 10 http://{address}:{NODE_PORT}/hostname")

    def all_answer(self, ask):
        """Ask until each web pod has answered; the number of questions.

        A host that does not serve a new service yet refuses connections to its own ports; from the first answer on
        each one counts.
        """
        seen, asked = set(), 0

        def once():
            nonlocal asked
            asked += 1
            try:
                seen.add(ask())
            except AssertionError:
                if seen:
                    raise
            return seen >= set(self.pods)

        wait(once, 60, f"answers of all of {sorted(self.pods)}")
        return asked
