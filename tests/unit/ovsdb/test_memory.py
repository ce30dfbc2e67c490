# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a master's memory: a copy of a large database, and what it takes to read it."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
import uuid

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.channel import Channel, _Waiting
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import Owner
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.table_copy import TableCopy
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.values import encode

PORTS = 2000
KINDS = {
    "name": "string",
    "addresses": "set",
    "port_security": "set",
    "options": "map",
    "up": "optional",
    "external_ids": "map",
}


def port(number):
    """The row of a pod's port, as the server sends it."""
    line = f"0a:58:c0:a8:{number // 250:02x}:{number % 250:02x} 192.168.{number // 250}.{number % 250}"
    keys = {**Owner("Pod", f"namespace/pod-{number}").keys("port"), "namespace": "namespace", "pod": "true"}
    return {
        "name": f"namespace_pod-{number}",
        "addresses": line,
        "port_security": line,
        "options": encode({"iface-id-ver": str(uuid.uuid4()), "requested-chassis": str(uuid.UUID(int=number % 40))}),
        "external_ids": encode(keys),
    }


def test_a_large_database_is_in_memory_once():
    """Protects a watcher's restart: a port costs less than 2 KB, and reading the content needs little more than the
    content and its text. The lists of the wire, and texts that all rows share, cost more than the rows.
    """
    content = {str(uuid.uuid4()): {"initial": port(number)} for number in range(PORTS)}
    message = json.dumps({"id": 1, "error": None, "result": {"Logical_Switch_Port": content}}).encode()
    del content
    copy = TableCopy({"Logical_Switch_Port": tuple(KINDS)}, None, ())

    async def read():
        channel = Channel("unix:/nowhere", lambda method, params: None)
        reply = asyncio.get_running_loop().create_future()
        channel._waiting[1] = _Waiting(reply, lambda result: copy.load(result, {"Logical_Switch_Port": KINDS}))
        for start in range(0, len(message), 65536):
            channel.data_received(message[start : start + 65536])
        assert reply.done()

    tracemalloc.start()
    asyncio.run(read())
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(copy.rows["Logical_Switch_Port"]) == PORTS
    assert copy.owned(Owner("Pod", "namespace/pod-7"))[0] is copy.named("Logical_Switch_Port", "namespace_pod-7")
    assert kept < 2000 * PORTS, kept / PORTS
    assert most < kept + 2 * len(message), (most, kept, len(message))
