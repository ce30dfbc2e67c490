# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects least privilege: what the accounts of nodes and of the watcher may do, asked of a real API server, and that
they renew their own tokens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import stat
import time

import pytest
from module_calls import call

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import APIRefused
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube import token as tokens
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.accounts import ROLES, node_user
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.client import Client
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.servers import CANNOT_SERVE
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.settings import Settings
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.policies import OF_ADMINISTRATORS


@pytest.fixture
def as_account(kubernetes, admin, tmp_path):
    """Runs a coroutine function with a client that has an account's token, as its program would."""

    def run(work, account, node=None):
        path = tmp_path / account
        tokens.write(str(path), call("ovn_kubernetes_token", **admin, accounts=[account])["tokens"][account])
        settings = {"server": kubernetes.url, "ca_file": str(kubernetes.ca_file), "token_file": str(path)}
        if node:
            settings["user"], settings["group"] = node_user(node)
        (tmp_path / "settings.json").write_text(json.dumps(settings))

        async def main():
            client = Client(Settings.read(str(tmp_path / "settings.json")))
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(main())

    return run


def status(error):
    return error.value.status


def test_a_nodes_account_sees_its_pods_and_no_others(access, kubernetes, as_account):
    """Protects W14, the other nodes' pods, and everything else, when a node is lost to somebody."""
    access()
    for node in ("node1", "node2"):
        kubernetes.add_node(node)
        kubernetes.add_pod(f"on-{node}", node)

    async def look(client):
        own = await client.get("/api/v1/pods", fieldSelector="spec.nodeName=node1")
        assert [pod["metadata"]["name"] for pod in own["items"]] == ["on-node1"]
        for node in ("node2", "node1"):
            kubernetes.add_pod(f"later-on-{node}", node)
        async for event in client.watch(
            "/api/v1/pods", own["metadata"]["resourceVersion"], {"fieldSelector": "spec.nodeName=node1"}, seconds=5
        ):
            if event["type"] != "BOOKMARK":
                assert event["object"]["metadata"]["name"] == "later-on-node1"
                break
        for path, query in (
            ("/api/v1/pods", {}),
            ("/api/v1/pods", {"fieldSelector": "spec.nodeName=node2"}),
            ("/api/v1/secrets", {}),
            ("/api/v1/namespaces/default/pods/on-node2", {}),
        ):
            with pytest.raises(APIRefused) as refused:
                await client.get(path, **query)
            assert status(refused) == 403
        with pytest.raises(APIRefused) as refused:
            await client.patch(
                "/api/v1/namespaces/default/pods/on-node2/status", {"metadata": {"annotations": {"ovn": "{}"}}}
            )
        assert status(refused) == 403

    as_account(look, "ovn-k8s-node-node1", "node1")


def test_a_nodes_account_can_not_act_as_another_node_or_as_itself(access, as_account):
    access()

    async def look(client):
        with pytest.raises(APIRefused) as refused:
            await client.get("/api/v1/pods", fieldSelector="spec.nodeName=node2")
        assert status(refused) == 403

    as_account(look, "ovn-k8s-node-node1", "node2")
    as_account(look, "ovn-k8s-node-node1")


def test_a_nodes_account_changes_nothing_of_another_node(access, kubernetes, as_account):
    """Protects the other nodes when one is lost to somebody: with its token their Node objects, pods and tokens stay as
    they are, and so do the account's own rights. Roles can't say that; the Node authorizer and NodeRestriction do."""
    access()
    for node in ("node1", "node2"):
        kubernetes.add_node(node)
        kubernetes.add_pod(f"on-{node}", node)
    label, annotation = ({"metadata": {kind: {"a": "b"}}} for kind in ("labels", "annotations"))
    mirror = {
        "metadata": {"name": "mirror", "annotations": {"kubernetes.io/config.mirror": "x"}},
        "spec": {"nodeName": "node2", "containers": [{"name": "c", "image": "i"}]},
    }
    roles = f"{ROLES}/ovn-k8s-node-node1", "/apis/rbac.authorization.k8s.io/v1/clusterroles/ovn-k8s-node-node1"
    everything = {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}

    def attempts(client, node):
        """Changes of what is a node's."""
        yield client.patch(f"/api/v1/nodes/{node}", label)
        yield client.patch(f"/api/v1/nodes/{node}/status", label)
        yield client.patch(f"/api/v1/namespaces/default/pods/on-{node}/status", annotation)
        yield client.delete(f"/api/v1/namespaces/default/pods/on-{node}")

    async def change(client):
        for work in (
            *attempts(client, "node2"),
            client.create("/api/v1/namespaces/default/pods", mirror),
            client.delete("/api/v1/nodes/node2"),
            client.token("ovn-kubernetes", "ovn-k8s-node-node2", 3600),
            client.token("ovn-kubernetes", "ovn-k8s-watcher", 3600),
            *(client.patch(role, everything) for role in roles),
        ):
            with pytest.raises(APIRefused) as refused:
                await work
            assert status(refused) == 403
        for work in attempts(client, "node1"):  # what its own kubelet may do
            await work

    as_account(change, "ovn-k8s-node-node1", "node1")


