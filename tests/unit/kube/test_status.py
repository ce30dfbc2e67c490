# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the status of objects: the last one is written, by the program that acts, and again after an outage."""

from __future__ import annotations

import asyncio

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import APIRefused, APIUnreachable
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.retry import Pause
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube import status
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.status import StatusWriter


class Api:
    """An API server that first answers these errors."""

    def __init__(self, *errors):
        self.errors, self.written = list(errors), []

    async def patch(self, path, body):
        """Take a status."""
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors.pop(0)
        self.written.append((path, body["status"]))


def run(api, *statuses, acts=True):
    """Write statuses of one object, and wait; how many are still to be written."""

    async def main():
        writer = StatusWriter(api, lambda: acts)
        for one in statuses:
            writer.write("/o/status", one)
            await asyncio.sleep(0)
        for _n in range(200):
            if not len(writer):
                break
            await asyncio.sleep(0.001)
        left = len(writer)
        await writer.close()
        return left

    return asyncio.run(main())


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """Attempts follow at once."""
    monkeypatch.setattr(status, "PAUSE", Pause(0.001))


def test_the_last_one_counts():
    """Protects from a status of before."""
    api = Api()
    assert run(api, {"status": "Fail"}, {"status": "Success"}) == 0
    assert api.written[-1] == ("/o/status", {"status": "Success"}) and len(api.written) <= 2


def test_an_outage_and_an_object_that_is_gone():
    """Protects from a status that is lost, and from endless attempts."""
    api = Api(APIUnreachable("away"), APIRefused("busy", 503))
    assert run(api, {"status": "Fail"}) == 0 and api.written == [("/o/status", {"status": "Fail"})]
    api = Api(APIRefused("gone", 404))
    assert run(api, {"status": "Fail"}) == 0 and api.written == []


def test_who_stands_by_writes_nothing():
    """Protects the status that the acting program has written."""
    api = Api()
    assert run(api, {"status": "Fail"}, acts=False) == 0 and api.written == []
