# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A service account's bound token: what it says of itself, and its renewal by the program that holds it.

Such a token ends by itself (RFC 7519, `exp`). Its account may ask for the next one, and the program does so when two thirds of
its time are over; a host that was off for longer than the rest gets a new one from the next site play.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import random
import time
from dataclasses import dataclass

from .._common.errors import KubernetesError
from .._common.names import ACCOUNTS_NAMESPACE

LOG = logging.getLogger("kubernetes")
LIFE = 7 * 24 * 3600  # seconds that a token is asked for
SHARE = 2 / 3  # of its life, after which it is renewed
PAUSE = 60.0  # seconds between tries while the API server does not give one
PREFIX = "system:serviceaccount:"


@dataclass(frozen=True)
class Claims:
    """What a bound token says: whose it is, and from when until when it holds (seconds since 1970)."""

    namespace: str
    account: str
    uid: str
    issued: float
    expires: float

    @property
    def due(self):
        """When it is to be renewed."""
        return self.issued + (self.expires - self.issued) * SHARE


def claims(token):
    """The claims of a service account's bound token; None: it is another kind of token."""
    try:
        payload = token.split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        namespace, account = said["sub"][len(PREFIX) :].split(":")
        if not said["sub"].startswith(PREFIX):
            return None
        return Claims(
            namespace, account, said["kubernetes.io"]["serviceaccount"]["uid"], float(said["iat"]), float(said["exp"])
        )
    except (IndexError, KeyError, TypeError, ValueError, AttributeError):
        return None


def read(path):
    """The token in a file; empty when there is none."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def write(path, token):
    """Put a token into its file at once and whole; nobody else can read it."""
    draft = path + ".new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(token + "\n")
    os.replace(draft, path)


async def keep_fresh(client, clock=time.time, sleep=asyncio.sleep):
    """Renew the client's token for ever; none, and one that was given by hand (of another kind, or another account), is left alone."""
    path = client.settings.token_file
    while path:
        said = claims(read(path))
        if said is None or said.namespace != ACCOUNTS_NAMESPACE:
            await sleep(PAUSE * 10)  # the site play may bring one of ours
            continue
        wait = said.due - clock()
        if wait > 0:
            # Not beyond a day: the clock may be set, and the file be written by others.
            await sleep(min(wait * random.uniform(1.0, 1.05), 24 * 3600))
            continue
        try:
            token, _expires = await client.token(said.namespace, said.account, LIFE)
            write(path, token)
            LOG.info("the token of %s/%s is renewed", said.namespace, said.account)
        except (KubernetesError, OSError) as exc:
            LOG.warning("the token of %s/%s can't be renewed: %s; trying again", said.namespace, said.account, exc)
            await sleep(PAUSE * random.uniform(0.5, 1.0))
