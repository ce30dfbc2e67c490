# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects AWX's users on real hosts: the job templates in the workflow's order, in the execution environment of the
documentation, with what forms send, with AWX's fact cache, limited, in check mode, and cancelled. Nothing that AWX
keeps of a job has a secret."""

from __future__ import annotations

import json
import os
import random
import subprocess

import awx_job
import execution_environment
import pytest
from lab_hosts import HOSTS, INVENTORY, ROOT, network, northbound, on, wait

CACHE = ROOT / ".cache" / "lab"
TOKEN = "c2VjcmV0LXRva2VuLW9mLWEtdGVzdA"
SNAT = "snat 192.168.0.0/16"
SEED = int(os.environ.get("AWX_SEED", "1"))
CANCELS = int(os.environ.get("AWX_CANCELS", "1"))


@pytest.fixture(scope="module")
def run(site, tmp_path_factory):
    """Return a function that makes a job on the lab's hosts."""
    folder = tmp_path_factory.mktemp("awx")
    project, image = awx_job.checkout(folder), execution_environment.image()
    command = ["ansible-inventory", "-i", INVENTORY, "--list"]
    inventory = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout)
    for variables in inventory["_meta"]["hostvars"].values():
        variables["lab_cache"] = str(CACHE)
        variables.pop("ansible_control_path_dir", None)  # AWX has a folder of its own for each job

    def make(playbook, answers=None, **options):
        credentials = {"ovn_kubernetes_token": TOKEN}
        return awx_job.Job(
            folder, project, playbook, inventory, answers, credentials, image=image, shown=[CACHE], **options
        )

    return make


def ended(job, status="successful"):
    """Return the job, which must have ended so, and may have left no secret."""
    assert job.status == status, job.output[-6000:]
    key = (CACHE / "id_ed25519").read_text(encoding="ascii").splitlines()[1]
    assert job.holding([TOKEN, key]) == []
    return job


def has_snat():
    return SNAT.split()[1] in on("ovn-master", "ovn-nbctl lr-nat-list GR_ovn-node1")


def with_old_facts(job):
    """Return the job whose facts AWX has kept, after somebody has renamed a NIC and put in another one."""
    (kept,) = (job.artifacts / "fact_cache").glob("*ovn-node1")
    facts = kept.read_text(encoding="utf-8")
    assert "eth1" in facts
    kept.write_text(facts.replace("eth1", "ens7"), encoding="utf-8")
    return job


def test_the_workflow(run):
    """Protects the workflow: validate, then site, then verify, each successful; a limited run in check mode shows what
    is to do and changes nothing; site mends it. The facts that AWX has kept may be old: the gateway's NIC had another
    name."""
    before = northbound()
    on("ovn-master", f"ovn-nbctl lr-nat-del GR_ovn-node1 {SNAT}")
    checked = ended(run("site", check=True, limit="ovn-node1").run())
    assert "NAT snat 192.168.0.0/16" in checked.output and not has_snat()
    old = with_old_facts(checked)
    ended(run("validate", before=old).run())
    site = ended(run("site", {"ovn_cluster_subnet": "192.168.0.0/16"}, before=old).run())
    assert has_snat() and northbound() == before
    ended(run("verify", before=site).run())


def damage():
    """Take away something of each kind, for a site job to make again: rows, a program, a link and its addresses."""
    on("ovn-master", f"ovn-nbctl lr-nat-del GR_ovn-node1 {SNAT} -- ls-del ovn-node2")
    for host in HOSTS[1:]:
        on(host, f"rm /usr/local/lib/ovn_kubernetes.pyz; ovs-vsctl del-port k8s-{host}")


def state():
    """Return what a site job makes, as the databases and the hosts have it."""
    return northbound(), *map(network, HOSTS)


@pytest.mark.timeout(3600)
def test_cancelled_jobs(run, capsys):
    """Protects who cancels a job in the middle, at whatever moment: the next one does what is left.

    A seed chooses the moments: ``AWX_CANCELS=10`` has ten of them, ``AWX_SEED=2`` others.
    """
    before, chance = state(), random.Random(SEED)
    damage()
    events = ended(run("site").run()).progress
    for moment in [chance.randrange(events) for _number in range(CANCELS)]:
        damage()
        job = run("site").start()
        wait(lambda job=job, moment=moment: job.progress > moment, 120, f"event {moment} of {events}")
        job.cancel()
        ended(job.wait(), "canceled")
        with capsys.disabled():
            print(f"\ncancelled at event {job.progress} of {events}, in {job.task!r}", end=" ", flush=True)
        ended(run("site").run())
        wait(lambda: state() == before, 60, "the state of before")
    ended(run("verify").run())


def test_removal_in_check_mode(run):
    """Protects the removal's form: the host that it names is what would be removed, and nothing is."""
    before = northbound()
    done = ended(run("remove", {"ovn_remove_hosts": "ovn-node2"}, check=True).run())
    assert "Logical_Switch ovn-node2" in done.output and northbound() == before
