# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The two libraries that speak to the kernel, loaded when they are needed and not more of them than that."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from functools import lru_cache

from .._common.errors import HostError

NO_PYROUTE2 = "python3-pyroute2 is missing on this host: install it (Debian, Ubuntu: python3-pyroute2; EL9: python3-pyroute2 from EPEL)"
NO_NFTABLES = "python3-nftables is missing on this host: install it (Debian, Ubuntu, EL9: python3-nftables)"


@lru_cache(maxsize=1)
def netlink():
    """pyroute2's netlink core: an object with nlmsg, NetlinkSocket and NetlinkError.

    ``import pyroute2`` loads all that the library can do, which takes longer than everything else that an unchanged host needs.
    While a bare package stands in for it, its modules load what they need themselves; if one version's modules
    can't do that, the whole library is loaded.

    :raises HostError: when the library is missing.
    """
    try:
        with _BarePackage("pyroute2"):
            return _core()
    except ImportError:
        for name in [name for name in sys.modules if name.split(".")[0] == "pyroute2"]:
            del sys.modules[name]
    try:
        importlib.import_module("pyroute2")
        return _core()
    except ImportError:
        raise HostError(NO_PYROUTE2) from None


def _core():
    core = types.SimpleNamespace()
    core.nlmsg = importlib.import_module("pyroute2.netlink").nlmsg
    core.NetlinkSocket = importlib.import_module("pyroute2.netlink.nlsocket").NetlinkSocket
    core.NetlinkError = importlib.import_module("pyroute2.netlink.exceptions").NetlinkError
    return core


class _BarePackage:
    """Inside the block the package is a name for its folder: its own ``__init__`` does not run."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.bare = None
        if self.name in sys.modules:
            return
        spec = importlib.util.find_spec(self.name)
        if spec is None:
            raise ImportError(self.name)
        self.bare = types.ModuleType(self.name)
        self.bare.__path__ = list(spec.submodule_search_locations or ())
        sys.modules[self.name] = self.bare

    def __exit__(self, *exc_info):
        # Who imports the package later gets the real one.
        if self.bare is not None and sys.modules.get(self.name) is self.bare:
            del sys.modules[self.name]


def nftables():
    """A binding of libnftables, an ``nftables.Nftables`` that answers in JSON; it speaks for the network namespace that it was made in.

    :raises HostError: when the library is missing.
    """
    try:
        binding = importlib.import_module("nftables").Nftables()
    except (ImportError, OSError):
        raise HostError(NO_NFTABLES) from None
    binding.set_json_output(True)
    return binding
