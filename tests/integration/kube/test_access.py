# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The accounts that the site play makes, on a real API server: made once, repaired, removed.

Each has its rights and no others.
"""

from __future__ import annotations

import json
import pathlib
import re
import shlex
import subprocess

import pytest
from kubernetes_server import Refused, programs
from module_calls import call

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible.verify import DELETE, accounts_findings
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.accounts import ROLES

from .conftest import NAMESPACE

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINDING = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/ovn-k8s-node-node1"


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
