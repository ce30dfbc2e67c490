# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what says how the API server is reached, on the controller: a kubeconfig, a certificate authority. Private to
the collection."""

from __future__ import annotations

import base64
import os
import typing as t

import yaml

CERTIFICATE = "-----BEGIN CERTIFICATE-----"


class Unusable(Exception):
    """The file can't be used. The text follows the variable and its value in the message."""


def authority(value: str) -> str:
    """Return the PEM text of ``ovn_kubernetes_ca``, which is that text, or a path.

    :raises Unusable: it is neither.
    """
    text = value if CERTIFICATE in value else _read(value)
    if CERTIFICATE not in text:
        raise Unusable("holds no certificate in PEM")
    return text


def kubeconfig(path: str) -> dict[str, str]:
    """Return the current context of a kubeconfig as options of our modules: server, and those of ca, token, certificate
    and key that it has.

    :raises Unusable: it can't be used here.
    """
    folder = os.path.dirname(os.path.expanduser(path))
    config = _parsed(path)
    context = _entry(config, "context", config.get("current-context"))
    cluster, user = _entry(config, "cluster", context.get("cluster")), _entry(config, "user", context.get("user"))
    options = {"server": cluster.get("server") or ""}
    for option, entry, key in (
        ("ca", cluster, "certificate-authority"),
        ("certificate", user, "client-certificate"),
        ("key", user, "client-key"),
    ):
        if entry.get(f"{key}-data"):
            options[option] = _decoded(entry, f"{key}-data")
        elif entry.get(key):
            options[option] = _read(entry[key], folder)
    if user.get("token") or user.get("tokenFile"):
        options["token"] = user.get("token") or _read(user["tokenFile"], folder).strip()
    if "token" not in options and not ("certificate" in options and "key" in options):
        asks = user.get("exec") or user.get("auth-provider")
        reason = "asks a program for its credential" if asks else "has no credential"
        raise Unusable(f"{reason}: give a kubeconfig with a token, or with a client certificate and its key")
    return options


def _parsed(path: str) -> dict[str, t.Any]:
    try:
        config = yaml.safe_load(_read(path))
    except yaml.YAMLError:
        config = None
    if not isinstance(config, dict) or not isinstance(config.get("clusters"), list):
        raise Unusable("is no kubeconfig: give the path of one, like /etc/kubernetes/admin.conf")
    return config


def _read(path: str, folder: str = "") -> str:
    path = os.path.join(folder, os.path.expanduser(path))
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise Unusable(f"can't be read on the controller ({path}): {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unusable(f"is not text ({path})") from None


def _entry(config: dict[str, t.Any], kind: str, name: t.Any) -> dict[str, t.Any]:
    """Return the cluster, user or context of this name."""
    for entry in config.get(f"{kind}s") or []:
        if isinstance(entry, dict) and entry.get("name") == name:
            found = entry.get(kind)
            if isinstance(found, dict):
                return found
    raise Unusable(f"is no complete kubeconfig: it has no {kind} {name!r}")


def _decoded(entry: dict[str, t.Any], key: str) -> str:
    try:
        return base64.b64decode(entry[key], validate=True).decode()
    except ValueError:
        raise Unusable(f"has a {key} that is not base64") from None
