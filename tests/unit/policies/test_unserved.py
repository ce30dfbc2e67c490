# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects whoever makes a policy of a kind that is not enforced: verify counts them."""

from __future__ import annotations

import asyncio

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import APIRefused, APIUnreachable
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.unserved import UnservedPolicies


class Api:
    """An API server with some policies of administrators."""

    async def get(self, path, **query):
        """One page."""
        assert query == {"limit": "1"}
        if path.endswith("/baselineadminnetworkpolicies"):
            return {"metadata": {}, "items": [{}]}
        if path.endswith("/adminnetworkpolicies"):
            return {"metadata": {"remainingItemCount": 6}, "items": [{}]}
        raise APIRefused("404 page not found", 404)


def test_verify_counts_them():
    """Protects the operator: policies of each kind are counted; kinds that the server does not have are no fault, and
    a watcher that stands by says nothing.
    """
    found = {one.subject: one.wrong for one in asyncio.run(UnservedPolicies(Api(), lambda: True).findings())}
    assert found == {
        "AdminNetworkPolicy": "7 of the cluster's objects are not enforced",
        "BaselineAdminNetworkPolicy": "the cluster's only one is not enforced",
    }
    assert asyncio.run(UnservedPolicies(Api(), lambda: False, lambda: 3).findings()) == []


def test_what_to_do_instead():
    """Protects whoever has policies of the API's first version: verify names the kind and the tier that have come for
    them; and of cluster network policies where OVN has no tiers what is to be renewed.
    """
    found = {one.subject: one for one in asyncio.run(UnservedPolicies(Api(), lambda: True, lambda: 2).findings())}
    assert "ClusterNetworkPolicy (policy.networking.k8s.io/v1beta1) of tier Admin" in found["AdminNetworkPolicy"].mend
    assert "of tier Baseline" in found["BaselineAdminNetworkPolicy"].mend
    assert found["ClusterNetworkPolicy"].wrong == "2 of the cluster's objects are not enforced"
    assert "renew OVN on the masters" in found["ClusterNetworkPolicy"].mend


def test_an_api_server_that_does_not_answer():
    """Protects verify from an outage of the API server."""

    class Away(Api):
        """An API server that is away."""

        async def get(self, path, **_query):
            """Nothing."""
            raise APIUnreachable(path)

    assert asyncio.run(UnservedPolicies(Away(), lambda: True).findings()) == []
