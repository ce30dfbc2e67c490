# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Calls of this collection's modules as Ansible makes them, without a controller: arguments and result are JSON."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
import tempfile

from ansible.module_utils.common import warnings
from ansible.module_utils.testing import patch_module_args

MODULES = "ansible_collections.ovn.kubernetes.plugins.modules."
COLLECTIONS = [path for path in sys.path if os.path.isdir(os.path.join(path, "ansible_collections", "ovn"))]
PATIENCE = 120.0  # seconds that one call may take

# Imports everything, says so, and starts when the gate opens (its other end is closed): so that many start at one
# moment.
PROCESS = """
import importlib, os, sys
import ovs.jsonrpc, ovs.poller, ovs.stream
module = importlib.import_module(sys.argv.pop())
ready, gate = int(sys.argv.pop()), int(sys.argv.pop())
{prologue}
os.write(ready, b".")
os.read(gate, 1)
module.main()
"""


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


def call_at_once(calls, prologue=""):
    """Call (module, arguments) pairs, each in a process, all starting at the same moment; their results, in order.

    :param prologue: Python text that each process runs before it starts.
    """
    ready, tell_ready = os.pipe()
    gate, open_gate = os.pipe()
    started = []
    try:
        for module, arguments in calls:
            with tempfile.TemporaryFile() as stdin:
                stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": _whole(arguments, False, False)}).encode())
                stdin.seek(0)
                started.append(
                    subprocess.Popen(
                        [
                            sys.executable,
                            "-c",
                            PROCESS.format(prologue=prologue),
                            str(gate),
                            str(tell_ready),
                            MODULES + module,
                        ],
                        stdin=stdin,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        text=True,
                        pass_fds=(gate, tell_ready),
                        env=dict(os.environ, PYTHONPATH=os.pathsep.join(COLLECTIONS)),
                    )
                )
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
        return [_result(process) for process in started]
    finally:
        for end in (ready, tell_ready, gate, open_gate):
            if end is not None:
                os.close(end)
        for process in started:
            if process.poll() is None:
                process.kill()
                process.wait(10)


def _result(process):
    out, err = process.communicate(timeout=PATIENCE)
    try:
        return json.loads(out)
    except ValueError:
        raise AssertionError(f"a module left no result:\n{out}\n{err}") from None
