# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects programs that follow the API server from an object that is nested as deep as the API server takes it."""

from __future__ import annotations

import asyncio
import json

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.decode import DEEPEST, decode, shallow


def decoded(text):
    """The value of a text."""
    return asyncio.run(decode(text.encode()))


@pytest.mark.parametrize(("begin", "end"), [('{"f:a":', "}"), ("[", "]")])
def test_what_is_too_deep_is_null(begin, end):
    """Protects the objects beside it in a list, and the rest of the object; brackets in strings don't count."""
    deep = begin * 9000 + "1" + end * 9000
    item = {"metadata": {"name": 'a"}]\\', "labels": {"{[": "\\\\"}}, "spec": [1, {}]}
    text = json.dumps({"items": [item, "DEEP", item]}).replace('"DEEP"', deep)
    with pytest.raises(RecursionError):
        json.loads(text)
    first, value, second = decoded(text)["items"]
    assert first == second == item
    for _level in range(DEEPEST - 2):
        value = value["f:a"] if isinstance(value, dict) else value[0]
    assert value is None


def test_other_texts_are_as_they_were():
    """Protects everything else."""
    text = json.dumps({"a": ['x\\"{[', 1, None, {}], "ä": {"b": []}})
    assert shallow(text.encode()) == text.encode() and decoded(text) == json.loads(text)
    with pytest.raises(ValueError):
        decoded('{"a": ')
