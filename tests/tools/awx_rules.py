# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What AWX 24 accepts as surveys, as answers, and as credential types, in our own words; and what a job gets from a
credential.

From its sources: JobTemplateSurveySpec in awx/api/views, SurveyJobTemplateMixin in awx/main/models/mixins.py,
CredentialTypeInputField and CredentialTypeInjectorField in awx/main/fields.py, and inject_credential.
"""

from __future__ import annotations

import re

from jinja2 import StrictUndefined, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

QUESTIONS = {
    "text": str,
    "textarea": str,
    "password": str,
    "multiplechoice": str,
    "multiselect": str,
    "integer": int,
    "float": (float, int),
}
NAME = re.compile(r"[a-zA-Z_]+[a-zA-Z0-9_]*")
FILE = re.compile(rf"template(\.{NAME.pattern})?")
FIELD = {"id", "label", "type", "format", "choices", "help_text", "multiline", "secret", "ask_at_runtime", "default"}
# Some of the environment variables that no credential may set; it may also set none of Ansible's.
RESERVED = {
    "VIRTUAL_ENV",
    "PATH",
    "PYTHONPATH",
    "JOB_ID",
    "INVENTORY_ID",
    "MAX_EVENT_RES",
    "AWX_HOST",
    "PROJECT_REVISION",
}


class Refused(Exception):
    """AWX answers with 400 and this text."""


def check_survey(survey):
    """Refuse a survey that AWX refuses."""
    for field, kind in (("name", str), ("description", str), ("spec", list)):
        require(isinstance(survey.get(field), kind), f"survey: {field} is not {kind.__name__}")
    require(survey["spec"], "survey: no question")
    require(set(survey) == {"name", "description", "spec"}, "survey: unknown fields")
    variables = [question.get("variable") for question in survey["spec"]]
    require(len(set(variables)) == len(variables), "survey: a variable is asked for twice")
    for question in survey["spec"]:
        _check_question(question)


def _check_question(question):
    name = question.get("variable")
    for field, kind in (("type", str), ("question_name", str), ("variable", str), ("required", bool)):
        require(isinstance(question.get(field), kind), f"{name}: {field} is not {kind.__name__}")
    require(question["type"] in QUESTIONS, f"{name}: type {question['type']}")
    default = question.get("default", "")
    require(default == "" or isinstance(default, QUESTIONS[question["type"]]), f"{name}: default of another type")
    require(not str(default).startswith("$encrypted$"), f"{name}: default is a reserved word")
    for field in ("min", "max"):
        require(question.get(field) is None or isinstance(question[field], int), f"{name}: {field} is no number")
    if question["type"] in ("multiplechoice", "multiselect"):
        require("choices" in question, f"{name}: no choices")
        defaults = default.splitlines()
        require(question["type"] == "multiselect" or len(defaults) < 2, f"{name}: several defaults")
        require(set(defaults) <= set(_choices(question)), f"{name}: default is no choice")


def _choices(question):
    choices = question["choices"]
    return choices.split("\n") if isinstance(choices, str) else choices


def check_answers(survey, answers):
    """Refuse answers at a launch that AWX refuses; extra variables that nobody asked for are too."""
    questions = {question["variable"]: question for question in survey["spec"]}
    require(set(answers) <= set(questions), f"not asked for: {sorted(set(answers) - set(questions))}")
    for name, question in questions.items():
        require(name in answers or not question["required"], f"{name}: value missing")
        if name in answers:
            _check_answer(question, answers[name])


def _check_answer(question, answer):
    name, kind = question["variable"], question["type"]
    if kind == "multiplechoice":
        require(answer in _choices(question), f"{name}: {answer!r} is no choice")
    elif kind == "multiselect":
        require(isinstance(answer, list) and set(answer) <= set(_choices(question)), f"{name}: {answer!r}")
    else:
        require(isinstance(answer, QUESTIONS[kind]), f"{name}: {answer!r} has another type")
        size = len(answer) if isinstance(answer, str) else answer
        lowest, highest = question.get("min"), question.get("max")
        require(lowest in ("", None) or size >= lowest, f"{name}: {answer!r} is too small")
        require(highest in ("", None) or size <= highest, f"{name}: {answer!r} is too large")


def check_credential_type(made):
    """Refuse a credential type that AWX refuses."""
    require(made.get("kind") in ("cloud", "net"), f"kind {made.get('kind')}: only cloud and net can be made")
    inputs, injectors = made["inputs"], made["injectors"]
    require(set(inputs) <= {"fields", "required"}, "inputs: unknown keys")
    ids = [field.get("id", "") for field in inputs["fields"]]
    require(len(set(ids)) == len(ids) and "tower" not in ids, "inputs: ids")
    require(set(inputs.get("required", [])) <= set(ids), "inputs: requires an unknown field")
    for field in inputs["fields"]:
        require({"id", "label"} <= set(field) <= FIELD, f"inputs: {field}")
        require(NAME.fullmatch(field["id"]), f"inputs: id {field['id']}")
        require(field.get("type", "string") in ("string", "boolean"), f"inputs: type of {field}")
    require(set(injectors) <= {"file", "env", "extra_vars"}, "injectors: unknown keys")
    files = injectors.get("file", {})
    require(all(FILE.fullmatch(name) for name in files), f"injectors: {files}")
    require("template" not in files or len(files) == 1, "injectors: one file, or several with names")
    for name in injectors.get("env", {}):
        require(NAME.fullmatch(name), f"injectors: {name}")
        require(not name.startswith("ANSIBLE_") and name not in RESERVED, f"injectors: {name} is reserved")
    injected(made, dict.fromkeys(ids, "EXAMPLE"), lambda _text: "EXAMPLE_FILENAME")


def injected(made, inputs, write):
    """Return the environment that a job gets from a credential of this type.

    :param inputs: what the credential holds.
    :param write: is called with a file's text, and returns the path at which the job finds it.
    """
    engine = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    known = {**inputs, "tower": {}}

    def render(template):
        try:
            return engine.from_string(template).render(known)
        except UndefinedError as error:
            raise Refused(f"injectors: {error}") from None

    paths = {name: write(render(template)) for name, template in made["injectors"].get("file", {}).items()}
    several = {name.split(".")[1]: path for name, path in paths.items() if "." in name}
    known["tower"] = {"filename": several or paths.get("template")} if paths else {}
    return {name: render(template) for name, template in made["injectors"].get("env", {}).items()}


def require(condition, text):
    """Refuse what AWX refuses."""
    if not condition:
        raise Refused(text)
