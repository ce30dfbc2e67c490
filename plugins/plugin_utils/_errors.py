# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Errors of the inventory, and how values are shown in them. Private to the collection."""

from __future__ import annotations

import ipaddress
import json
import re
import typing as t

SHOWN = 100  # characters of a value that a message shows
# What a secret looks like that stands in a place which is for something else: PEM (also in base64), a JSON web token
# (RFC 7519), a bootstrap token of Kubernetes, the user of a URL, a header, a field of a kubeconfig, and 32 letters and
# digits in a row, as in base64 and in hexadecimal tokens.
SECRET = re.compile(
    r"-----BEGIN|LS0tLS1CRUdJT|\beyJ[\w-]{8}|\b[a-z0-9]{6}\.[a-z0-9]{16}\b|(//|:)[^/\s\"]*@|\b(bearer|basic)\s"
    r"|(token|passw\w*|passphrase|secret|credentials?|(client|api|private)[-_]?key|-data)[\\\"']*\s*[:=]"
    r"|(?=[a-z+=]{0,31}[0-9])(?=[0-9+=]{0,31}[a-z])[0-9a-z+=]{32}",
    re.IGNORECASE,
)
LINES = re.compile(r"\\[nr]")  # in JSON: lines of a file
PATHS = ("/", "~", "./", "../")
NOT_SHOWN = "(not shown, since it may be a secret)"
ADDRESSES = (
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
)


class InventoryError(Exception):
    """The inventory can't be used as it is.

    :ivar text: one sentence for the user, without the host.
    :ivar host: the host that it is about; empty: the inventory as a whole.
    """

    def __init__(self, text: str, host: str = "") -> None:
        super().__init__(f"{host}: {text}" if host else text)
        self.text = text
        self.host = host


class FactsMissing(InventoryError):
    """A variable's template needs facts that were not gathered yet: nothing is wrong with it as far as is known."""


class InvalidValue(ValueError):
    """A value that its variable can't have.

    :ivar value: the part of the value that is wrong.
    :ivar text: what is wrong with it, and what would be right; it follows the variable and the value in the message.
    """

    def __init__(self, value: t.Any, text: str) -> None:
        super().__init__(text)
        self.value = value
        self.text = text


def show(value: t.Any) -> str:
    """Return a value as messages show it: in JSON, so that it can be told from the words around it, and shortened.

    What may be a secret is not shown.
    """
    text = _json(value)
    if SECRET.search(text) or LINES.search(text):
        return NOT_SHOWN
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def may_be_secret(value: t.Any) -> bool:
    """Return whether a secret may be in the value."""
    return SECRET.search(_json(value)) is not None


def show_path(path: str) -> str:
    """Return the path of a credential's file as :func:`show` does; what does not begin like a path may be the
    credential."""
    return show(path) if path.startswith(PATHS) else NOT_SHOWN


def _json(value: t.Any) -> str:
    return json.dumps(str(value) if isinstance(value, ADDRESSES) else value, ensure_ascii=False, default=str)


def count(number: int, noun: str) -> str:
    """Return a number with its noun in the singular or plural."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
