# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The work of ovn_host: all that a role makes of a host, as one call that changes nothing where nothing differs.

The parts have an order: files, the ports of a master's databases, services of packages, the host's own parts of node
and gateway, the programs that read all of this. Some of it only the controller can do: install packages, bring the
archive of the programs, move NICs, ask the API server for tokens. The call ends before what needs it, and says what
that is; the role does it, and calls again. In check mode it goes on, and plans the rest as far as that can be seen.
"""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

from .._central.places import has_package
from .._common.result import Result
from .._host import central_ports, certificates, files, packages, units
from .._host.apply import apply_steps
from .._kube.token import claims, read, unusable
from .._nic.moved import moved_nics
from .._topology import user_settings
from .._topology.gateway_part import is_gateways_alone
from .._topology.host import Host
from . import argument_spec
from .overlay import converge_gateways, converge_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from .._common.result import Operation
    from .._host.steps.base import Step
    from .results import Module

    Options = dict[str, Any]
    Run = Callable[[list[str]], "tuple[int, str, str]"]
    Converge = Callable[[Any, "list[str]"], Iterator[Result]]


def converge_host(module: Module, run: Run, notes: list[str]) -> Iterator[Result]:
    """Converge the parts in their order, and yield the result of each.

    The facts say what is left to the controller: ``missing``, ``moves``, and ``waits``, whether the rest was left out.

    :param run: runs a command of systemd or of the package manager.
    """
    params, check = module.params, module.check_mode
    brought = [files.from_options(file) for file in params["files"]]
    yield Result(facts={"missing": [], "moves": [], "waits": False, "found": [], "tokens": {}})
    yield Result(facts={"openvswitch_settings": []})
    yield _apply(files.plan(brought), check)
    issued = [certificates.Issued(**one) for one in params["certificates"]]
    yield _apply(list(certificates.join_steps(issued)), check)
    missing = [*_missing_packages(params["packages"], run), *files.missing(brought)]
    ports = central_ports.from_options(params["central_ports"])
    if missing:
        # The installation of the databases starts them, and they are to load the table before. Those that are installed
        # would not start again without nft, which may be what is missing.
        if ports and (check or not has_package()):
            yield _apply(central_ports.before_packages(ports), check)
        yield Result(facts={"missing": missing, "waits": True})
        if not check:
            return
    elif params["central_ports"]:
        yield _apply(central_ports.plan(ports, check), check)
    found: list[str] = []
    yield from _units(params["services"], run, check, found)
    moves: list[Options] = []
    for part, converge in (("node", _node), ("gateway", _gateway)):
        if params[part]:
            yield from converge(module, params[part], notes, moves)
            if moves:
                yield Result(facts={"moves": moves, "waits": True})
                if not check:
                    return
    if params["openvswitch_settings"] is not None:
        yield _user_settings(module)
    yield _apply(_token_steps(params), check)
    tokens = {one["account"]: token_state(one) for one in params["token_files"] if one["issued"]}
    yield Result(facts={"tokens": tokens})
    # One that was just issued is not judged by this host's clock.
    if any(one["problem"] and account not in params["tokens"] for account, one in tokens.items()) and not check:
        yield Result(facts={"waits": True, "found": found})
        return
    yield from _units(params["programs"], run, check, found)
    yield Result(facts={"found": found})


def _user_settings(module: Module) -> Result:
    """Note the users' own settings of Open vSwitch, and return those that differ, which the role sets."""
    host = Host(module.params["open_vswitch"], module.check_mode)
    wanted = user_settings.read(module.params["openvswitch_settings"])
    changes = host.differing_settings(wanted)
    noted = _apply(user_settings.note(wanted, changes), module.check_mode)
    facts = {"openvswitch_settings": [change.as_option() for change in changes]}
    return Result([*noted.plan, *changes], host.notes, facts)


def _apply(steps: Sequence[Step], check: bool) -> Result:
    if not check:
        apply_steps(steps)
    return Result(steps)


def _missing_packages(wanted: Sequence[str], run: Run) -> list[str]:
    """Return the packages that are not installed; none where that can't be seen."""
    here = packages.installed(wanted, run)
    return [name for name in wanted if here is not None and name not in here]


