# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Processes of the collection's programs and of Ansible for tests, without the price of their imports.

They are forked from one process that has imported everything: a start takes milliseconds of processor time where an
interpreter of its own takes most of a second. :func:`start_anew` starts such an interpreter, for measurements.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import pathlib
import select
import signal
import socket
import struct
import subprocess
import sys

COLLECTION = "ansible_collections.ovn.kubernetes.plugins."
IMPORTED = (
    "aiohttp.web",
    "ovs.daemon",
    "ovs.jsonrpc",
    "ovs.poller",
    "ovs.stream",
    "ovs.unixctl.server",
    "prometheus_client",
    "gateway_helper_program",
    "module_calls",
    "node_program",
    "watcher_program",
    COLLECTION + "modules.ovn_gateway",
    COLLECTION + "modules.ovn_master_init",
    COLLECTION + "modules.ovn_minion_init",
)
CLONE_NEWNET = 0x40000000
EXIT_STATUS = struct.Struct("i")
REQUEST = 1 << 18  # bytes of a request at most: it holds an environment
ANEW = "import json, preloaded, sys; preloaded.call(sys.argv[1], sys.argv[3:], json.loads(sys.argv[2]))"


class Process:
    """A forked process, with what the tests use of :class:`subprocess.Popen`."""

    def __init__(self, report):
        self.returncode = None
        self._report = report
        self.pid = self._number()

    def _number(self):
        return EXIT_STATUS.unpack(os.read(self._report, EXIT_STATUS.size))[0]

    def wait(self, timeout=None):
        """Return the exit status, as Popen has it. :raises subprocess.TimeoutExpired: when there is none in time."""
        if self.returncode is None:
            if not select.select([self._report], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            self.returncode = self._number()
            os.close(self._report)
        return self.returncode

    def poll(self):
        """Return the exit status, None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def send_signal(self, number):
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self):
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def start(function, arguments, log, keep=(), imported=IMPORTED, python=sys.executable, early=(), **environment):
    """Call a function in a forked process, in this thread's network namespace.

    :param function: ``MODULE:NAME``; it takes the arguments, and its result is the exit status.
    :param log: an open file, to which the process writes.
    :param keep: further open files; the function takes their numbers after the arguments.
    :param imported: the modules that the process has from the start.
    :param python: the interpreter. Another one than that of the tests has its own libraries, and those of tests/tools.
    :param early: pairs of variables that the imported modules find already.
    :param environment: variables beside those of this process.
    """
    report, theirs = os.pipe()
    namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    request = {
        "function": function,
        "arguments": arguments,
        "environment": dict(os.environ, **environment),
        "path": sys.path if python == sys.executable else None,
    }
    try:
        socket.send_fds(
            _template(imported, python, early)[0],
            [json.dumps(request).encode()],
            [theirs, namespace, log.fileno(), *keep],
        )
    finally:
        os.close(theirs)
        os.close(namespace)
    return Process(report)


def start_anew(function, arguments, log, keep=(), **environment):
    """Do the same with a new interpreter."""
    return subprocess.Popen(
        [sys.executable, "-c", ANEW, function, json.dumps(keep), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=keep,
        env=dict(os.environ, PYTHONPATH=_python_path(), **environment),
    )


def call(function, arguments, keep):
    """Call the function, and exit with its result."""
    module, name = function.split(":")
    sys.exit(getattr(importlib.import_module(module), name)(arguments, *keep))


def _python_path():
    return os.pathsep.join(path for path in sys.path if path)


@functools.cache
def _template(imported, python, early):
    """Return the way to the process that has imported everything, which is started now, and the process.

    It ends when this one does.
    """
    own = {"PYTHONPATH": _python_path()} if python == sys.executable else {}
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        number = theirs.fileno()
        process = subprocess.Popen(
            [python, str(pathlib.Path(__file__)), str(number), *imported],
            stdin=subprocess.DEVNULL,
            pass_fds=[number],
            env={**os.environ, **own, **dict(early)},
        )
    return ours, process


def _serve(requests, imported):
    """Be the process that has imported everything; return in each forked one after its function, or at the end."""
    for name in imported:
        importlib.import_module(name)
    gc.freeze()  # what is never looked at stays one copy
    while True:
        text, files, _flags, _address = socket.recv_fds(requests, REQUEST, 16)
        if not text:
            return
        if not os.fork():
            requests.close()
            _keep(json.loads(text), *files)
        for file in files:
            os.close(file)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _keep(request, report, *files):
    """Fork the process, and report its number and its exit status, since the one that asked is not its parent."""
    number = os.fork()
    if not number:
        os.close(report)
        _work(request, *files)
    for file in files:
        os.close(file)
    os.write(report, EXIT_STATUS.pack(number))
    os.write(report, EXIT_STATUS.pack(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])))
    os._exit(0)


def _work(request, namespace, log, *keep):
    """Call the function, and exit as an interpreter does."""
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.close(namespace)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.environ.clear()
    os.environ.update(request["environment"])
    if request["path"]:
        sys.path[:] = request["path"]
    if "ovs.dirs" in sys.modules:
        importlib.reload(sys.modules["ovs.dirs"])  # it has read the environment
    call(request["function"], request["arguments"], keep)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as _requests:
        _serve(_requests, sys.argv[2:])
