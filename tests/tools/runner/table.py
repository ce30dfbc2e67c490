# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""All steps of the tests. The seconds are those of a machine with two processors and with what is fetched or built once already there."""

from __future__ import annotations

from .steps import Step

SET_UP = ("set-up",)
PROGRAMS = "programs of Kubernetes"
IMAGE = "image of the hosts"
NICS = ("--timeout=900", *(f"tests/nics/test_{name}.py" for name in ("refused", "taken_back", "way_there_and_back")))
MANAGERS = ("--timeout=900", *(f"tests/nics/test_{name}.py" for name in ("managers", "managers_taken_back")))


def check(
    name: str, seconds: int, *command: str, groups: tuple[str, ...] = ("lint", "check"), limit: int = 300
) -> Step:
    """Return a step that reads the tree, on one processor."""
    return Step(name, groups, command, seconds, limit, 1, SET_UP)


def pytest(
    name: str,
    group: str,
    seconds: int,
    cores: float,
    *arguments: str,
    limit: int = 1200,
    needs: tuple[str, ...] = (),
    holds: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
) -> Step:
    """Return a step that runs tests; `also` names the further groups that have it."""
    return Step(
        name,
        (group, *also),
        ("python", "-m", "pytest", *arguments),
        seconds,
        limit,
        cores,
        (*SET_UP, *needs),
        holds=holds,
        counts_tests=True,
    )


def molecule(
    scenario: str, group: str, seconds: int, *options: str, needs: tuple[str, ...] = (), after: tuple[str, ...] = ()
) -> Step:
    """Return a step that runs a scenario on the hosts of the lab."""
    command = ("molecule", "test", "--scenario-name", scenario, *options)
    return Step(
        f"molecule {scenario}", (group,), command, seconds, 1800, 0.5, (*SET_UP, IMAGE, *needs), after, holds=("hosts",)
    )


def destroy(scenario: str, group: str, after: tuple[str, ...] = ()) -> Step:
    """Return the step that removes the hosts of a scenario."""
    command = ("molecule", "destroy", "--scenario-name", scenario)
    return Step(
        f"molecule {scenario}, destroy",
        (group,),
        command,
        20,
        300,
        0.5,
        (f"molecule {scenario}",),
        after,
        holds=("hosts",),
        cleans_up=True,
    )


TABLE: tuple[Step, ...] = (
    Step("set-up", (), ("tests/tools/env",), 2, 1800, 0.1),
    # Its programs are built once, on what the others leave of both processors.
    Step(PROGRAMS, (), ("tests/tools/kubernetes",), 1, 3600, 0),
    Step(IMAGE, (), ("molecule/lab/lab", "image"), 5, 1800, 0.5, SET_UP),
    # What only reads the tree.
    check("ruff", 1, "ruff", "check", "--no-cache", "--output-format", "concise", "."),
    check("format", 1, "ruff", "format", "--no-cache", "--check", "."),
    check("types", 20, "tests/tools/types"),
    # The library and the modules run on hosts with Python 3.9.
    check(
        "vermin",
        5,
        "vermin",
        "--quiet",
        "--no-tips",
        "-t=3.9-",
        "--violations",
        "plugins/module_utils",
        "plugins/modules",
    ),
    check("yamllint", 5, "yamllint", "--strict", "."),
    check("shellcheck", 5, "tests/tools/lint-shell"),
    check(
        "ansible-lint",
        90,
        "ansible-lint",
        "--offline",
        "--profile",
        "production",
        "--strict",
        groups=("lint",),
        limit=900,
    ),
    check("changelog", 2, "antsibull-changelog", "lint", groups=("lint",)),
    check("build", 5, "tests/tools/build-collection", groups=("lint",)),
    check("sanity", 400, "tests/tools/sanity", groups=("sanity",), limit=1800),
    # Tests without hosts.
    pytest("units", "units", 77, 1, "tests/unit", also=("check",)),
    pytest(
        "integration",
        "integration",
        229,
        0.5,
        *(f"tests/integration/{name}" for name in ("host", "host_rows", "nic", "topology", "programs")),
    ),
    pytest(
        "integration with Kubernetes",
        "integration",
        279,
        0.7,
        *(f"tests/integration/{name}" for name in ("cni", "kube", "watcher")),
        needs=(PROGRAMS,),
    ),
    # NICs on hosts of their own: one host on which everything is tried, and one for each network manager.
    pytest("nics", "nics", 880, 0.3, *NICS, limit=2400, needs=(IMAGE,)),
    pytest("managers", "managers", 830, 0.3, *MANAGERS, limit=2400, needs=(IMAGE,)),
    # The scenarios; each leaves its hosts for the tests that look closer.
    molecule("default", "molecule", 260, "--destroy=never"),
    pytest(
        "e2e",
        "molecule",
        1350,
        0.4,
        "--timeout=900",
        "tests/e2e",
        limit=2700,
        needs=("molecule default",),
        holds=("hosts",),
    ),
    destroy("default", "molecule", after=("e2e",)),
    molecule("debian12", "molecule", 190, after=("molecule default, destroy",)),
    molecule("kubernetes", "kubernetes", 156, "--destroy=never", needs=(PROGRAMS,), after=("molecule debian12",)),
    pytest(
        "kubernetes",
        "kubernetes",
        385,
        0.5,
        "--timeout=300",
        "tests/kubernetes",
        limit=1800,
        needs=("molecule kubernetes",),
        holds=("hosts",),
    ),
    destroy("kubernetes", "kubernetes", after=("kubernetes",)),
    Step(
        "molecule kernel",
        ("kernel",),
        ("molecule", "test", "--scenario-name", "kernel", "--destroy", "never"),
        520,
        1800,
        0.8,
        SET_UP,
        # A machine that has stopped can say so nowhere else than at its console.
        console=("bash", "-c", "molecule/kernel/vms status; tail -qn 3 .cache/kernel/kvm-*.log"),
    ),
    destroy("kernel", "kernel"),
)

# A whole run has these; `check` is made of steps of theirs.
GROUPS = ("lint", "sanity", "units", "integration", "nics", "managers", "molecule", "kubernetes", "kernel")
