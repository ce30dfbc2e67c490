# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bound tokens of service accounts: their claims, and their renewal by the program that uses them.

Such a token expires (RFC 7519, 4.1.4, ``exp``). Its account may request the next one, and the program does so after two
thirds of the token's lifetime. A host that was off for longer gets a new token from the next run of the site play.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common.errors import KubernetesError
from .._common.files import FileContent, write_file
from .._common.names import ACCOUNTS_NAMESPACE
from .._common.retry import Pause

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from .client import Client

LOG = logging.getLogger("kubernetes")
LIFE = 7 * 24 * 3600  # lifetime in seconds that tokens are requested with
SHARE = 2 / 3  # of the lifetime, after which a token is renewed
RETRY_PAUSE = Pause(60.0, jitter=0.5)  # while the API server issues no token
FOREIGN_PAUSE = 600.0  # seconds between two checks of a token that is not ours: the site play may bring one of ours
LONGEST_SLEEP = 24 * 3600.0  # seconds: the host's time may be set, and another program may write the file
PREFIX = "system:serviceaccount:"


@dataclass(frozen=True)
class Claims:
    """What a bound token says (RFC 7519, 4; Kubernetes, "ServiceAccount token structure").

    :ivar namespace: of the service account.
    :ivar account: its name.
    :ivar uid: its UID.
    :ivar issued: when it was issued, in seconds since 1970.
    :ivar expires: when it expires, in seconds since 1970.
    """

    namespace: str
    account: str
    uid: str
    issued: float
    expires: float

    @property
    def due(self) -> float:
        """Return when to renew it, in seconds since 1970."""
        return self.issued + (self.expires - self.issued) * SHARE


def claims(token: str) -> Claims | None:
    """Return the claims of a service account's bound token; None for another kind of token."""
    try:
        payload = token.split(".")[1]
        content: Any = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        namespace, account = content["sub"][len(PREFIX) :].split(":")
        if not content["sub"].startswith(PREFIX):
            return None
        uid = content["kubernetes.io"]["serviceaccount"]["uid"]
        return Claims(namespace, account, uid, float(content["iat"]), float(content["exp"]))
    except (IndexError, KeyError, TypeError, ValueError, AttributeError):
        return None


def unusable(token: str, account: str | None, now: float, uid: str | None = None) -> str:
    """Return why a program can't use its token for long, as a clause that follows "the token"; empty when it can.

    A token whose renewal is overdue by a tenth of its life counts too: its program had time to renew it.

    :param account: the service account that it must belong to; None: any token will do.
    :param now: seconds since 1970.
    :param uid: the UID of that account; None: not known.
    """
    if not token:
        return "is missing"
    found = claims(token)
    if found is None:
        return "is not one of a service account" if account else ""
    if account and (found.namespace, found.account) != (ACCOUNTS_NAMESPACE, account):
        return "belongs to another service account"
    if account and uid is not None and found.uid != uid:
        return "belongs to a service account that was deleted and made again"
    if now > found.expires:
        return "has expired"
    overdue = bool(account) and now > found.due + (found.expires - found.issued) / 10
    return "should have been renewed long ago" if overdue else ""


def read(path: str) -> str:
    """Return the token in a file; empty when there is none."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def write(path: str, token: str) -> None:
    """Write a token into its file, atomically. Only root can read it.

    :raises OSError: the file can't be written.
    """
    write_file(path, FileContent(f"{token}\n", 0o600))


async def keep_fresh(
    client: Client,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Renew the client's token for ever.

    A token of another kind or namespace was given by the user, and is left as it is.

    :param clock: returns the host's time, in seconds since 1970.
    """
    path = client.settings.token_file
    while path:
        current = claims(read(path))
        if current is None or current.namespace != ACCOUNTS_NAMESPACE:
            await sleep(FOREIGN_PAUSE)
            continue
        left = current.due - clock()
        if left > 0:
            await sleep(min(left * random.uniform(1.0, 1.05), LONGEST_SLEEP))
            continue
        name = f"{current.namespace}/{current.account}"
        try:
            issued = await client.token(current.namespace, current.account, LIFE)
            write(path, issued.token)
            LOG.info("the token of %s is renewed", name)
        except (KubernetesError, OSError) as exc:
            LOG.warning("the token of %s can't be renewed: %s; trying again", name, exc)
            await sleep(RETRY_PAUSE.seconds(0))
