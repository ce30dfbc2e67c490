# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Network namespaces (network_namespaces(7)): a thread enters one and comes back by setns(2).

No process is started.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import os
import struct
from typing import TYPE_CHECKING

from .._common.errors import HostError
from .constants import Netnsa, Rtm
from .messages import attributes_of, messages, pack_number, set_attributes, unpack_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .socket import RouteSocket

CLONE_NEWNET = 0x40000000  # linux/sched.h
NS_GET_NSTYPE = 0xB703  # linux/nsfs.h
NSID = struct.Struct("i")
EX_SOFTWARE = 70  # sysexits.h


@functools.lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def is_namespace(path: str) -> bool:
    """Return whether a path is a network namespace. Once the namespace is unmounted, the path is an ordinary file."""
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
def opened(path: str) -> Iterator[int]:
    """Open the namespace at a path, and close it when the block ends.

    :raises HostError: there is none.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise HostError(f"network namespace {path} can't be opened: {error.strerror}") from None
    try:
        yield handle
    finally:
        os.close(handle)


def namespace_number(kernel: RouteSocket, namespace: int) -> int | None:
    """Return the number by which the socket's namespace knows another one; None: it does not (RTM_GETNSID).

    :param namespace: the open file of the other one.
    """
    message = messages().namespace()
    set_attributes(message, {Netnsa.FD: pack_number(namespace)})
    (reply,) = kernel.request(message, Rtm.GETNSID, 0)
    number = attributes_of(reply).get(Netnsa.NSID)
    return None if number is None or int(NSID.unpack(number)[0]) < 0 else unpack_number(number)


@contextlib.contextmanager
def inside(namespace: int) -> Iterator[None]:
    """Run the block in a namespace. Only the calling thread enters it.

    :param namespace: its open file.
    :raises HostError: the namespace can't be entered.
    """
    libc = _libc()
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(namespace, CLONE_NEWNET):
            reason = os.strerror(ctypes.get_errno())
            raise HostError(f"the pod's network namespace can't be entered: {reason}")
        try:
            yield
        finally:
            if libc.setns(home, CLONE_NEWNET):
                # Whatever this thread did next would change the pod's namespace instead of the host's.
                os._exit(EX_SOFTWARE)
    finally:
        os.close(home)
