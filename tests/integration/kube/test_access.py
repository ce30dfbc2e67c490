# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The accounts that the site play makes, on a real API server: made once, repaired, removed.

Each has its rights and no others.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pathlib
import re
import shlex
import signal
import stat
import subprocess
import time

import pytest
from kubernetes_server import Refused, programs
from module_calls import call

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible.verify import DELETE, accounts_findings
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import APIRefused
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube import token as tokens
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.accounts import ROLES, node_user
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.client import Client
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.servers import CANNOT_SERVE
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.settings import Settings
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.policies import OF_ADMINISTRATORS

ROOT = pathlib.Path(__file__).resolve().parents[3]
NAMESPACE = "/api/v1/namespaces/ovn-kubernetes"
BINDING = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/ovn-k8s-node-node1"


@pytest.fixture
def admin(kubernetes):
    return {"server": kubernetes.url, "ca": kubernetes.ca_file.read_text(), "token": kubernetes.admin}


@pytest.fixture
def access(kubernetes, admin):
    """Converges the accounts; a clean server afterwards."""

    def converge(nodes=("node1", "node2"), **options):
        return call("ovn_kubernetes_access", **admin, nodes=list(nodes), **options)

    yield converge
    converge(state="absent")
    # What the namespace's controller does in a whole cluster.
    kubernetes.request(
        "PUT", f"{NAMESPACE}/finalize", {"metadata": {"name": "ovn-kubernetes"}, "spec": {"finalizers": []}}
    )


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


def test_a_second_run_changes_nothing(access):
    first = access()
    assert first["changed"] and len(first["plan"]) == 1 + 5 * 3
    assert set(first["accounts"]) == {"ovn-k8s-watcher", "ovn-k8s-node-node1", "ovn-k8s-node-node2"}
    second = access()
    assert not second["changed"] and second["accounts"] == first["accounts"]


def test_check_mode_says_what_would_be_made_and_makes_nothing(access):
    said = access(check=True, diff=True)
    assert said["changed"] and "make ClusterRole ovn-k8s-watcher" in [item["text"] for item in said["plan"]]
    assert '"verbs": ["impersonate"]' in said["diff"]["after"] and not said["diff"]["before"]
    assert access(check=True)["plan"] == said["plan"]
    access()


def test_rights_that_somebody_widened_are_narrowed(access, kubernetes):
    access()
    role = f"{ROLES}/ovn-k8s-watcher"
    kubernetes.patch(role, {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]})
    kubernetes.delete(BINDING)
    assert sorted(item["text"] for item in access()["plan"]) == [
        "change Role ovn-k8s-watcher",
        "make ClusterRoleBinding ovn-k8s-node-node1",
    ]
    assert kubernetes.get(role)["rules"][0]["resourceNames"] == ["ovn-k8s-watcher"]


def test_accounts_of_other_nodes_stay(access, kubernetes):
    """Protects nodes that a part of the inventory leaves out, such as a slice of a job: their tokens stay good. A node
    with a new name has the old account no more."""
    uids = access()["accounts"]
    assert not access(nodes=["node2"])["changed"]
    renamed = access(nodes=["node3"], absent_nodes=["node1"])
    assert sorted({item["text"].split()[0] for item in renamed["plan"]}) == ["delete", "make"]
    assert renamed["accounts"]["ovn-k8s-node-node2"] == uids["ovn-k8s-node-node2"]
    assert sorted(renamed["accounts"]) == ["ovn-k8s-node-node2", "ovn-k8s-node-node3", "ovn-k8s-watcher"]
    assert "ovn-k8s-node-node1" not in json.dumps(kubernetes.items("/apis/rbac.authorization.k8s.io/v1/clusterroles"))


def test_what_is_not_ours_stays(access, kubernetes):
    kubernetes.create("/apis/rbac.authorization.k8s.io/v1/clusterroles", {"metadata": {"name": "foreign"}, "rules": []})
    access()
    assert access(state="absent")["changed"] and not access(state="absent")["changed"]
    assert kubernetes.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/foreign")


def test_somebody_elses_namespace_is_used_and_stays(access, kubernetes):
    """Protects another overlay's namespace, whose name is ours too, and all that is in it."""
    kubernetes.create("/api/v1/namespaces", {"metadata": {"name": "ovn-kubernetes", "labels": {"app": "theirs"}}})
    made = access()
    assert "make Namespace ovn-kubernetes" not in [item["text"] for item in made["plan"]] and len(made["accounts"]) == 3
    assert not access()["changed"]
    gone = access(state="absent")
    assert gone["changed"] and "delete Namespace ovn-kubernetes" not in [item["text"] for item in gone["plan"]]
    left = kubernetes.get(NAMESPACE)["metadata"]
    assert "deletionTimestamp" not in left and "app.kubernetes.io/managed-by" not in left["labels"]
    kubernetes.delete(NAMESPACE)


@pytest.mark.parametrize("check", [True, False])
def test_somebody_elses_role_of_our_name_is_not_overwritten(access, kubernetes, check):
    """Protects it, and the administrator, who is told before anything is made."""
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    kubernetes.create(path, {"metadata": {"name": "ovn-k8s-watcher"}, "rules": []})
    try:
        said = access(check=check)
        assert said["failed"] and f"{path}/ovn-k8s-watcher is there without the label" in said["msg"]
        assert not kubernetes.get(f"{path}/ovn-k8s-watcher")["rules"]
        assert "ovn-kubernetes" not in [item["metadata"]["name"] for item in kubernetes.items("/api/v1/namespaces")]
    finally:
        kubernetes.delete(f"{path}/ovn-k8s-watcher")
        assert access()["changed"]  # no longer in the way


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