def test_a_nodes_account_reads_what_services_are(access, as_account):
    """Protects node ports: the host's own part of services is made from these, and they are read only."""
    access()

    async def look(client):
        of_cluster = "/api/v1/nodes", "/apis/networking.k8s.io/v1/servicecidrs"
        for path in (*of_cluster, "/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices"):
            await client.get(path)
            with pytest.raises(APIRefused) as refused:
                await client.create(
                    path if path in of_cluster else path.replace("/v1/", "/v1/namespaces/default/"),
                    {"metadata": {"name": "x"}},
                )
            assert status(refused) == 403

    as_account(look, "ovn-k8s-node-node1")


def test_the_watchers_rights(access, kubernetes, as_account):
    """Protects the cluster: what the network is made from is read, the annotation is written, and nothing beyond."""
    access()
    kubernetes.add_pod("watched", "node3")

    async def look(client):
        for path in (
            "/api/v1/pods",
            "/api/v1/nodes",
            "/api/v1/services",
            "/apis/discovery.k8s.io/v1/endpointslices",
            "/apis/networking.k8s.io/v1/networkpolicies",
            "/apis/networking.k8s.io/v1/servicecidrs",
        ):
            await client.get(path)
        for collection in OF_ADMINISTRATORS.values():
            with pytest.raises(APIRefused) as refused:
                await client.get(collection)
            assert status(refused) == 404  # the kind is not there, and is no secret either
        await client.patch(
            "/api/v1/namespaces/default/pods/watched/status", {"metadata": {"annotations": {"ovn": "{}"}}}
        )
        pod = kubernetes.get("/api/v1/namespaces/default/pods/watched")
        assert pod["metadata"]["annotations"] == {"ovn": "{}"}
        await client.create(
            "/api/v1/namespaces/default/events",
            {
                "metadata": {"name": "e1", "namespace": "default"},
                "involvedObject": {"kind": "Pod", "name": "watched", "namespace": "default"},
            },
        )
        for work in (
            client.get("/api/v1/secrets"),
            client.get("/api/v1/namespaces"),
            client.patch("/api/v1/namespaces/default/pods/watched", {"metadata": {"labels": {"a": "b"}}}),
            client.delete("/api/v1/namespaces/default/pods/watched"),
            client.token("ovn-kubernetes", "ovn-k8s-node-node1", 3600),
        ):
            with pytest.raises(APIRefused) as refused:
                await work
            assert status(refused) == 403

    as_account(look, "ovn-k8s-watcher")


@pytest.mark.parametrize(("account", "node"), [("ovn-k8s-watcher", None), ("ovn-k8s-node-node1", "node1")])
def test_each_program_sees_that_the_server_has_lost_its_database(access, kubernetes, as_account, account, node):
    """Protects the way to another API server: each account may ask for /readyz, and a real server says so there."""
    access()

    async def look(client):
        await client.ready()
        kubernetes._etcd.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(APIRefused) as refused:
                while True:
                    await client.ready()
        finally:
            kubernetes._etcd.send_signal(signal.SIGCONT)
        assert refused.value.status in CANNOT_SERVE
        while True:
            with contextlib.suppress(APIRefused):
                return await client.ready()

    as_account(look, account, node)


@pytest.mark.parametrize(("account", "node"), [("ovn-k8s-watcher", None), ("ovn-k8s-node-node1", "node1")])
def test_a_token_is_renewed_by_its_own_account(access, as_account, account, node):
    """Protects programs that run longer than their token: the next one comes in time, whole, and root's alone."""
    uid = access()["accounts"][account]

    async def renew(client):
        path = client.settings.token_file
        before = tokens.read(path)
        assert tokens.claims(before).uid == uid
        slept = []

        async def sleep(seconds):
            slept.append(seconds)
            if len(slept) == 2:
                raise asyncio.CancelledError

        clock = iter((time.time(), tokens.claims(before).due + 1, time.time())).__next__
        with pytest.raises(asyncio.CancelledError):
            await tokens.keep_fresh(client, clock, sleep)
        after = tokens.claims(tokens.read(path))
        assert tokens.read(path) != before and (after.account, after.uid) == (account, uid)
        assert after.expires - after.issued == pytest.approx(tokens.LIFE, abs=10)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        await client.get(
            "/api/v1/pods", **({"fieldSelector": f"spec.nodeName={node}"} if node else {})
        )  # the new one is used

    as_account(renew, account, node)


def test_a_token_given_by_hand_is_not_renewed(kubernetes, tmp_path):
    """Protects the site play's word: the next play would put the old one back, which has ended by then."""
    kubernetes.create("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "by-hand"}})
    kubernetes.create(
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        {
            "metadata": {"name": "by-hand"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "by-hand", "namespace": "default"}],
        },
    )
    path = tmp_path / "token"
    asked = kubernetes.create(
        "/api/v1/namespaces/default/serviceaccounts/by-hand/token", {"spec": {"expirationSeconds": 3600}}
    )
    before = asked["status"]["token"]
    tokens.write(str(path), before)

    async def main():
        client = Client(Settings(kubernetes.url, str(kubernetes.ca_file), str(path)))

        async def sleep(_seconds):
            raise asyncio.CancelledError

        try:
            await client.get("/api/v1/pods")
            with pytest.raises(asyncio.CancelledError):
                await tokens.keep_fresh(client, iter([tokens.claims(before).due + 1, 0.0]).__next__, sleep)
        finally:
            await client.close()

    asyncio.run(main())
    assert tokens.read(str(path)) == before
