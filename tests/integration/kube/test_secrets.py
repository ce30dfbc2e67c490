# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects credentials for the API server from being shown, whatever answers in its place."""

from __future__ import annotations

import asyncio
import os
import pathlib
import stat

import preloaded
import pytest
from database_server import wait_for
from telltale_server import TelltaleServer
from watcher_process import Watcher

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import APIRefused
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.administrator import administrator
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.client import Client, IssuedToken
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.settings import Settings

SECRET = "e30.c2VjcmV0.of-the-program"


@pytest.mark.parametrize("status", [307, 400, 401, 403, 404, 409, 500, 503])
@pytest.mark.parametrize("ask", ["get", "patch", "watch"])
def test_an_error_does_not_show_the_token(tmp_path, status, ask):
    """Protects logs and results: a proxy may show the headers of what it refuses. A redirect is not followed, since the
    token is for the server that is named, and a change is not taken for done."""
    token = tmp_path / "token"
    token.write_text(SECRET)

    async def refused(url):
        client = Client(Settings(url, token_file=str(token)))
        try:
            for _body in ("JSON", "text"):
                with pytest.raises(APIRefused) as error:
                    if ask == "watch":
                        await client.watch("/api/v1/pods", "1").__anext__()
                    else:
                        await (client.get("/api/v1/pods") if ask == "get" else client.patch("/api/v1/pods", {}))
                assert SECRET not in str(error.value) and f"({status})" in str(error.value)
        finally:
            await client.close()

    with TelltaleServer(status) as server:
        asyncio.run(refused(server.url))
        assert server.seen == [f"Bearer {SECRET}"] * 2


def test_an_issued_token_does_not_show_itself():
    """Protects logs from whoever logs the object."""
    assert SECRET not in repr(IssuedToken(SECRET, "2026-01-01T00:00:00Z"))


def test_an_administrator_s_credential_is_in_memory_and_root_s_alone():
    """Protects the cluster: a call that is killed leaves no credential on a disk, and nobody else can read it."""

    async def look():
        params = dict.fromkeys(("ca", "certificate", "key"))
        async with administrator({**params, "server": "http://127.0.0.1:1", "token": SECRET}) as client:
            file = pathlib.Path(client.settings.token_file)
            assert file.read_text() == f"{SECRET}\n"
            modes = [stat.S_IMODE(os.stat(path).st_mode) for path in (file.parent, file)]
            return file, modes

    file, modes = asyncio.run(look())
    assert file.is_relative_to("/run") and modes == [0o700, 0o600] and not file.parent.exists()


def test_a_program_keeps_its_token_to_itself(tmp_path):
    """Protects the watcher's token where others look: its log at the most talkative level, its command line and its
    environment, and those of what it starts, while a proxy shows the token in each answer."""
    with TelltaleServer(403, 401, 307, 500) as server:
        server.ca_file, server.admin = None, SECRET

        def start(*arguments, **environment):
            return preloaded.start_anew(*arguments, **environment, **{names.LOG_LEVEL: "debug"})

        watcher = Watcher(f"unix:{tmp_path}/none", server, start=start)
        try:
            watcher.start(wait=False)
            wait_for(lambda: watcher.running() and len(server.seen) > 12, "requests of the watcher", 60)
            shown = {
                "its log": watcher.text(),
                "its pages": "".join(map(str, map(watcher.get, ("/metrics", "/readyz")))),
            }
            for process in processes(watcher.process.pid):
                for file in ("cmdline", "environ"):
                    shown[f"{file} of {process}"] = pathlib.Path(f"/proc/{process}/{file}").read_text(errors="replace")
        finally:
            watcher.remove()
    assert set(server.seen) == {f"Bearer {SECRET}"}
    assert [where for where, text in shown.items() if SECRET in text] == []
    assert "(403)" in shown["its log"] and "********" in shown["its log"]


def processes(first):
    """A process and those that it has started."""
    found = [first]
    for process in found:
        for thread in pathlib.Path(f"/proc/{process}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found
