# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Logical ports made one after another through the collection's own replica; it runs on a host of the lab, by itself.

It makes ports of the switch ``drill`` as fast as PAUSE allows, as the watcher does for pods: what was sent and not
answered is looked for in the copy before it is sent again. At the end of its input it prints, as JSON, when each port
was there for sure, and what was refused.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import sys
import time

sys.path.insert(0, "/usr/local/lib/ovn_kubernetes.pyz")

from ovn_kubernetes._common.errors import DatabaseError, Disconnected
from ovn_kubernetes._ovsdb.replica import Replica

SWITCH, PAUSE, LIMIT = "drill", 0.03, 60
ACCESS = "/etc/ovn-kubernetes/central.json"  # where the databases are, and with which files; absent: on this host
TABLES = {"Logical_Switch_Port": ("name",)}


def replica():
    """The copy of the ports, from wherever the databases are."""
    access = {}
    if os.path.exists(ACCESS):
        with open(ACCESS, encoding="utf-8") as file:
            access = json.load(file)
    remote = access.pop("northbound", "unix:/var/run/ovn/ovnnb_db.sock")
    files = {key: access[key] for key in ("private_key", "certificate", "ca_cert") if access.get(key)}
    return Replica(remote, "OVN_Northbound", TABLES, tls=files or None)


def operations(name):
    """What makes a port."""
    port = {"op": "insert", "table": "Logical_Switch_Port", "uuid-name": "new", "row": {"name": name}}
    mutation = ["ports", "insert", ["named-uuid", "new"]]
    where = [["name", "==", SWITCH]]
    return [port, {"op": "mutate", "table": "Logical_Switch", "where": where, "mutations": [mutation]}]


async def make(copy, name, refused):
    """Make one port, however often the connection is lost on the way."""
    while True:
        await copy.ready.wait()
        if copy.named("Logical_Switch_Port", name):
            return
        try:
            await copy.transact(operations(name))
        except Disconnected:
            continue
        except DatabaseError as exc:
            refused.append([time.time(), name, str(exc)])
            await asyncio.sleep(PAUSE)
        else:
            return


async def main():
    """Make ports until the input ends."""
    copy, ended = replica(), asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), lambda: ended.set() if not os.read(0, 1) else None)
    following = asyncio.ensure_future(copy.run())
    await copy.ready.wait()
    print("ready", flush=True)
    made, refused = [], []
    while not ended.is_set():
        name = f"drill-{len(made)}"
        await asyncio.wait_for(make(copy, name, refused), LIMIT)
        made.append([name, time.time()])
        await asyncio.sleep(PAUSE)
    following.cancel()
    print(json.dumps({"made": made, "refused": refused}), flush=True)


faulthandler.dump_traceback_later(45, repeat=True)  # where it is, if it does not end
asyncio.run(main())
