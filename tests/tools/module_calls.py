# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Calls of this collection's modules as Ansible makes them, without a controller: arguments and result are JSON."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import tempfile

import preloaded
from ansible.module_utils.common import warnings
from ansible.module_utils.testing import patch_module_args

MODULES = "ansible_collections.ovn.kubernetes.plugins.modules."
PATIENCE = 120.0  # seconds that one call may take


def _whole(arguments, check, diff):
    return {"_ansible_check_mode": check, "_ansible_diff": diff, **arguments}


def call(module, check=False, diff=False, **arguments):
    """Call a module inside this process; its result."""
    code = importlib.import_module(MODULES + module)
    said = io.StringIO()
    warnings._global_warnings.clear()  # one process means one call to Ansible
    with (
        patch_module_args(_whole(arguments, check, diff)),
        contextlib.redirect_stdout(said),
        contextlib.suppress(SystemExit),
    ):
        code.main()
    return json.loads(said.getvalue())


def call_at_once(calls, prologue="", start=preloaded.start):
    """Call (module, arguments) pairs, each in a process, all starting at the same moment; their results, in order.

    :param prologue: Python text that each process runs before it starts.
    :param start: how a process is started, as :mod:`preloaded` has it.
    """
    ready, tell_ready = os.pipe()
    gate, open_gate = os.pipe()
    started = []
    try:
        with contextlib.ExitStack() as outputs:
            for module, arguments in calls:
                output = outputs.enter_context(tempfile.TemporaryFile("w+"))
                words = [module, json.dumps(_whole(arguments, False, False)), prologue]
                started.append((start("module_calls:wait_and_call", words, output, (tell_ready, gate)), output))
            os.close(tell_ready)
            tell_ready = None
            count = 0
            while count < len(started):
                some = os.read(ready, len(started))
                if not some:
                    break  # one ended early: its text says why
                count += len(some)
            os.close(open_gate)
            open_gate = None
            return [_result(*one) for one in started]
    finally:
        for end in (ready, tell_ready, gate, open_gate):
            if end is not None:
                os.close(end)
        for process, _output in started:
            if process.poll() is None:
                process.kill()
                process.wait(10)


def wait_and_call(words, ready, gate):
    """Be such a process: start when the gate opens (its other end is closed)."""
    module, arguments, prologue = words
    code = importlib.import_module(MODULES + module)
    exec(prologue, {"os": os, "sys": sys})
    os.write(ready, b".")
    os.close(ready)
    os.read(gate, 1)
    with patch_module_args(json.loads(arguments)):
        code.main()


def _result(process, output):
    process.wait(PATIENCE)
    output.seek(0)
    text = output.read()
    try:
        return json.loads(text)
    except ValueError:
        raise AssertionError(f"a module left no result:\n{text}") from None
