# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A job as AWX runs it, by ansible-runner: a private folder with the project, which can't be written, the collections
that the project names, the inventory as a program, the answers of a survey, and credentials as files.

From awx/main/tasks/jobs.py. AWX does it in a container. Jobs with an image do so here, with the image's collections, as
without ``collections/requirements.yml``; those without one save its time, and a mount namespace makes the project's
folder read-only.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import awx_rules
import execution_environment
import yaml

from ansible_collections.ovn.kubernetes.plugins.plugin_utils._awx import credential_types, survey

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPENDENCIES = ROOT / ".cache" / "dependencies"
READ_ONLY = 'mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"; shift; exec "$@"'
# What a process of AWX's containers does not have.
FOREIGN = ("ANSIBLE_", "OVN_", "VIRTUAL_ENV", "AWX_", "CONTROLLER_", "PYTHONDONTWRITEBYTECODE")
RUN = """
import json, os, sys, threading
import ansible_runner
options = json.load(open(sys.argv[1]))
stop = os.path.join(options["private_data_dir"], "cancel")
done = ansible_runner.run(cancel_callback=lambda: os.path.exists(stop), **options)
print(done.status)
"""


def checkout(folder):
    """Lay the repository as a project; return its folder. Jobs with an image need no more."""
    made = folder / "project"
    made.mkdir()
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, made / name)
    return made


def project(folder):
    """Lay a project as AWX's project update does; return its folder, beside that of the collections.

    ansible-galaxy runs in the project's folder, and installs what ``collections/requirements.yml`` names.
    """
    made = checkout(folder)
    collections = folder / "requirements_collections"
    requirements = made / "collections" / "requirements.yml"
    subprocess.run(
        ["ansible-galaxy", "collection", "install", "-r", requirements, "--collections-path", collections],
        cwd=made,
        env={**own_environment(folder), "ANSIBLE_COLLECTIONS_PATH": f"{collections}:{DEPENDENCIES}"},
        check=True,
        capture_output=True,
        timeout=600,
    )
    return made


