# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What AWX asks whoever starts a job, and the kinds of credentials that it keeps, made from the one description of the
variables. Private to the collection.

No question must be answered: what is left empty is not given, and the inventory's value counts. Values of single hosts
are not asked for, since an extra variable would set them for all hosts; secrets are credentials. Nor is asked what can
have one value only.
"""

from __future__ import annotations

import typing as t

from ._variables import ALL, VARIABLES, Variable

ASKED = ("validate", "site", "verify")  # playbooks that ask for the cluster's values
PLAYBOOKS = (*ASKED, "remove")
LONGEST = 1024  # characters of an answer
BOOLEANS = ("true", "false")


def survey(playbook: str) -> dict[str, t.Any]:
    """Return the survey of a playbook's job template, as AWX's API takes it (job_templates/ID/survey_spec/).

    :raises ValueError: there is no such playbook.
    """
    if playbook not in PLAYBOOKS:
        raise ValueError(f"{playbook} is no playbook with a survey: name one of {', '.join(PLAYBOOKS)}")
    questions = [_question(variable) for variable in VARIABLES.values() if _is_asked(variable, playbook)]
    return {"name": "", "description": "", "spec": questions}


def _is_asked(variable: Variable, playbook: str) -> bool:
    if variable.playbook:
        return variable.playbook == playbook
    is_of_cluster = variable.scope == ALL and not variable.credential
    return is_of_cluster and playbook in ASKED and len(_choices(variable)) != 1


def _choices(variable: Variable) -> list[str]:
    """Return what can be chosen; empty: any text."""
    return list(BOOLEANS if variable.kind == "boolean" else variable.choices)


def _question(variable: Variable) -> dict[str, t.Any]:
    choices = _choices(variable)
    empty = "nothing is given" if variable.playbook else "the inventory's value"
    question: dict[str, t.Any] = {
        "question_name": variable.name,
        "question_description": f"{_plain(variable.meaning)} Like {variable.example}. Empty: {empty}.",
        "variable": variable.name,
        "required": False,
        "type": "multiplechoice" if choices else "text",
        "default": "",
        "min": None if choices else 0,
        "max": None if choices else LONGEST,
    }
    if choices:
        # Some versions of AWX choose the first one when nobody chooses, and take no empty answer that is not listed.
        question["choices"] = ["", *choices]
    return question


def credential_types() -> list[dict[str, t.Any]]:
    """Return the credential types, as AWX's API takes them (credential_types/): each gives a job a file, and its path
    in the environment (:mod:`_credentials`)."""
    return [_credential_type(variable) for variable in VARIABLES.values() if variable.credential]


def _credential_type(variable: Variable) -> dict[str, t.Any]:
    field = {
        "id": variable.name,
        "label": _plain(variable.meaning).split(":")[0].split(",")[0].rstrip("."),
        "type": "string",
        "multiline": True,
        "secret": True,
    }
    return {
        "name": variable.credential,
        "description": f"{variable.name}: {_plain(variable.meaning)}",
        "kind": "cloud",
        "inputs": {"fields": [field], "required": [variable.name]},
        "injectors": {
            "file": {"template": f"{{{{ {variable.name} }}}}"},
            "env": {variable.file_environment: "{{ tower.filename }}"},
        },
    }


def _plain(markdown: str) -> str:
    return markdown.replace("`", "")
