# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects whoever makes a policy: that it does nothing is said by the watcher that acts, and verify can count."""

from __future__ import annotations

import asyncio

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import APIRefused, APIUnreachable
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.reasons import POLICY_NOT_ENFORCED
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.settings import Settings
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.policies import Policies


class Api:
    """An API server with some policies of administrators."""

    settings = Settings("http://127.0.0.1:1")

    async def get(self, path, **query):
        """One page."""
        assert query == {"limit": "1"}
        if path.endswith("/baselineadminnetworkpolicies"):
            return {"metadata": {}, "items": [{}]}
        if path.endswith("/adminnetworkpolicies"):
            return {"metadata": {"remainingItemCount": 6}, "items": [{}]}
        raise APIRefused("404 page not found", 404)


def policy(name, **more):
    return {"metadata": {"namespace": "ns", "name": name, "uid": f"u-{name}", "resourceVersion": "1"}, **more}


def follow(client=None, acts=True):
    told, state = [], {"acts": acts}

    def on_event(about, reason, message):
        told.append((str(about), reason))
        assert about.api_version == "networking.k8s.io/v1" and "not enforced" in message

    policies = Policies(client or Api(), on_event, lambda: state["acts"])
    return policies, told, state


def test_each_policy_gets_one_event():
    """Protects the user: one event for each, none for a change of it, and none of a watcher that stands by."""

    async def main():
        policies, told, state = follow(acts=False)
        policies.informer._put(policy("a"))
        assert told == []
        state["acts"] = True
        policies.begin()
        policies.informer._put(policy("b"))
        policies.informer._put(policy("b", spec={"podSelector": {}}))
        policies.informer._delete(policy("b"))
        assert told == [("networkpolicy ns/a", POLICY_NOT_ENFORCED), ("networkpolicy ns/b", POLICY_NOT_ENFORCED)]

    asyncio.run(main())


def test_verify_counts_them():
    """Protects the operator: policies of each kind are counted, also those of administrators; kinds that the server
    does not have are no fault.
    """

    async def main():
        policies, _told, state = follow()
        for name in ("a", "b"):
            policies.informer._put(policy(name))
        found = {one.subject: one.wrong for one in await policies.findings()}
        assert found == {
            "NetworkPolicy": "2 of the cluster's objects are not enforced",
            "AdminNetworkPolicy": "7 of the cluster's objects are not enforced",
            "BaselineAdminNetworkPolicy": "the cluster's only one is not enforced",
        }
        state["acts"] = False
        assert await policies.findings() == []

    asyncio.run(main())


def test_an_api_server_that_does_not_answer():
    """Protects verify from an outage of the API server: what is known is said."""

    class Away(Api):
        """An API server that is away."""

        async def get(self, path, **_query):
            """Nothing."""
            raise APIUnreachable(path)

    async def main():
        policies, _told, _state = follow(Away())
        policies.informer._put(policy("a"))
        assert [one.subject for one in await policies.findings()] == ["NetworkPolicy"]

    asyncio.run(main())
