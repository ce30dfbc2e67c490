# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects AWX's users: each job template runs as AWX runs it, says in its output what is wrong, writes nothing into
the project, and leaves no secret in what AWX keeps of it. Jobs that need hosts are in tests/e2e/test_awx.py."""

from __future__ import annotations

import json
import os
import subprocess

import authorities
import awx_job
import execution_environment
import pytest

TOKEN = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0LXRva2Vu.c2ln"
KEY = "c2VjcmV0LWtleS1vZi1hbi1hZG1pbmlzdHJhdG9y"
PEM = "-----BEGIN CERTIFICATE-----\nMIIBc2VjcmV0LWNlcnRpZmljYXRl\n-----END CERTIFICATE-----\n"
KUBECONFIG = {
    "current-context": "a",
    "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
    "clusters": [{"name": "a", "cluster": {"server": "https://10.33.74.10:6443"}}],
    "users": [{"name": "a", "user": {"token": KEY}}],
}
AUTHORITIES = {role: authorities.authority(role) for role in ("central", "chassis")}
CREDENTIALS = {
    "ovn_kubernetes_token": f"{TOKEN}\n",
    "ovn_kubernetes_ca": PEM,
    "ovn_kubernetes_admin_kubeconfig": json.dumps(KUBECONFIG),
    **{f"ovn_tls_{role}_ca_certificate": one.certificate for role, one in AUTHORITIES.items()},
    **{f"ovn_tls_{role}_ca_key": one.key for role, one in AUTHORITIES.items()},
}
SECRETS = (
    TOKEN,
    KEY,
    "MIIBc2VjcmV0LWNlcnRpZmljYXRl",
    *(one.key.splitlines()[1] for one in AUTHORITIES.values()),
)
API = {"ovn_kubernetes_api": "https://10.33.74.10:6443 ", "ovn_service_subnet": "10.96.0.0/16"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("awx")


@pytest.fixture(scope="module")
def project(folder):
    """The repository, as AWX's project update lays it, without Galaxy."""
    return awx_job.project(folder)


@pytest.fixture(scope="module")
def inventory():
    """The sample, as AWX has imported it."""
    command = ["ansible-inventory", "-i", awx_job.ROOT / "inventory" / "sample", "--list"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=300).stdout)
    for number, variables in enumerate(found["_meta"]["hostvars"].values(), 1):
        variables.update(remote_tower_enabled="true", remote_tower_id=number)
    return found


@pytest.fixture
def job(folder, project, inventory):
    """Return a function that runs a job, and looks for secrets in what AWX keeps of it."""

    def run(playbook, answers, **options):
        done = awx_job.Job(folder, project, playbook, inventory, answers, CREDENTIALS, **options).run()
        assert done.holding(SECRETS) == []
        return done

    return run


@pytest.mark.timeout(900)
def test_the_collection_is_the_project(project):
    """Protects jobs from an older release: what AWX installs is the project's own revision, complete."""
    installed = project.parent / "requirements_collections" / "ansible_collections" / "ovn" / "kubernetes"
    for name in ("playbooks/site.yml", "plugins/plugin_utils/_awx.py", "roles/node/tasks/main.yml"):
        assert (installed / name).read_bytes() == (project / name).read_bytes()


@pytest.mark.timeout(900)
def test_a_valid_inventory(job):
    """Protects the first step of the workflow: with every credential, and a form that was hardly filled in, the job is
    successful, in check mode too, and reaches no host; in the image of the documentation, with its collections."""
    done = job("validate", API, check=True, image=execution_environment.image())
    assert done.status == "successful", done.output
    assert done.events("runner_on_unreachable") == [] == done.events("runner_on_failed")


WRONG = {"ovn_cluster_subnet": "10.33.0.0/16", "ovn_mtu": "large"}
REFUSED = {
    "networks": ("site", WRONG, ('is in ovn_cluster_subnet "10.33.0.0/16"', 'ovn_mtu "large" is not a whole number')),
    "a master": ("remove", {"ovn_remove_hosts": "kube-master"}, ("which is a master",)),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("playbook", "answers", "sentences"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_said(job, playbook, answers, sentences):
    """Protects who answers wrong: the job fails before it reaches a host, and its output has the sentences."""
    done = job(playbook, answers, limit="kube-node1" if playbook == "site" else "")
    assert done.status == "failed" and all(sentence in done.failures for sentence in sentences), done.output
    assert done.events("runner_on_unreachable") == []


@pytest.mark.timeout(900)
def test_a_secret_in_the_wrong_credential(folder, project, inventory):
    """Protects who mixes up two credentials: the sentence names the variable, and nothing that AWX keeps has the
    secret, nor does the environment that it writes down."""
    wrong = {"ovn_kubernetes_admin_kubeconfig": KEY, "ovn_kubernetes_token": PEM}
    done = awx_job.Job(folder, project, "verify", inventory, API, wrong).run()
    assert done.status == "failed" and "ovn_kubernetes_token has spaces, several lines" in done.failures, done.output
    assert done.holding(SECRETS) == []
    environment = json.loads((done.artifacts / "command").read_text(encoding="utf-8"))["env"]
    assert os.path.isfile(environment["OVN_KUBERNETES_TOKEN_FILE"])
