# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The copy of a database, against a scripted server: a real one does not send its messages in an order of choice."""

from __future__ import annotations

import asyncio
import json

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.columns import allowed_values
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.replica import Replica

ONE = {"key": {"type": "string", "enum": "x"}, "min": 0}
NAME = {"type": {"key": {"type": "string", "enum": ["set", ["old", "new"]]}}}
SCHEMA = {"name": "DB", "tables": {"T": {"columns": {"name": NAME, "note": {"type": "string"}}}}}


def answers(message):
    """What the server says to a request: an answer, and news about it in the same piece."""
    method, params, number = message["method"], message["params"], message["id"]

    def say(result, *news):
        return [
            {"id": number, "error": None, "result": result},
            *({"id": None, "method": name, "params": what} for name, what in news),
        ]

    if method == "get_schema":
        return say(SCHEMA)
    if method == "lock":
        return say({"locked": False}, ("locked", ["lock"]))
    if method == "monitor_cond" and params[0] == "_Server":
        return say(
            {"Database": {"s": {"initial": {"name": "DB", "connected": True}}}},
            ("update2", [["server"], {"Database": {"s": {"modify": {"leader": True}}}}]),
        )
    if method == "monitor_cond":
        return say(
            {"T": {"u1": {"initial": {"name": "old"}}}},
            ("update2", [["content"], {"T": {"u1": {"delete": None}, "u2": {"insert": {"name": "new"}}}}]),
        )
    return say([])


async def serve(reader, writer):
    while data := await reader.read(65536):  # a request is small, and none is sent before the last one's answer
        writer.write("".join(json.dumps(one) for one in answers(json.loads(data))).encode())
    writer.close()


def test_what_a_schema_allows():
    """Protects rows from values that an older server does not know: a set of them, one alone, and all of a type."""
    columns = ["name", "note", "one"]
    schema = {"tables": {"T": {"columns": {"name": NAME, "note": {"type": "string"}, "one": {"type": ONE}}}}}
    assert allowed_values(schema, {"T": columns}) == {("T", "name"): {"old", "new"}, ("T", "one"): {"x"}}


def test_news_that_come_with_an_answer_are_later_than_it(tmp_path):
    """Protects against ghosts, missing rows, and a lock that is ours unnoticed, until the next connection."""

    async def main():
        server = await asyncio.start_unix_server(serve, str(tmp_path / "db"))
        replica = Replica(f"unix:{tmp_path}/db", "DB", {"T": ("name",)}, lock="lock")
        following = asyncio.ensure_future(replica.run())
        await asyncio.wait_for(replica.ready.wait(), 10)
        assert replica.locked and {uuid: row.name for uuid, row in replica.rows["T"].items()} == {"u2": "new"}
        assert replica.allowed_values("T", "name") == {"old", "new"} and not replica.allowed_values("T", "note")
        following.cancel()
        server.close()

    asyncio.run(main())
