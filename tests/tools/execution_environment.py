# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The image in which AWX runs jobs, made by ansible-builder as docs/awx.md says.

Registries can't be reached everywhere: the Debian of the lab's hosts takes the place of the base image, and nothing
else differs. Packages come from where this machine's apt and pip get theirs. It is made anew when what goes in has
changed, and then podman takes the layers that are still right.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAB = ROOT / "molecule" / "lab" / "lab"
PODMAN = ROOT / "tests" / "tools" / "lab_podman"  # in PATH, for programs that call podman
HOSTS_IMAGE = "localhost/ovn-kubernetes-lab:trixie"
REPOSITORY = "localhost/ovn-ee"
CONSTRAINT = "/etc/pip-constraint.txt"
DEPENDENCIES = ROOT / ".cache" / "dependencies" / "ansible_collections"
PINNED = ROOT / "tests" / "tools" / "requirements.txt"
# Of a user's settings of pip, those that say where packages are; others name files of this machine.
INDEX = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout", "retries")
LABEL = "ovn-kubernetes.execution-environment"
# A copy, since the lab knows its hosts by labels, which an image passes on. Those of registries have no package lists.
BASE = f"""
FROM {HOSTS_IMAGE} AS hosts
FROM scratch
COPY --from=hosts / /
LABEL {LABEL}=
RUN rm -rf /var/lib/apt/lists/* /var/cache/apt /usr/lib/python3/dist-packages/lab_bytecode*
"""


def definition():
    """Return the text that docs/awx.md shows."""
    page = (ROOT / "docs" / "awx.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(# execution-environment\.yml.*?)```", page, re.DOTALL)
    return text


def lay(folder):
    """Lay the definition and the two collections into a folder, as the page says."""
    (folder / "execution-environment.yml").write_text(definition(), encoding="utf-8")
    (folder / "ansible_collections").symlink_to(DEPENDENCIES)
    _call("ansible-galaxy", "collection", "build", "--output-path", folder, ROOT)


def image():
    """Return the image's name; it is built when what goes in has changed."""
    _call(LAB, "image", "trixie")
    hosts = podman("image", "inspect", "--format", "{{.Id}}", HOSTS_IMAGE)
    name = f"{REPOSITORY}:{_ingredients(hosts)}"
    with _lock():
        if not _is_there(name):
            _build(name, f"{REPOSITORY}-base:{hosts[:16]}")
    return name


def _is_there(name):
    return podman("images", "--quiet", name) != ""


def _build(name, base):
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        lay(folder)
        (folder / "pip.conf").write_text(_pip_settings(), encoding="utf-8")
        # chroot, since a container's limits can't be set on every machine.
        options = ("--isolation=chroot", "--network=host")
        if not _is_there(base):
            podman("build", *options, "--tag", base, "--file", "-", folder, given=BASE)
        options += (f"--volume={folder}/pip.conf:/etc/pip.conf:ro", f"--volume={PINNED}:{CONSTRAINT}:ro")
        _call(
            *("env", f"PATH={PODMAN}:{os.environ['PATH']}"),
            *("ansible-builder", "build", "--container-runtime", "podman", "--tag", name, "--verbosity", "3"),
            *("--file", folder / "execution-environment.yml", "--context", folder / "context"),
            *("--build-arg", f"EE_BASE_IMAGE={base}", "--extra-build-cli-args", " ".join(options)),
        )
    podman("image", "prune", "--all", "--force", "--filter", f"label={LABEL}", "--filter", "until=24h")


def _ingredients(hosts):
    """Return a name for what goes in: what jobs run of the collection, the definition, and this file."""
    parts = hashlib.sha256()
    own = [ROOT / "galaxy.yml"]
    for folder in ("meta", "playbooks", "plugins", "roles"):
        own += [path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    for path in [*sorted(own), PINNED, pathlib.Path(__file__)]:
        parts.update(f"{path.relative_to(ROOT)}\0{path.stat().st_mode}\0".encode() + path.read_bytes())
    parts.update(f"{hosts}\0{definition()}\0{DEPENDENCIES.parent.resolve().name}".encode())
    return parts.hexdigest()[:16]


def _pip_settings():
    """Return a pip.conf for the build: the user's index, and the releases of the tools."""
    found = {"constraint": CONSTRAINT}
    listed = _call(sys.executable, "-m", "pip", "config", "list")
    for name, value in re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", listed, re.MULTILINE):
        if name in INDEX:
            found[name] = value.replace("\\n", "\n    ")
    return "\n".join(["[global]", *(f"{name} = {value}" for name, value in found.items()), ""])


@contextlib.contextmanager
def _lock():
    with open("/run/ovn-kubernetes-lab/execution-environment", "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def podman(*arguments, given=None):
    """Call podman where the lab's images are; return what it has said."""
    return _call(LAB, "podman", *arguments, given=given)


def _call(*command, given=None):
    done = subprocess.run(
        list(map(str, command)), input=given, check=False, capture_output=True, text=True, timeout=900
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout[-6000:]}{done.stderr[-3000:]}")
    return done.stdout.strip()


if __name__ == "__main__":
    print(image())
