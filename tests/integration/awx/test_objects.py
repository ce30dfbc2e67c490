# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who sets AWX up with ovn.kubernetes.awx: awx.awx's own modules make what AWX takes, and a second run changes
nothing. No AWX can run here: tests/tools/awx_server.py stands in for its API."""

from __future__ import annotations

import json
import pathlib
import re

import ansible_calls
import awx_server
import pytest

from ansible_collections.ovn.kubernetes.plugins.plugin_utils._awx import PLAYBOOKS, credential_types, survey

ROOT = pathlib.Path(__file__).resolve().parents[3]
VARIABLES = {
    "awx_project_url": "https://git.example.com/ovn-kubernetes.git",
    "awx_inventory_url": "https://git.example.com/clusters.git",
    "awx_inventory_path": "lab/hosts.yml",
    "awx_image": "registry.example.com/ee:1",
    "awx_credentials": ["lab machines"],
}
NAME = "ovn.kubernetes"
WORKFLOW = f"{NAME} site with approval"


@pytest.fixture(scope="module")
def awx():
    """AWX with its organization, and the credential of the machines."""
    with awx_server.AWX(awx_server.playbooks_of(ROOT)) as server:
        organization = server.add("organizations", name="Default")
        server.add("credentials", name="lab machines", organization=organization["id"])
        yield server


@pytest.fixture(scope="module")
def environment(awx):
    """Where AWX is, in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTROLLER_HOST", awx.url)
        patch.setenv("CONTROLLER_OAUTH_TOKEN", awx_server.TOKEN)
        yield patch


def run(variables, *arguments):
    """Run the playbook; exit code and output."""
    return ansible_calls.run(
        "ansible-playbook", "ovn.kubernetes.awx", "-e", json.dumps(variables), *arguments, limit=900
    )


@pytest.fixture(scope="module")
def made(awx, environment):
    """AWX after the first run."""
    code, said = run(VARIABLES)
    assert code == 0, said
    return awx


@pytest.mark.timeout(900)
def test_the_job_templates(made):
    """Protects the templates: each has its playbook, which is in the project, the inventory, the execution environment,
    the credential and its survey, is not sliced, and asks for what a run may be limited to."""
    for playbook in PLAYBOOKS:
        template = made.named("job_templates", f"{NAME} {playbook}")
        assert template["playbook"] == f"playbooks/{playbook}.yml"
        assert template["project"] == made.named("projects", NAME)["id"]
        assert template["inventory"] == made.named("inventories", NAME)["id"]
        assert template["execution_environment"] == made.named("execution_environments", NAME)["id"]
        assert made.surveys["job_templates", template["id"]] == survey(playbook) and template["survey_enabled"]
        assert made.linked("job_templates", template["name"], "credentials") == ["lab machines"]
        assert template["job_slice_count"] == 1 and not template["allow_simultaneous"]
        assert all(template[f"ask_{name}_on_launch"] for name in ("limit", "job_type", "tags", "diff_mode"))


def test_the_inventory(made):
    """Protects the hosts: the inventory's source is the file in its own repository, and is read at each launch."""
    source = made.named("inventory_sources", f"{NAME} hosts")
    project = made.named("projects", f"{NAME} inventory")
    assert (source["source"], source["source_path"], source["update_on_launch"]) == ("scm", "lab/hosts.yml", True)
    assert source["source_project"] == project["id"] and project["scm_url"] == VARIABLES["awx_inventory_url"]
    assert source["inventory"] == made.named("inventories", NAME)["id"]


def test_the_credential_types(made):
    """Protects secrets: AWX gets the types as they are described, with the templates of files in them unrendered."""
    for described in credential_types():
        there = made.named("credential_types", f"{NAME} {described['name']}")
        assert {name: there[name] for name in described if name != "name"} == {
            name: value for name, value in described.items() if name != "name"
        }


def test_the_workflow(made):
    """Protects clusters from a run that nobody has looked at: validate, then an approval, then site, then verify."""
    workflow = made.named("workflow_job_templates", WORKFLOW)
    assert made.surveys["workflow_job_templates", workflow["id"]] == survey("site")
    order, node = [], "validate"
    while node:
        there = made.named("workflow_job_template_nodes", node)
        assert there["workflow_job_template"] == workflow["id"]
        kinds = {number: (kind, one["name"]) for (kind, number), one in made.objects.items() if "name" in one}
        order.append(kinds[there["unified_job_template"]])
        (node,) = made.linked("workflow_job_template_nodes", node, "success_nodes") or [None]
    assert order == [
        ("job_templates", f"{NAME} validate"),
        ("workflow_approval_templates", f"{NAME} approval"),
        ("job_templates", f"{NAME} site"),
        ("job_templates", f"{NAME} verify"),
    ]


@pytest.mark.timeout(900)
def test_what_somebody_changed_is_mended(made):
    """Protects templates against changes by hand: the next run mends them, and writes nothing else. Credentials that
    somebody has added stay when the variables name none."""
    template = made.named("job_templates", f"{NAME} site")
    template.update(playbook="playbooks/verify.yml", job_slice_count=3)
    own = made.add("credentials", name="own")
    made.links["job_templates", template["id"], "credentials"].append(own["id"])
    before = len(made.writes)
    code, said = run({**VARIABLES, "awx_credentials": []})
    assert code == 0 and "changed=1 " in said, said
    assert len(made.writes) == before + 1, made.writes[before:]
    assert (template["playbook"], template["job_slice_count"]) == ("playbooks/site.yml", 1)
    assert made.linked("job_templates", template["name"], "credentials") == ["lab machines", "own"]


def test_what_is_missing_is_named(awx, environment):
    """Protects who forgets a variable: it is named before anything is written."""
    before = len(awx.writes)
    code, said = run({"awx_project_url": "https://git.example.com/ovn-kubernetes.git"})
    assert code != 0 and "missing required arguments: awx_image, awx_inventory_path" in said, said
    assert len(awx.writes) == before


def test_no_name_of_awx_own_variables():
    """Protects the playbook as a job of AWX: AWX gives its jobs variables that begin with awx_, and none is one of
    ours."""
    own = {
        *("job_id", "job_launch_type", "job_template_id", "job_template_name", "execution_node", "project_revision"),
        *("project_scm_branch", "user_id", "user_name", "user_email", "user_first_name", "user_last_name"),
        *("inventory_id", "inventory_name", "schedule_id", "schedule_name", "workflow_job_id", "workflow_job_name"),
    }
    used = set()
    for path in (ROOT / "roles" / "awx").glob("*/*.yml"):
        text = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))
        used |= set(re.findall(r"\bawx_(\w+)", text))
    assert len(used) > 10 and not used & own
