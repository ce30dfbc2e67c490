# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files by which a host's programs reach the API server, and which accounts need a new token. Private to the
collection.

``programs`` are those that the filter ``settings`` returns for a host.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
import typing as t
from collections.abc import Iterable, Mapping

from ..module_utils._kube.token import unusable

Programs = Iterable[Mapping[str, t.Any]]


def access_files(programs: Programs, authority: str) -> list[dict[str, str]]:
    """Return the files that hold no secret: each program's settings, and the certificate authority where one of them
    names it.

    :param authority: PEM text.
    """
    files = [{"dest": program["file"], "content": _json(program["settings"])} for program in programs]
    names = {program["settings"]["ca_file"] for program in programs}
    return files + [{"dest": name, "content": authority} for name in sorted(filter(None, names))]


def _json(settings: Mapping[str, t.Any]) -> str:
    """Return the text that each ansible-core writes as it is, and verify compares with the file.

    Up to 2.18 a template's JSON text becomes a dictionary, which ``copy`` writes with ``json.dumps``.
    """
    return json.dumps(settings, sort_keys=True)


def token_files(programs: Programs, tokens: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the files with new tokens.

    :param tokens: account to its new token; a program whose account has none keeps its file.
    """
    return [
        {"dest": program["token_file"], "content": f"{tokens[program['account']]}\n"}
        for program in programs
        if program["token_file"] and tokens.get(program["account"])
    ]


def accounts_without_token(reads: Iterable[Mapping[str, t.Any]], uids: Mapping[str, str]) -> list[str]:
    """Return the accounts that need a new token, each once.

    :param reads: for each host the result of a loop of ``ansible.builtin.slurp`` over its programs.
    :param uids: account to the UID that the API server has for it.
    """
    accounts = []
    for read in reads:
        for result in read.get("results") or []:
            account = str(result["item"]["account"])
            if account not in accounts and needs_token(_decoded(result.get("content")), account, uids.get(account, "")):
                accounts.append(account)
    return accounts


def _decoded(content: t.Any) -> str:
    try:
        return base64.b64decode(content or "").decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def needs_token(token: str, account: str, uid: str) -> bool:
    """Return whether the token can't be used, or its renewal is overdue."""
    return bool(unusable(token.strip(), account, time.time(), uid))
