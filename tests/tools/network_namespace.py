# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A network namespace of its own: the kernel is the real one, the machine's own links are out of reach."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import itertools
import os
import subprocess
import sys

CLONE_NEWNET = 0x40000000
BINDING = "/usr/lib/python3/dist-packages/nftables"


def load_nftables():
    """Make the libnftables binding importable.

    It comes as a distribution package only, which a virtual environment does not see.
    """
    if os.path.isdir(BINDING) and "nftables" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "nftables", BINDING + "/__init__.py", submodule_search_locations=[BINDING]
        )
        sys.modules["nftables"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["nftables"])


@contextlib.contextmanager
def namespace():
    """The thread is in a new, empty network namespace; with it are the processes that it starts.

    :raises OSError: without the right to make one.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "no network namespace: " + os.strerror(ctypes.get_errno()))
        ip("link set lo up")
        yield
    finally:
        libc.setns(home, CLONE_NEWNET)
        os.close(home)


def ip(arguments, where=None):
    """Run ip-route(8)'s tool, which is another implementation than the one under test.

    ``where``: the path of another namespace to run it in.
    """
    into = ["nsenter", f"--net={where}"] if where else []
    return subprocess.run(
        [*into, "ip", *arguments.split()], check=True, capture_output=True, text=True, timeout=10
    ).stdout


def ip_batch(commands):
    """Run several commands, consecutive ones in one process; those for IPv6 begin with ``-6``."""
    for option, some in itertools.groupby(commands, lambda command: command[:3] if command.startswith("-6 ") else ""):
        text = "\n".join(command.removeprefix(option) for command in some)
        command = ["ip", *option.split(), "-batch", "-"]
        subprocess.run(command, input=text, check=True, capture_output=True, text=True, timeout=10)


@contextlib.contextmanager
def router(link):
    """A process in a network namespace of its own, to which a link goes."""
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE
    ) as process:
        try:
            process.stdout.readline()  # it is there now
            ip(f"link set {link} netns {process.pid}")
            ip(f"link set {link} up", f"/proc/{process.pid}/ns/net")
            yield process.pid
        finally:
            process.kill()
