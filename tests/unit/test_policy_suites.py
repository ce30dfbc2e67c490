# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the verdicts on the suites of network policies, and the files that they and the site play share."""

from __future__ import annotations

import dataclasses
import importlib.machinery
import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "molecule" / "kubernetes"


def program(name):
    """A program of the folder as a module."""
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(FOLDER / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.modules[loader.name] = module  # dataclasses look for it there
    loader.exec_module(module)
    return module


cyclonus = program("cyclonus")
cluster_network_policies = program("cluster-network-policies")

# A pod asks itself in the cells from the upper left to the lower right.
SEEN = """\
kube results, try {}:
+--------+-----------+-----------+
|        |    X/A    |    X/B    |
+--------+-----------+-----------+
| x/a    | TCP/80: {} | TCP/80: . |
|        | UDP/80: . | UDP/80: X |
+--------+-----------+-----------+
| x/b    | X         | .         |
+--------+-----------+-----------+

"""
STEPS = f"""\
testing 2 cases
level=info msg="running kube probe on try 1"
evaluating test case: allow all to dest
step 1 on all available ports/protocols:
0 wrong, 2 ignored, 2 correct
{SEEN.format(1, ".")}
finished policy #1
level=info msg="running kube probe on try 1"
level=info msg="running kube probe on try 2"
level=info msg="running kube probe on try 1"
evaluating test case: deny all
step 1 on all available ports/protocols:
0 wrong, 2 ignored, 2 correct
{SEEN.format(1, "X")}{SEEN.format(2, ".")}
step 2 on port 81, protocol TCP:
Discrepancy found:1 wrong, 2 ignored, 1 correct
{SEEN.format(1, ".")}{SEEN.format(2, "X")}
Actual vs expected (last round):
finished policy #2
"""


def test_what_cyclonus_says():
    """Protects the figures: a pod that is kept from itself in the last try is a difference, whatever Cyclonus says."""
    assert dataclasses.asdict(cyclonus.read("action", STEPS, 5.0, 2.0)) == {
        "part": "action",
        "cases": 2,
        "done": 2,
        "steps": 3,
        "cells": 12,
        "itself": 6,
        "differences": 2,
        "again": 1,
        "where": ["deny all, step 2: 2 cells"],
        "ended": 5.0,
        "seconds": 2.0,
    }


def test_a_pod_that_may_send_nothing_can_not_ask_for_its_name():
    """Protects against a difference where policies forbid the question already; not where they forbid a part."""
    egress = SEEN.format(1, "X").replace("kube results, try 1:", "Expected egress:")
    said = STEPS.replace(SEEN.format(2, "X"), egress + SEEN.format(2, "X"))
    assert cyclonus.read("action", said, 5.0, 2.0).differences == 2
    closed = re.sub(r"(?<= )\.(?= )", "X", egress)
    said = STEPS.replace(SEEN.format(2, "X"), closed + SEEN.format(2, "X"))
    assert cyclonus.read("action", said, 5.0, 2.0).differences == 1


def test_a_cell_that_was_not_seen_is_not_right():
    """Protects against what Cyclonus says in another way: cells that it ignores, and that no table has, differ."""
    said = STEPS.replace("kube results", "results")
    assert cyclonus.read("action", said, 5.0, 2.0).differences == 7


def stand_in(tmp_path, text, code=0):
    """A Cyclonus that only says something."""
    path = tmp_path / "cyclonus"
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}END\nexit {code}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("text", "code"),
    [(STEPS, 1), (STEPS.replace("finished policy #2", ""), 0), ("testing 0 cases\n", 0), ("", 0)],
)
def test_a_part_without_an_end_is_no_result(tmp_path, text, code):
    """Protects against a run that was killed, or tested nothing, and counts as done."""
    assert cyclonus.run(stand_in(tmp_path, text, code), "action", tmp_path / "log") is None


def test_an_interrupted_run_goes_on(tmp_path):
    """Protects what is kept: it is read as it was written, also of a part whose name has a slash."""
    result = cyclonus.run(stand_in(tmp_path, STEPS), "multi-port/protocol", tmp_path / "log")
    assert result.differences == 2
    cyclonus.keep(tmp_path, result)
    assert cyclonus.kept(tmp_path) == {"multi-port/protocol": result}
    table = cyclonus.table([result, result])
    assert "differs: multi-port/protocol: deny all, step 2: 2 cells" in table
    assert re.search(r"^all +4 +6 +24 +12 +4 +2 ", table, re.MULTILINE)


def test_each_case_is_in_one_part():
    """Protects the sum of the parts: a part leaves out what the parts before it have."""
    assert "--exclude=" in cyclonus.command(pathlib.Path("cyclonus"), "action")
    assert "--exclude=action,target" in cyclonus.command(pathlib.Path("cyclonus"), "conflict")
    assert set(cyclonus.LISTED) < set(cyclonus.PARTS) and len(set(cyclonus.PARTS)) == len(cyclonus.PARTS)


