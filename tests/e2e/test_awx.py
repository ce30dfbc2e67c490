# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects AWX's users on real hosts: the job templates in the workflow's order, with what forms send, with AWX's fact
cache, limited, in check mode, and cancelled. Nothing that AWX keeps of a job has a secret."""

from __future__ import annotations

import json
import subprocess

import awx_job
import pytest
from lab_hosts import INVENTORY, ROOT, northbound, on, wait

SECRET = "c2VjcmV0LXRva2VuLW9mLWEtdGVzdA"
SNAT = "snat 192.168.0.0/16"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The repository, as AWX's project update lays it."""
    return awx_job.project(tmp_path_factory.mktemp("awx"))


@pytest.fixture(scope="module")
def run(site, project):
    """Return a function that makes a job on the lab's hosts."""
    command = ["ansible-inventory", "-i", INVENTORY, "--list"]
    inventory = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout)
    for variables in inventory["_meta"]["hostvars"].values():
        variables["lab_cache"] = str(ROOT / ".cache" / "lab")

    def make(playbook, answers=None, **options):
        credentials = {"ovn_kubernetes_token": SECRET}
        return awx_job.Job(project.parent, project, playbook, inventory, answers, credentials, **options)

    return make


def ended(job, status="successful"):
    """Return the job, which must have ended so, and may have left no secret."""
    assert job.status == status, job.output[-6000:]
    assert job.holding([SECRET]) == []
    return job


def has_snat():
    return SNAT.split()[1] in on("ovn-master", "ovn-nbctl lr-nat-list GR_ovn-node1")


def test_the_workflow(run):
    """Protects the workflow: validate, then site, then verify, each successful; a limited run in check mode shows what
    is to do and changes nothing; site mends it, with the facts that AWX has kept."""
    ended(run("validate").run())
    before = northbound()
    on("ovn-master", f"ovn-nbctl lr-nat-del GR_ovn-node1 {SNAT}")
    checked = ended(run("site", check=True, limit="ovn-node1").run())
    assert "NAT snat 192.168.0.0/16" in checked.output and not has_snat()
    site = ended(run("site", {"ovn_cluster_subnet": "192.168.0.0/16"}, before=checked).run())
    assert has_snat() and northbound() == before
    ended(run("verify", before=site).run())


def test_a_cancelled_job(run):
    """Protects who cancels a job in the middle: the next one does what is left."""
    on("ovn-master", f"ovn-nbctl lr-nat-del GR_ovn-node1 {SNAT}")
    job = run("site").start()
    wait(lambda: "Converge the hosts" in [one["event_data"]["play"] for one in job.events("playbook_on_play_start")])
    job.cancel()
    ended(job.wait(), "canceled")
    ended(run("site").run())
    assert has_snat()
    ended(run("verify").run())


def test_removal_in_check_mode(run):
    """Protects the removal's form: the host that it names is what would be removed, and nothing is."""
    before = northbound()
    done = ended(run("remove", {"ovn_remove_hosts": "ovn-node2"}, check=True).run())
    assert "Logical_Switch ovn-node2" in done.output and northbound() == before
