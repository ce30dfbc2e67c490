# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn-k8s-host``: converge this host from its saved settings, at each boot and whenever Open vSwitch starts."""

from __future__ import annotations

import argparse
import json
import logging
import os
from functools import partial
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import OvnKubernetesError
from .._common.result import Result
from .._host import central_ports
from .._host.drop_watch import start_watch_of_drops
from .._host.steps.central_ports import start_keeper
from .._nic.moved import moved_nics
from .._topology.host import Host
from . import log, version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

LOG = logging.getLogger("ovn-k8s-host")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program: log a line for each change; return 1 after a sentence for each thing that is wrong."""
    parser = argparse.ArgumentParser(prog="ovn-k8s-host", description="Converge this host from its saved settings.")
    version.add_option(parser)
    parser.parse_args(arguments or [])
    log.begin()
    host = Host()
    status = _run(host.finish_uplinks)
    # Each NIC is restored by itself. No new move of the underlay's NIC: there is no one to confirm it.
    parts: list[Callable[[], Result]] = [partial(host.restore_uplink, nic) for nic in moved_nics()]
    parts += [
        partial(_converge_saved, names.NODE_SETTINGS, partial(host.node, move_underlay=False, accepted=True)),
        partial(_converge_saved, names.GATEWAY_SETTINGS, partial(host.gateway, accepted=True)),
        _watch_drops,
        _keep_central_ports,
    ]
    return max([status, *map(_run, parts)])


def _run(part: Callable[[], Result]) -> int:
    """Run one part and return its exit status. The other parts run even when it fails."""
    try:
        result = part()
        for text in (*(operation.describe() for operation in result.plan), *result.notes):
            LOG.info("%s", text)
    except (OvnKubernetesError, KeyError, OSError, ValueError) as exc:
        LOG.error("%s", exc)
        return 1
    except Exception:
        LOG.exception("a part of this host can't be converged")
        return 1
    return 0


def _watch_drops() -> Result:
    """Keep the drops of NICs that neither node nor gateway has asked for, too."""
    start_watch_of_drops()
    return Result()


def _keep_central_ports() -> Result:
    """Keep the table before a master's databases, which the units of the databases have loaded."""
    if central_ports.saved_objects() and not central_ports.is_kept():
        start_keeper()
    return Result()


def _converge_saved(path: str, converge: Callable[[Any], Result]) -> Result:
    """Converge from the settings in a file; nothing where there is none."""
    if not os.path.exists(path):
        return Result()
    with open(path, encoding="utf-8") as stream:
        return converge(json.load(stream))
