# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the names in policies from what name servers say: a real one answers, over UDP and TCP."""

from __future__ import annotations

import asyncio
import time

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import network_namespace
import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.domain_names import NoAnswer
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.name_queries import NameServers

SERVER = "127.0.0.53"


class Server(asyncio.DatagramProtocol):
    """A name server."""

    def __init__(self):
        self.records = {}  # (name, type) -> (ttl, texts), or an rcode
        self.asked = 0
        self.is_silent = False

    def reply(self, wire, most=65535):
        """The answer to a packet; what is too long is truncated."""
        question = dns.message.from_wire(wire)
        answer = dns.message.make_response(question)
        (asked,) = question.question
        self.asked += 1
        name, kind = asked.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(asked.rdtype)
        found = self.records.get((name, kind), self.records.get((name, "CNAME"), dns.rcode.NXDOMAIN))
        if isinstance(found, int):
            answer.set_rcode(found)
        while isinstance(found, tuple):
            ttl, texts = found
            alias = (name, "CNAME") in self.records
            answer.answer.append(dns.rrset.from_text(name + ".", ttl, "IN", "CNAME" if alias else kind, *texts))
            name = texts[0].rstrip(".")
            found = self.records.get((name, kind)) if alias else None
        text = answer.to_wire(max_size=65535)
        if len(text) > most:
            answer.answer.clear()
            answer.flags |= dns.flags.TC
            text = answer.to_wire()
        return text

    def connection_made(self, transport):
        """Take the socket."""
        self.transport = transport

    def datagram_received(self, data, addr):
        """Answer."""
        if not self.is_silent:
            self.transport.sendto(self.reply(data, 512), addr)

    async def stream(self, reader, writer):
        """Answer one question over TCP."""
        length = int.from_bytes(await reader.readexactly(2), "big")
        text = self.reply(await reader.readexactly(length))
        writer.write(len(text).to_bytes(2, "big") + text)
        await writer.drain()
        writer.close()


def run(tmp_path, test):
    """Run a test with a server."""

    async def main():
        server, loop = Server(), asyncio.get_running_loop()
        transport, _protocol = await loop.create_datagram_endpoint(lambda: server, (SERVER, 53))
        streams = await asyncio.start_server(server.stream, SERVER, 53)
        file = tmp_path / "resolv.conf"
        file.write_text(f"search example.com\nnameserver {SERVER}\n")
        try:
            await test(server, NameServers(str(file)), file)
        finally:
            transport.close()
            streams.close()

    with network_namespace.namespace():
        asyncio.run(asyncio.wait_for(main(), 60))


def test_answers(tmp_path):
    """Protects the meaning of answers: both IP versions, the least time of all aliases, none, no such name, thousands
    of addresses (TCP), and no search domains.
    """

    async def test(server, names, _file):
        server.records["www.example.com", "CNAME"] = (7, ["cdn.example.net."])
        server.records["cdn.example.net", "A"] = (90, ["192.0.2.1", "192.0.2.2"])
        server.records["cdn.example.net", "AAAA"] = (5, ["fd77::1"])
        found = await names.ask("www.example.com", 4)
        assert (set(found.addresses), found.ttl) == ({"192.0.2.1", "192.0.2.2"}, 7)
        assert await names.ask("www.example.com", 6) == (("fd77::1",), 5)
        server.records["only4.example.com", "AAAA"] = dns.rcode.NOERROR
        assert (await names.ask("only4.example.com", 6)).addresses == ()
        assert (await names.ask("www", 4)).addresses == ()
        server.records["many.example.com", "A"] = (0, [f"198.51.{n // 250}.{n % 250 + 1}" for n in range(2000)])
        assert len((await names.ask("many.example.com", 4)).addresses) == 2000

    run(tmp_path, test)


def test_failures(tmp_path):
    """Protects the addresses that a name has: a server that fails, or is silent, has said nothing, and one that comes
    into resolv.conf is asked.
    """

    async def test(server, names, file):
        server.records["www.example.com", "A"] = dns.rcode.SERVFAIL
        with pytest.raises(NoAnswer, match="fail"):
            await names.ask("www.example.com", 4)
        server.is_silent, started = True, time.monotonic()
        with pytest.raises(NoAnswer, match="no answer within 5 s"):
            await names.ask("www.example.com", 4)
        assert time.monotonic() - started < 8
        server.is_silent = False
        server.records["www.example.com", "A"] = (30, ["192.0.2.1"])
        file.write_text("nameserver 127.0.0.99\n")
        with pytest.raises(NoAnswer):
            await names.ask("www.example.com", 4)
        file.write_text(f"# again\nnameserver {SERVER}\n")
        assert (await names.ask("www.example.com", 4)).addresses == ("192.0.2.1",)
        file.unlink()
        with pytest.raises(NoAnswer):
            await names.ask("www.example.com", 4)

    run(tmp_path, test)