def test_a_refused_administrator_is_a_sentence(kubernetes, admin):
    said = call("ovn_kubernetes_access", **dict(admin, token="wrong"))
    assert said["failed"] and "Traceback" not in said["msg"] and "wrong" not in said["msg"]
    assert "is not accepted" in said["msg"]


def test_the_accounts_of_removed_nodes_go_at_once(access, admin, kubernetes):
    """Protects a cluster from the token of a host that was removed, until the next site run; others keep theirs."""
    access()
    token = call("ovn_kubernetes_token", **admin, accounts=["ovn-k8s-node-node1"])["tokens"]["ovn-k8s-node-node1"]
    others = access()["accounts"]
    removal = {**admin, "absent_nodes": ["node1", "never-was"]}
    planned = call("ovn_kubernetes_access", check=True, **removal)
    assert planned["changed"] and {change["op"] for change in planned["plan"]} == {"delete"}
    done = call("ovn_kubernetes_access", **removal)
    assert [change["name"] for change in done["plan"]] == ["ovn-k8s-node-node1"] * 5
    del others["ovn-k8s-node-node1"]
    assert done["accounts"] == others and set(others) == {"ovn-k8s-watcher", "ovn-k8s-node-node2"}
    assert not call("ovn_kubernetes_access", **removal)["changed"]
    with pytest.raises(Refused) as refused:
        kubernetes.request("GET", "/api/v1/nodes", token=token)
    assert refused.value.status == 401


def verified(admin, nodes):
    """What verify finds of the accounts: wrong -> severity; and the UIDs that it reads."""
    params = {**dict.fromkeys(("ca", "token", "certificate", "key")), **admin}
    facts = {}
    found = accounts_findings({**params, "accounts_of": nodes}, facts)
    return {finding.wrong: finding.severity for finding in found}, facts.get("accounts")


def test_verify_sees_accounts_that_are_missing_and_left_over(access, admin):
    """Protects: verify compares the accounts as site makes them, changes none, and knows their UIDs for the tokens."""
    access(["node1", "node2"])
    found, uids = verified(admin, ["node1", "node2"])
    assert found == {} and uids["ovn-k8s-node-node1"]
    found, _uids = verified(admin, ["node1", "node3"])
    assert found == {
        "of service account ovn-k8s-node-node3 at the API server "
        "ServiceAccount, Role, RoleBinding, ClusterRole, ClusterRoleBinding is missing": "error",
        "service account ovn-k8s-node-node2 is left over at the API server": "warning",
    }
    assert verified(admin, ["node1", "node2"])[0] == {}


def test_one_of_several_servers_is_enough(access, admin, kubernetes):
    """Protects site and verify runs while one API server of the list is away: accounts, tokens and nodes are read, and
    written, at another one.
    """
    access(["node1"])
    several = {**admin, "server": f"https://127.0.0.1:9,{kubernetes.url}"}
    assert verified(several, ["node1"])[0] == {}
    assert not call("ovn_kubernetes_access", **several, nodes=["node1"])["changed"]
    assert call("ovn_kubernetes_access", **several, nodes=["node1", "node2"])["changed"]
    account = "ovn-k8s-node-node1"
    assert call("ovn_kubernetes_token", **several, accounts=[account])["tokens"][account]


def test_verify_without_an_api_server_is_one_finding(admin):
    """Protects the table while the API server is down."""
    found, uids = verified({**admin, "server": "https://127.0.0.1:9"}, ["node1"])
    (wrong,) = found
    assert wrong.startswith("the programs' accounts can't be compared: ") and uids is None


def commands():
    """The commands of kubectl that the pages have, and those of what verify says, in an order in which all can work."""
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    found = {command for command in re.findall(r"`(kubectl [^`]+)`", pages) if " " in command}
    found.update(command.strip() for command in re.findall(r"kubectl [^;]+", DELETE.format("ovn-k8s-node-node2")))
    return sorted(found, key=lambda command: ("delete node" in command, " delete " in command, command))


def test_the_commands_of_the_pages_work(access, kubernetes, tmp_path):
    """Protects who follows a page, or what verify says: each command does its work on what the play has made."""
    access()
    for node in ("node1", "node2"):
        kubernetes.add_node(node)
    kubernetes.add_pod("web", "node2")
    config = {
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
        "clusters": [
            {"name": "one", "cluster": {"server": kubernetes.url, "certificate-authority": str(kubernetes.ca_file)}}
        ],
        "users": [{"name": "one", "user": {"token": kubernetes.admin}}],
    }
    (tmp_path / "config").write_text(json.dumps(config), encoding="utf-8")
    ran = []
    for command in commands():
        _kubectl, *arguments = shlex.split(command.replace("NODE", "node1"))
        if arguments[-1] == "pod":  # no kubelet ends it
            arguments += ["web", *(["--force"] if "delete" in arguments else [])]
        ran.append(arguments)
        program = [programs("kubectl") / "kubectl", f"--kubeconfig={tmp_path / 'config'}", *arguments]
        done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    assert {"drain", "uncordon", "describe", "serviceaccount"} <= {word for arguments in ran for word in arguments}
    assert [node["metadata"]["name"] for node in kubernetes.items("/api/v1/nodes")] == ["node2"]
    left = [one["metadata"]["name"] for one in kubernetes.items(f"{NAMESPACE}/serviceaccounts")]
    assert [name for name in left if name.startswith("ovn-k8s")] == ["ovn-k8s-watcher"]
    assert kubernetes.items("/api/v1/namespaces/default/pods") == []
