# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values of variables as the versions of ansible-core give them: computed templates, values of the vault, undefined
ones. Private to the collection."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator, Mapping

from ansible.parsing.vault import AnsibleVaultError

from ._errors import NOT_SHOWN, may_be_secret

Variables = Mapping[str, t.Any]

TEMPLATE = re.compile(r"\{\{.*\}\}|\{%.*%\}", re.DOTALL)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FACTS = "ansible_facts"
FACT = re.compile(r"ansible_(?!(host|port|user|password|connection|become\w*|python_interpreter)$)")
LOCKED = (
    "it is encrypted, and no vault password of this run opens it: give the one that it was encrypted with "
    "(--vault-id or --vault-password-file)"
)

OMITTED = "__omit_place_holder__"  # how Ansible's omit begins before 2.19
OMIT = "omit is for options of modules, and not for variables: leave the variable out, or give it a value"


class Undefined(t.NamedTuple):
    """Stands for a value that Ansible could not compute from its template."""

    reason: str


def computed(variables: Variables, name: str) -> t.Any:
    """Return the value of a variable as :func:`plain` does; :class:`Undefined` when there is none."""
    try:
        return plain(variables[name])
    except AnsibleVaultError:
        return Undefined(LOCKED)
    except Exception as error:  # a template can raise anything; it is reported with the host and the variable
        reason = " ".join(str(error).split()) or type(error).__name__
        return Undefined(NOT_SHOWN if may_be_secret(reason) else reason)


def plain(value: t.Any) -> t.Any:
    """Return a value of Ansible without tags, encryption and lazy evaluation: None, a boolean, a number, text, a list
    or a dict.

    :raises ValueError: it is anything else. Older versions of ansible-core return undefined values so.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        # Older versions return a template that can't be computed as it is.
        if TEMPLATE.search(value):
            raise ValueError("its template can't be computed")
        if value.startswith(OMITTED):
            raise ValueError(OMIT)
        return str(value)
    if getattr(value, "__ENCRYPTED__", False) is True:  # ansible-core before 2.19 decrypts inline values when asked
        return _decrypted(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if isinstance(getattr(value, "_marker_undecryptable_ciphertext", None), str):  # from 2.19 on
        raise ValueError(LOCKED)
    if type(value).__name__ == "_OmitType":  # from 2.19 on
        raise ValueError(OMIT)
    # Jinja's Undefined, in a class of Ansible: it raises errors for everything but this attribute.
    reason = getattr(value, "_undefined_message", None)
    raise ValueError(str(reason) if isinstance(reason, str) else f"it is {type(value).__name__}")


def _decrypted(value: t.Any) -> str:
    """Return the text of an encrypted value; :raises ValueError: it can't be decrypted."""
    try:
        text = str(value.data)
    except Exception:  # what the vault says may have the ciphertext
        raise ValueError(LOCKED) from None
    if value.vault is None:  # then it gives the ciphertext
        raise ValueError(LOCKED)
    return text


def with_hostvars(variables: Variables, hostvars: Mapping[str, t.Any]) -> Variables:
    """Return a host's variables, whose templates find ``hostvars`` as they do in a play.

    Ansible's ``hostvars[host]`` computes templates from the host's own variables only.
    """
    raw = as_written(variables)
    if raw is not variables and isinstance(raw, dict):
        raw.setdefault("hostvars", hostvars)
    return variables


def uses_facts(variables: Variables, name: str) -> bool:
    """Return whether the variable's template is about facts, itself or by way of other variables.

    Facts are ``ansible_facts`` of any host, and names like ``ansible_default_ipv4`` that the inventory does not set and
    that do not say how a host is reached.
    """
    raw = as_written(variables)
    used = _used(raw, name)
    return any(word == FACTS or (FACT.match(word) is not None and word not in raw) for word in used)


def is_encrypted(variables: Variables, name: str) -> bool:
    """Return whether the variable's value is encrypted in the inventory, itself or by way of other variables."""
    raw = as_written(variables)
    return any(_has_encrypted(raw[word]) for word in _used(raw, name) if word in raw)


def _used(raw: Variables, name: str) -> list[str]:
    """Return the variable, and all names that its template uses, directly or by way of other variables."""
    used = {name: None}
    todo = [name]
    while todo:
        for word in _words(raw.get(todo.pop())):
            if word not in used:
                used[word] = None
                todo.append(word)
    return list(used)


def as_written(variables: Variables) -> Variables:
    """Return the variables with their templates as they are written, as Ansible's ``hostvars[host]`` has them."""
    raw = getattr(variables, "_vars", variables)
    return raw if isinstance(raw, Mapping) else variables


def _words(value: t.Any) -> Iterator[str]:
    """Yield the names in the templates of a value."""
    if isinstance(value, str):
        for template in TEMPLATE.findall(value):
            yield from NAME.findall(template)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _words(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _words(item)


def _has_encrypted(value: t.Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_encrypted, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_has_encrypted, value))
    return getattr(value, "__ENCRYPTED__", False) is True or type(value).__name__ == "EncryptedString"  # from 2.19 on