SUITE = """\
=== RUN   TestClusterNetworkPolicy
    suite.go:170: Test Setup: Applying base manifests
=== RUN   TestClusterNetworkPolicy/CNPAdminTierEgressSCTP
    suite.go:263: Skipping CNPAdminTierEgressSCTP
=== RUN   TestClusterNetworkPolicy/CNPAdminTierGress
    suite.go:268: Applying base/admin_tier/standard-gress-rules.yaml
=== RUN   TestClusterNetworkPolicy/CNPAdminTierGress/Should_allow
    helper.go:72: NOT RUN network-policy-conformance-gryffindor/harry-potter-0 to 10.1.2.3:9003 by SCTP
=== NAME  TestClusterNetworkPolicy/CNPAdminTierGress
    apply.go:150: Deleting gress-rules ClusterNetworkPolicy
=== RUN   TestClusterNetworkPolicy/CNPAdminTierEgressNamedPort
    suite.go:257: Skipping CNPAdminTierEgressNamedPort: suite does not support ClusterNetworkPolicyNamedPorts
=== RUN   TestClusterNetworkPolicy/CNPAdminTierEgressUDP
--- FAIL: TestClusterNetworkPolicy (16.20s)
    --- PASS: TestClusterNetworkPolicy/CNPAdminTierEgressSCTP (0.00s)
    --- PASS: TestClusterNetworkPolicy/CNPAdminTierGress (12.10s)
        --- PASS: TestClusterNetworkPolicy/CNPAdminTierGress/Should_allow (6.00s)
    --- SKIP: TestClusterNetworkPolicy/CNPAdminTierEgressNamedPort (0.00s)
    --- FAIL: TestClusterNetworkPolicy/CNPAdminTierEgressUDP (4.00s)
FAIL
"""


def test_what_the_conformance_suite_says():
    """Protects the list: what did not run is not among what passed, and questions that were not asked are counted."""
    assert [dataclasses.astuple(test) for test in cluster_network_policies.read(SUITE)] == [
        ("CNPAdminTierEgressSCTP", "not run", 0.0, 0),
        ("CNPAdminTierGress", "ok", 12.1, 1),
        ("CNPAdminTierEgressNamedPort", "skipped", 0.0, 0),
        ("CNPAdminTierEgressUDP", "failed", 4.0, 0),
    ]


@pytest.mark.parametrize("channel", ["standard", "experimental"])
def test_the_crds_are_those_of_the_suite(channel):
    """Protects against CRDs of another release than the suite's, which refuses them."""
    module = (ROOT / "tests/tools/cluster_network_policies/go.mod").read_text(encoding="utf-8")
    version = re.search(r"sigs.k8s.io/network-policy-api (v[\d.]+)$", module, re.MULTILINE)[1]
    path = cluster_network_policies.CRDS / f"{channel}.yaml"
    definition = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert f"{definition['spec']['names']['plural']}.{definition['spec']['group']}" == cluster_network_policies.KIND
    assert definition["metadata"]["annotations"] == {
        "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/network-policy-api/pull/347",
        "policy.networking.k8s.io/bundle-version": version,
        "policy.networking.k8s.io/channel": channel,
    }
    assert version in (path.parent / "NOTICE").read_text(encoding="utf-8")


@pytest.mark.parametrize("kernel", [True, False])
def test_porter_goes_on_without_sctp(tmp_path, kernel):
    """Protects pods with ports of SCTP: their container ended where the kernel has none."""
    real = tmp_path / "real"
    answer = "exit 0" if kernel else "echo 'OTHER: protocol not supported' >&2; exit 1"
    real.write_text(
        f'#!/bin/sh\n[ "$1" != connect ] || {{ {answer}; }}\necho "$1" "$(env | grep ^SERVE_ | sort)"\n',
        encoding="utf-8",
    )
    real.chmod(0o755)
    script = tmp_path / "agnhost"
    text = (FOLDER / "files" / "agnhost").read_text(encoding="utf-8")
    assert "program=/usr/lib/agnhost/agnhost\n" in text
    script.write_text(text.replace("program=/usr/lib/agnhost/agnhost\n", f"program={real}\n"), encoding="utf-8")
    script.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "SERVE_SCTP_PORT_9003": "a", "SERVE_PORT_80": "b"}
    said = subprocess.run([script, "porter"], check=True, capture_output=True, text=True, env=environment).stdout
    ports = ["SERVE_PORT_80=b", *["SERVE_SCTP_PORT_9003=a"] * kernel]
    assert said.endswith("porter " + "\n".join(ports) + "\n")
