# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files on the controller that say how the API server is reached: a kubeconfig, a certificate authority. Private to the collection."""

from __future__ import annotations

import base64
import os
import typing as t

import yaml

CERTIFICATE = "-----BEGIN CERTIFICATE-----"


class Unusable(Exception):
    """The text goes on after the variable and its value."""


def _file(path: str, folder: str = "") -> str:
    path = os.path.join(folder, os.path.expanduser(path))
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise Unusable("can't be read on the controller (%s): %s" % (path, error.strerror)) from None
    except UnicodeDecodeError:
        raise Unusable("is not text (%s)" % path) from None


def authority(text: str) -> str:
    """The PEM text of ``ovn_kubernetes_ca``, which is that, or a path."""
    found = text if CERTIFICATE in text else _file(text)
    if CERTIFICATE not in found:
        raise Unusable("holds no certificate in PEM")
    return found


def _entry(config: dict, kind: str, name: t.Any) -> dict:
    for entry in config.get(kind + "s") or []:
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(kind), dict):
            return entry[kind]
    raise Unusable("is no complete kubeconfig: it has no %s %r" % (kind, name))


def kubeconfig(path: str) -> dict[str, str]:
    """What the current context of a kubeconfig says, as options of our modules: server, and what there is of ca, token, certificate and key.

    :raises Unusable: when it can't be used here.
    """
    folder = os.path.dirname(os.path.expanduser(path))
    try:
        config = yaml.safe_load(_file(path))
    except yaml.YAMLError:
        config = None
    if not isinstance(config, dict) or not isinstance(config.get("clusters"), list):
        raise Unusable("is no kubeconfig: give the path of one, like /etc/kubernetes/admin.conf")
    context = _entry(config, "context", config.get("current-context"))
    cluster, user = _entry(config, "cluster", context.get("cluster")), _entry(config, "user", context.get("user"))
    found = {"server": cluster.get("server") or ""}
    for option, entry, data, file in (
        ("ca", cluster, "certificate-authority-data", "certificate-authority"),
        ("certificate", user, "client-certificate-data", "client-certificate"),
        ("key", user, "client-key-data", "client-key"),
    ):
        if entry.get(data):
            try:
                found[option] = base64.b64decode(entry[data], validate=True).decode()
            except ValueError:
                raise Unusable("has a %s that is not base64" % data) from None
        elif entry.get(file):
            found[option] = _file(entry[file], folder)
    if user.get("token") or user.get("tokenFile"):
        found["token"] = user.get("token") or _file(user["tokenFile"], folder).strip()
    if "token" not in found and not ("certificate" in found and "key" in found):
        how = (
            "asks a program for its credential"
            if user.get("exec") or user.get("auth-provider")
            else "has no credential"
        )
        raise Unusable("%s: give a kubeconfig with a token, or with a client certificate and its key" % how)
    return found
