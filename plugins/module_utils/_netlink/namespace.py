# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Network namespaces: a thread goes into one and comes back (setns(2)); nothing is forked."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import os

from .._common.errors import HostError

CLONE_NEWNET = 0x40000000
NS_GET_NSTYPE = 0xB703  # linux/nsfs.h


@functools.lru_cache(maxsize=1)
def _libc():
    return ctypes.CDLL(None, use_errno=True)


def is_namespace(path):
    """Whether a path leads to a network namespace: a path without its mount is an ordinary file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return fcntl.ioctl(handle, NS_GET_NSTYPE) == CLONE_NEWNET
    except OSError:
        return False
    finally:
        os.close(handle)


@contextlib.contextmanager
def opened(path):
    """The namespace as an open file. :raises HostError: when there is none at the path."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise HostError("network namespace %s can't be opened: %s" % (path, error.strerror)) from None
    try:
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def inside(namespace):
    """The calling thread, and only it, is in the namespace (an open file) until the block ends. :raises HostError: when it can't be entered."""
    libc = _libc()
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(namespace, CLONE_NEWNET):
            raise HostError("the pod's network namespace can't be entered: %s" % os.strerror(ctypes.get_errno()))
        try:
            yield
        finally:
            if libc.setns(home, CLONE_NEWNET):
                # Whatever this thread did next would happen in the wrong place.
                os._exit(70)
    finally:
        os.close(home)
