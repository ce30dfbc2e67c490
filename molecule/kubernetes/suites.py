# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What the programs that run upstream's suites on the lab's Kubernetes have in common."""

from __future__ import annotations

import pathlib
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "molecule" / "kubernetes" / "cluster"
ADMIN = ROOT / ".cache" / "lab" / "admin.kubeconfig"
REPORTS = ROOT / ".cache" / "reports"


def programs(*names: str) -> pathlib.Path:
    """Make a suite's programs that are missing; return the folder that holds them."""
    command = [str(ROOT / "tests" / "tools" / "kubernetes"), *names]
    return pathlib.Path(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())


def prepare() -> None:
    """Give the cluster the images and the name server that upstream's suites ask for."""
    subprocess.run([CLUSTER, "extras"], check=True, stdout=subprocess.DEVNULL)


def kubectl(*arguments: str | pathlib.Path) -> None:
    """Run kubectl as the administrator. :raises subprocess.CalledProcessError: it failed; it has said why."""
    subprocess.run([CLUSTER, "kubectl", *arguments], check=True, stdout=subprocess.DEVNULL, timeout=600)


def kubectl_in_time(seconds: float, *arguments: str | pathlib.Path) -> None:
    """Run kubectl again and again until it succeeds, or so many seconds have passed.

    :raises subprocess.CalledProcessError: it has failed to the end.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return kubectl(*arguments)
        except subprocess.CalledProcessError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def forget_namespaces(*names: str) -> None:
    """Delete namespaces that an earlier run may have left, and wait until they are gone."""
    kubectl("delete", "namespace", *names, "--ignore-not-found", "--wait", "--timeout=300s")


def length(seconds: float) -> str:
    """Return a time as people read it."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