def own_environment(home):
    """Return this process's environment without what its shell says of Ansible and of us."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    programs = f"{pathlib.Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {**kept, "HOME": str(home), "PATH": f"{execution_environment.PODMAN}:{programs}"}


class Job:
    """One job of a template.

    :param project: what :func:`project` has laid, or :func:`checkout`.
    :param inventory: what ``ansible-inventory --list`` says.
    :param answers: of the template's survey; forms give "" for those that are left out.
    :param options: ``check`` and ``limit``, which are asked for at the launch.
    :param credentials: the variable that each one stands for -> its text.
    :param before: the job whose facts AWX has kept.
    :param image: the execution environment in which it runs.
    :param shown: folders of this machine that the container sees.
    :ivar status, output: how it has ended, and what it has said.
    """

    def __init__(
        self,
        folder,
        project,
        playbook,
        inventory,
        answers=None,
        credentials=None,
        before=None,
        image=None,
        shown=(),
        **options,
    ):
        self.private = pathlib.Path(tempfile.mkdtemp(prefix="awx_", dir=folder))
        self._root = pathlib.Path("/runner") if image else self.private
        for name in ("env", "inventory", "cp"):
            (self.private / name).mkdir(mode=0o700)
        if not image:
            for laid in ("project", "requirements_collections"):
                (self.private / laid).symlink_to(project.parent / laid)
        self._read_only = [] if image else ["unshare", "--mount", "sh", "-ec", READ_ONLY, "sh", project]
        asked = {question["variable"]: "" for question in survey(playbook)["spec"]}
        awx_rules.check_answers(survey(playbook), {**asked, **(answers or {})})
        extra = {**asked, **(answers or {}), "awx_job_id": 1, "tower_job_id": 1, "awx_user_name": "admin"}
        self._write("env/extravars", yaml.safe_dump(extra))
        check, limit = options.get("check"), options.get("limit")
        arguments = [*(["--check"] if check else []), "-u", "root", "--diff", *(["-l", limit] if limit else [])]
        self._write("env/cmdline", " ".join(arguments))
        if before is not None:
            shutil.copytree(before.artifacts / "fact_cache", self.artifacts / "fact_cache")
        # Left to itself, ansible-runner sees a cancel up to 5 s later.
        settings = {"job_timeout": 0, "suppress_ansible_output": True, "pexpect_timeout": 0.2}
        self._write("env/settings", json.dumps(settings))
        self._write("inventory/hosts", f"#!/usr/bin/env python3\nprint({json.dumps(inventory)!r})\n", 0o700)
        others = "/usr/share/ansible/collections" if image else DEPENDENCIES
        environment = {
            "ANSIBLE_COLLECTIONS_PATH": f"{self._root}/requirements_collections:{others}",
            "ANSIBLE_RETRY_FILES_ENABLED": "False",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self._root / "cp"),
            "AWX_PRIVATE_DATA_DIR": str(self.private),
            "JOB_ID": "1",
        }
        for made in credential_types():
            (name,) = made["inputs"]["required"]
            if name in (credentials or {}):
                environment.update(awx_rules.injected(made, {name: credentials[name]}, self._secret_file))
        self._options = {
            "ident": self.private.name,
            "private_data_dir": str(self.private),
            "playbook": f"playbooks/{playbook}.yml",
            "inventory": str(self.private / "inventory" / "hosts"),
            "envvars": environment,
            "suppress_env_files": True,
            "fact_cache_type": "jsonfile",
        }
        if image:
            # Without cgroups, since crun wants to raise limits for them, which not every machine allows.
            self._options.update(
                container_image=image,
                process_isolation=True,
                process_isolation_executable="podman",
                container_options=["--user=root", "--network=host", "--cgroups=disabled"],
                container_volume_mounts=[f"{project}:/runner/project:ro", *(f"{one}:{one}:ro" for one in shown)],
            )
        self.status, self.output = "", ""

    def _write(self, name, text, mode=0o600):
        path = self.private / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def _secret_file(self, text):
        name = f"env/tmp{len(list((self.private / 'env').iterdir()))}"
        self._write(name, text)
        return str(self._root / name)

    def start(self):
        """Start it; :meth:`wait` waits for its end."""
        self._write("options", json.dumps(self._options))
        self._process = subprocess.Popen(
            [*self._read_only, sys.executable, "-c", RUN, self.private / "options"],
            env={**own_environment(self.private), "LC_ALL": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self

    def cancel(self):
        """End it as AWX does when somebody cancels the job."""
        (self.private / "cancel").touch()

    def wait(self, limit=600):
        """Wait for its end."""
        said, _error = self._process.communicate(timeout=limit)
        self.status = said.split()[-1]
        stdout = self.artifacts / "stdout"
        self.output = stdout.read_text(encoding="utf-8") if stdout.exists() else said
        return self

    def run(self, limit=600):
        """Start it, and wait for its end."""
        return self.start().wait(limit)

    @property
    def artifacts(self):
        """The folder that AWX fetches, with events, facts, environment and output."""
        return self.private / "artifacts" / self.private.name

    @property
    def progress(self):
        """How many events it has had."""
        return len(list(self.artifacts.glob("job_events/*-*.json")))

    def events(self, kind):
        """Return the events of one kind, in their order; while the job runs, those that are complete."""
        found = []
        for path in self.artifacts.glob("job_events/*-*.json"):
            with contextlib.suppress(ValueError, FileNotFoundError):  # it is being written, or gets its name
                found.append(json.loads(path.read_text(encoding="utf-8")))
        return sorted((one for one in found if one.get("event") == kind), key=lambda event: event["counter"])

    @property
    def task(self):
        """The last task that it has started; "" before the first one."""
        started = self.events("playbook_on_task_start")
        return started[-1]["event_data"]["task"] if started else ""

    @property
    def failures(self):
        """What failed tasks have said."""
        failed = self.events("runner_on_failed") + self.events("runner_item_on_failed")
        return "\n".join(str(event["event_data"]["res"].get("msg")) for event in failed)

    def holding(self, secrets):
        """Return the files of the artifacts that hold one of the secrets, as it is or in base64."""
        texts = [text.encode() for text in secrets]
        wanted = texts + [base64.b64encode(text) for text in texts]
        files = [path for path in self.artifacts.rglob("*") if path.is_file()]
        assert len(files) > 3, "the artifacts are not where they are looked for"
        return [str(path) for path in files if any(text in path.read_bytes() for text in wanted)]
