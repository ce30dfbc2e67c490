# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files by which a host's programs reach the API server, and which accounts need a new token. Private to the
collection.

``programs`` are those that the filter ``settings`` returns for a host.
"""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterable, Mapping

Programs = Iterable[Mapping[str, t.Any]]


def access_files(programs: Programs, authority: str) -> list[dict[str, str]]:
    """Return the files that hold no secret: each program's settings, and the certificate authority where one of them
    names it.

    :param authority: PEM text.
    """
    contents = {program["file"]: _json(program["settings"]) for program in programs}
    names = {program["settings"]["ca_file"] for program in programs}
    contents.update((name, authority) for name in sorted(filter(None, names)))
    return [{"path": path, "content": content, "mode": "0644"} for path, content in contents.items()]


def _json(settings: Mapping[str, t.Any]) -> str:
    """Return the text of a program's settings; the order of the keys is always the same."""
    return json.dumps(settings, sort_keys=True)


def token_files(programs: Programs, issued: bool) -> list[dict[str, t.Any]]:
    """Return where the programs have their tokens, as the module ovn_host takes it.

    :param issued: whether the play has the tokens issued.
    """
    return [
        {"account": program["account"], "path": program["token_file"], "issued": issued}
        for program in programs
        if program["token_file"]
    ]


def accounts_without_token(states: Iterable[Mapping[str, Mapping[str, str]]], uids: Mapping[str, str]) -> list[str]:
    """Return the accounts that need a new token, each once.

    :param states: for each host the ``tokens`` of its result of ovn_host.
    :param uids: account to the UID that the API server has for it.
    """
    accounts = {
        account: None
        for tokens in states
        for account, state in tokens.items()
        if state["problem"] or state["uid"] != uids.get(account, "")
    }
    return [str(account) for account in accounts]
