# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who launches a job in AWX: its surveys are taken by AWX, ask for each variable that they may, and for
nothing that is secret."""

from __future__ import annotations

import awx_rules
import pytest
from ansible.errors import AnsibleLookupError

from ansible_collections.ovn.kubernetes.plugins.lookup import awx_credential_types, awx_survey
from ansible_collections.ovn.kubernetes.plugins.plugin_utils import _awx, _credentials
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._values import read
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._variables import ALL, PLAY, VARIABLES

SECRET = "c2VjcmV0LW9mLXRoZS10ZXN0"


def questions(playbook):
    return {question["variable"]: question for question in _awx.survey(playbook)["spec"]}


@pytest.mark.parametrize("playbook", _awx.PLAYBOOKS)
def test_awx_takes_the_survey_and_any_answer(playbook):
    """Protects the playbook that makes the templates, and jobs: AWX refuses neither the survey, nor no answer at all,
    nor what forms send for questions without an answer, nor each variable's own example."""
    survey = _awx.survey(playbook)
    awx_rules.check_survey(survey)
    awx_rules.check_answers(survey, {})
    awx_rules.check_answers(survey, dict.fromkeys(questions(playbook), ""))
    awx_rules.check_answers(survey, {name: VARIABLES[name].example for name in questions(playbook)})


@pytest.mark.parametrize("playbook", _awx.PLAYBOOKS)
def test_what_can_be_chosen_is_right(playbook):
    """Protects whoever chooses an answer instead of writing it: the collection reads each one."""
    for name, question in questions(playbook).items():
        for choice in filter(None, question.get("choices", ())):
            read(VARIABLES[name], choice)


def test_every_variable_of_the_cluster_is_asked_for():
    """Protects new variables against being forgotten, and hosts against an answer that would be set for all of them."""
    cluster = {name for name, variable in VARIABLES.items() if variable.scope == ALL and not variable.credential}
    cluster -= {"ovn_encap_type"}  # it has one value only
    assert set(questions("validate")) == set(questions("verify")) == cluster
    assert set(questions("site")) == cluster | {"ovn_egress_rebalance", "ovn_tls_rotate"}
    assert set(questions("remove")) == {"ovn_remove_hosts", "ovn_remove_confirmed"}
    plays = {name for name, variable in VARIABLES.items() if variable.scope == PLAY}
    plays -= {"ovn_recover_from"}  # who has lost a majority runs that play by hand
    assert plays == {name for playbook in _awx.PLAYBOOKS for name in questions(playbook)} - cluster


def test_secrets_are_no_questions():
    """Protects secrets: AWX shows extra variables. Each one is a credential, and no other variable is."""
    asked = {name for playbook in _awx.PLAYBOOKS for name in questions(playbook)}
    secrets = {name for name, variable in VARIABLES.items() if variable.secret}
    assert not asked & secrets
    types = {made["inputs"]["required"][0] for made in _awx.credential_types()}
    assert types == secrets | {"ovn_kubernetes_admin_kubeconfig"}


def test_credentials_come_as_files(tmp_path):
    """Protects secrets: AWX takes the credential types, a job's environment and extra variables, which AWX writes down,
    have none, and the collection finds each in its file."""
    for made in _awx.credential_types():
        awx_rules.check_credential_type(made)
        assert "extra_vars" not in made["injectors"]
        assert all(field["secret"] for field in made["inputs"]["fields"])
        (name,) = made["inputs"]["required"]
        file = tmp_path / name

        def write(text, file=file):
            file.write_text(text, encoding="utf-8")
            return str(file)

        environment = awx_rules.injected(made, {name: SECRET}, write)
        assert SECRET not in str(environment)
        assert _credentials.credentials(environment) == {
            name: SECRET if name == "ovn_kubernetes_token" else str(file),
        }
        assert file.read_text(encoding="utf-8") == SECRET


def test_the_lookups_of_the_role():
    """Protects the role: its lookups give what AWX takes, and name the playbooks when one is unknown."""
    survey = awx_survey.LookupModule()
    assert survey.run(["site", "remove"]) == [_awx.survey("site"), _awx.survey("remove")]
    with pytest.raises(AnsibleLookupError, match="sites is no playbook with a survey: name one of validate, site"):
        survey.run(["sites"])
    assert awx_credential_types.LookupModule().run([]) == _awx.credential_types()


WRONG = {
    "no question": {"spec": []},
    "an unknown type": {"spec": [{"type": "list"}]},
    "a number as the default of a text": {"spec": [{"default": 3}]},
    "a default that is no choice": {"spec": [{"type": "multiplechoice", "choices": ["a"], "default": "b"}]},
    "required as text": {"spec": [{"required": "no"}]},
    "asked twice": {"spec": [{}, {}]},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_the_rules_refuse(wrong):
    """Protects these tests: AWX's rules, as they have them, refuse what AWX refuses."""
    blank = {"type": "text", "question_name": "q", "variable": "v", "required": False}
    spec = [{**blank, **question} for question in wrong["spec"]]
    with pytest.raises(awx_rules.Refused):
        awx_rules.check_survey({"name": "", "description": "", "spec": spec})