def _units(options: Sequence[Options], run: Run, check: bool, found: list[str]) -> Iterator[Result]:
    """Converge units; the names of those that existed before are added to ``found``."""
    for converged in units.converge(run, [units.Unit.from_options(one) for one in options], check):
        found += converged.found
        operations: list[Operation] = list(converged.steps)
        yield Result(operations)


def _node(module: Module, options: Options, notes: list[str], moves: list[Options]) -> Iterator[Result]:
    """Converge the host's part of the node. NICs that tunnels need, or no longer need, are added to ``moves``, and
    addresses and routes that may cut the host off."""
    result = _part(module, converge_nodes, argument_spec.OVN_MINION_INIT, options, notes)
    nic, datapath = result.facts.get("underlay_nic"), result.facts.get("datapath_type")
    host = Host(module.params["open_vswitch"], module.check_mode)
    if nic and host.plan_uplinks([nic], True, "node", datapath).items:
        moves.append({"nics": [nic], "state": "present", "used_by": "node", "datapath_type": datapath})
    if result.facts.get("spare_nics"):
        moves.append({"nics": result.facts["spare_nics"], "state": "absent", "used_by": "node"})
    network = result.facts.pop("network", None)
    if network:
        moves.append({"nics": [network["link"]], "state": "present", "used_by": "node", "_network": network})
    yield result


def _gateway(module: Module, options: Options, notes: list[str], moves: list[Options]) -> Iterator[Result]:
    """Converge the host's part of the gateway, after the NIC that it shares is in its bridge.

    Where the gateway keeps its NIC and gets another kind, the part is removed first: what the NIC had comes back, and
    goes from there. The fact ``others`` has NICs that the gateway shared before.
    """
    nic, datapath = options["shared_interface"], options["datapath_type"]
    yield Result(facts={"others": [one for one in moved_nics("gateway") if one != nic]})
    host = Host(module.params["open_vswitch"], module.check_mode)
    own_nic = options.get("physical_interface")
    if own_nic and own_nic in moved_nics("gateway"):
        host.refuse_in_use(own_nic)
        yield host.gateway(None)
        moves.append({"nics": [own_nic], "state": "absent", "used_by": "gateway"})
        return  # in check mode too: what follows can't be planned while the bridge is there
    if nic:
        was_alone = is_gateways_alone(nic)
        if was_alone:
            yield host.gateway(None)
        if (was_alone and module.check_mode) or host.plan_uplinks([nic], True, "gateway", datapath).items:
            moves.append({"nics": [nic], "state": "present", "used_by": "gateway", "datapath_type": datapath})
            if not module.check_mode:
                return
    given = {key: value for key, value in options.items() if key not in ("shared_interface", "datapath_type")}
    yield _part(module, converge_gateways, argument_spec.OVN_GATEWAY, given, notes)


def _part(module: Module, converge: Converge, spec: Options, options: Options, notes: list[str]) -> Result:
    """Return the result of another module's work on this host's part, with the options that are given."""
    params = {name: option.get("default") for name, option in spec["argument_spec"].items()}
    params.update(options, part="host", open_vswitch=module.params["open_vswitch"])
    params["_defer"] = module.params.get("_defer")
    (result,) = converge(SimpleNamespace(params=params, check_mode=module.check_mode), notes)
    return result


def _token_steps(params: Options) -> list[Step]:
    """Return the steps after which new tokens are in their files, and all are root's alone."""
    steps: list[Step] = []
    for one in params["token_files"]:
        token = params["tokens"].get(one["account"])
        if token:
            steps += files.secret(one["path"], f"{token}\n")
        else:
            steps += files.plan([files.BroughtFile(one["path"], mode=files.SECRET)])
    return steps


def token_state(file: Options) -> Options:
    """Return what the controller may know of a token: why it can't be used, or nothing, and its account's UID."""
    token = read(file["path"])
    found = claims(token)
    return {"problem": unusable(token, file["account"], time.time()), "uid": found.uid if found else ""}
