# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What the process of :mod:`stand_in_plays` imports, in the Python of an ansible-core, and what each one forked from it
does."""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import pathlib
import subprocess
import warnings

# Ansible reads its settings when it is imported.
os.environ.update(ANSIBLE_CONFIG=str(pathlib.Path(__file__).with_name("ansible.cfg")), ANSIBLE_NOCOLOR="1")

from ansible import constants
from ansible.cli.playbook import PlaybookCLI
from ansible.plugins import loader
from ansible.plugins.action import ActionBase
from ansible.utils.path import cleanup_tmp_file

FILTERS = "ansible_collections/ovn/kubernetes/plugins/filter/*.py"
OF_ANSIBLE = ("setup", "stat")  # they change nothing
CLONE_NEWNS = 0x20000
execute_module = ActionBase._execute_module
# Plugins that nearly all runs load.
PLUGINS = (
    (loader.action_loader, ("debug", "fail", "normal", "set_fact")),
    (loader.callback_loader, ("default",)),
    (loader.connection_loader, ("local",)),
    (loader.inventory_loader, ("auto", "host_list", "yaml")),
    (loader.shell_loader, ("sh",)),
    (loader.strategy_loader, ("linear",)),
)


def answer(action, module_name=None, module_args=None, tmp=None, task_vars=None, **more):
    """Stand in for a module on a host that is this machine, if there is an answer of it; write down what of ours is
    called."""
    name = (module_name or action._task.action).rpartition(".")[2]
    host = action._task.delegate_to or task_vars["inventory_hostname"]
    folder = pathlib.Path(os.environ["STAND_IN"])
    answers = json.loads((folder / "answers").read_text(encoding="utf-8"))
    if name not in answers or action._connection.transport != "local":
        return execute_module(action, module_name, module_args, tmp, task_vars, **more)
    arguments = action._task.args if module_args is None else module_args
    if name not in OF_ANSIBLE:
        with (folder / "calls").open("a", encoding="utf-8") as calls:
            calls.write(json.dumps([host, name, arguments]) + "\n")
    return dict(answers[name], **answers.get(f"{name} {host}", {}))


def main(arguments):
    """Be ``ansible-playbook`` in a folder, with a mount namespace of its own, which a shell script has prepared."""
    folder, script, *arguments = arguments
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.chdir(folder)
    subprocess.run(["sh", "-ec", f"mount --make-rprivate /; {script}"], check=True)
    os.chdir(folder)  # what is mounted there now
    # That folder is of all processes, which find in it what an earlier one has packed.
    atexit.unregister(cleanup_tmp_file)
    for name in set(constants.config.get_configuration_definitions()) - {"DEFAULT_LOCAL_TMP"}:
        constants.set_constant(name, constants.config.get_config_value(name, variables=vars(constants)))
    ActionBase._execute_module = answer
    PlaybookCLI.cli_executor(["ansible-playbook", *arguments])


warnings.filterwarnings("ignore", "AnsibleCollectionFinder has already been configured")
loader.init_plugin_loader()
for _loader, _names in PLUGINS:
    for _name in _names:
        _loader.get(_name, class_only=True)
for _loader in (loader.filter_loader, loader.test_loader):
    list(_loader.all())
for _file in pathlib.Path(os.environ["ANSIBLE_COLLECTIONS_PATH"]).glob(FILTERS):
    loader.filter_loader.get(f"ovn.kubernetes.{_file.stem}")
