# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The work of ovn_kubernetes_access and ovn_kubernetes_token: accounts and tokens of the overlay's programs at the API
server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .._common import addressing
from .._common.errors import ClientMissing, KubernetesError
from .._common.names import ACCOUNTS_NAMESPACE
from .._common.result import Result
from .._kube import accounts, objects
from .._kube.administrator import PATIENCE, administrator
from .._kube.token import LIFE
from .._pods.annotation import PodAnnotations, parse
from .._pods.model import static_uid, status_ips

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from .results import Module

NODES, PODS = "/api/v1/nodes", "/api/v1/pods"
PODS_READ = 50  # of a node, which may have more: all have addresses of its subnets


def converge_accounts(module: Module, with_others: bool = True) -> Iterator[Result]:
    """Converge the accounts, roles and bindings, and yield the result.

    :param with_others: accounts of other nodes stay.
    """
    yield asyncio.run(_converge_accounts(module, with_others))


async def _converge_accounts(module: Module, with_others: bool) -> Result:
    async with administrator(module.params) as client:
        params = module.params
        is_present, gone = params["state"] == "present", params["absent_nodes"]
        is_removal = params["nodes"] is None and bool(gone)
        desired = accounts.objects(params["nodes"] or ()) if is_present and not is_removal else {}
        current = await objects.read_remaining(
            client, accounts.COLLECTIONS, accounts.SELECTOR, wait=bool(desired) and not module.check_mode
        )
        if is_present and (with_others or not desired):
            kept = accounts.without_nodes(current, gone)
            desired = accounts.with_others(desired, kept) if desired else kept
        plan = await _without_foreign_namespace(client, objects.difference(desired, current))
        if plan and not module.check_mode:
            await objects.apply(client, plan)
            current = await objects.read(client, (accounts.ACCOUNTS,), accounts.SELECTOR)
        uids = {name: item["metadata"]["uid"] for name, item in current[accounts.ACCOUNTS].items()}
        return Result(plan, facts={"accounts": uids})


async def _without_foreign_namespace(client: Any, plan: list[Any]) -> list[Any]:
    """Return the plan without changes of objects that lack our label.

    A namespace without the label is used as it is.

    :raises KubernetesError: for any other object that lacks the label.
    """
    foreign = await objects.foreign_inserts(client, plan)
    for change in foreign:
        if change.collection != accounts.NAMESPACES:
            raise KubernetesError(
                f"{change.path} is there without the label {accounts.SELECTOR}: delete it, or label it if it is ours"
            )
    return [change for change in plan if change not in foreign]


def read_nodes(module: Module, known: Iterable[str]) -> dict[str, Any]:
    """Return ``kubernetes_nodes``, the names of Kubernetes' nodes, and ``pod_subnets``, node to the subnets that the
    annotations of its pods name, of nodes in the option ``pods_of`` that the databases don't know.

    Both are None and empty where nobody is to be asked, or nobody answers. The overlay can be made before Kubernetes is
    there, so that this is no error.

    :param known: nodes of the databases.
    """
    params = module.params
    found: dict[str, Any] = {"kubernetes_nodes": None, "pod_subnets": {}}
    if not params["server"]:
        return found
    try:
        found.update(asyncio.run(_read_nodes(params, set(params["pods_of"]).difference(known))))
    except ClientMissing:
        pass  # in check mode, before packages are installed
    except KubernetesError as error:
        module.warn(f"whether the inventory's names are those of Kubernetes' nodes could not be seen: {error}")
    return found


async def _read_nodes(params: dict[str, Any], wanted: set[str]) -> dict[str, Any]:
    async with administrator(params, PATIENCE) as client:
        nodes = [str(node["metadata"]["name"]) async for page in client.pages(NODES) for node in page.items]
        asked = [node for node in nodes if node.lower() in wanted]
        replies = await asyncio.gather(
            *(client.get(PODS, fieldSelector=f"spec.nodeName={node}", limit=str(PODS_READ)) for node in asked)
        )
    subnets = {node.lower(): pod_subnets(reply.get("items") or []) for node, reply in zip(asked, replies)}
    return {"kubernetes_nodes": nodes, "pod_subnets": {node: found for node, found in subnets.items() if found}}


def pod_subnets(pods: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the subnets of the addresses that pods have been given.

    Users may write annotations. So those count whose addresses the kubelet reports too; where it reports none at all,
    those that are their pod's own. The controller refuses what contradicts.
    """
    reported: set[str] = set()
    told: set[str] = set()
    for pod in pods:
        meta, ips = pod["metadata"], status_ips(pod)
        texts = PodAnnotations.from_mapping(meta.get("annotations") or {})
        if (pod.get("spec") or {}).get("hostNetwork"):
            continue
        try:
            network = parse(texts)
        except ValueError:
            continue
        for cidr in network.addresses if network else ():
            subnet = str(addressing.interface(cidr).network)
            if cidr.split("/")[0] in ips:
                reported.add(subnet)
            elif not ips and texts.uid and texts.uid in (meta.get("uid"), static_uid(meta)):
                told.add(subnet)
    return sorted(reported or told)


def issue_tokens(module: Module) -> dict[str, Any]:
    """Return a new token of each account; in check mode none is issued."""
    return {"tokens": {} if module.check_mode else asyncio.run(_issue_tokens(module.params))}


async def _issue_tokens(params: dict[str, Any]) -> dict[str, str]:
    async with administrator(params) as client:
        requests = [client.token(ACCOUNTS_NAMESPACE, account, LIFE) for account in params["accounts"]]
        tokens = await asyncio.gather(*requests)
        return {account: issued.token for account, issued in zip(params["accounts"], tokens)}
