# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The two libraries that talk to the kernel, loaded when they are needed, and no more of them than is needed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .._common.errors import HostError

if TYPE_CHECKING:
    from types import TracebackType

NO_PYROUTE2 = (
    "python3-pyroute2 is missing on this host: "
    "install it (Debian, Ubuntu: python3-pyroute2; EL9: python3-pyroute2 from EPEL)"
)
NO_NFTABLES = "python3-nftables is missing on this host: install it (Debian, Ubuntu, EL9: python3-nftables)"


@dataclass(frozen=True)
class PyRoute2:
    """The classes of pyroute2's netlink core that are used here."""

    nlmsg: Any
    NetlinkSocket: Any
    NetlinkError: type[Exception]


@lru_cache(maxsize=1)
def pyroute2_core() -> PyRoute2:
    """Load pyroute2's netlink core.

    ``import pyroute2`` loads the whole library, which takes longer than everything else that a host without changes
    needs. So an empty package takes its place while its modules load what they need themselves. If the modules of a
    version can't be loaded like that, the whole library is loaded.

    :raises HostError: the library is missing.
    """
    try:
        with _EmptyPackage("pyroute2"):
            return _core()
    except ImportError:
        for name in [name for name in sys.modules if name.split(".")[0] == "pyroute2"]:
            del sys.modules[name]
    try:
        importlib.import_module("pyroute2")
        return _core()
    except ImportError:
        raise HostError(NO_PYROUTE2) from None


def _core() -> PyRoute2:
    return PyRoute2(
        nlmsg=importlib.import_module("pyroute2.netlink").nlmsg,
        NetlinkSocket=importlib.import_module("pyroute2.netlink.nlsocket").NetlinkSocket,
        NetlinkError=importlib.import_module("pyroute2.netlink.exceptions").NetlinkError,
    )


class _EmptyPackage:
    """Inside the block the package is only a name for its folder. Its own ``__init__`` does not run."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.package: types.ModuleType | None = None

    def __enter__(self) -> None:
        if self.name in sys.modules:
            return
        spec = importlib.util.find_spec(self.name)
        if spec is None:
            raise ImportError(self.name)
        self.package = types.ModuleType(self.name)
        self.package.__path__ = list(spec.submodule_search_locations or ())
        sys.modules[self.name] = self.package

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A later import of the package finds the real one.
        if self.package is not None and sys.modules.get(self.name) is self.package:
            del sys.modules[self.name]


def has_nftables() -> bool:
    """Return whether the binding of libnftables is installed."""
    return importlib.util.find_spec("nftables") is not None


def nftables() -> Any:
    """Return a binding of libnftables that answers in JSON, an ``nftables.Nftables``.

    It acts on the network namespace of the thread that made it.

    :raises HostError: the library is missing.
    """
    try:
        binding = importlib.import_module("nftables").Nftables()
    except (ImportError, OSError):
        raise HostError(NO_NFTABLES) from None
    binding.set_json_output(True)
    return binding
