# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""All steps of the tests.

The seconds are those of a machine with two processors where all downloads and builds are there already.
"""

from __future__ import annotations

from .steps import NEVER_WAITS, Step

SET_UP = ("set-up",)
PROGRAMS = "programs of Kubernetes"
IMAGE = "image of the hosts"
IMAGE_12 = "image of Debian 12"
IMAGE_UML = "image of the machines with a kernel"
NO_HOSTS = "no hosts of before"
# Molecule keeps in mind what it has made, and the scenarios share their hosts.
FORGET = "molecule destroy --scenario-name kubernetes && molecule destroy --scenario-name default"
BY_FILE = ("--numprocesses=2", "--dist=loadfile")
NICS = ("--timeout=900", "tests/nics", "--ignore-glob=*/test_managers*.py")
MANAGERS = ("--timeout=900", *(f"tests/nics/test_managers{name}.py" for name in ("", "_gateway", "_taken_back")))

# What may find something else with another ansible-core: its tests of what Ansible loads by name. Importing that
# imports the library. The other tests read text, by rules that are the same in each release.
BY_CORE = (
    *(f"--test={test}" for test in ("action-plugin-docs", "ansible-doc", "import", "runtime-metadata")),
    "--test=validate-modules",
    *(f"plugins/{folder}/" for folder in ("action", "doc_fragments", "filter", "lookup", "modules")),
    "meta/runtime.yml",
)


def check(
    name: str, seconds: int, *command: str, groups: tuple[str, ...] = ("lint", "check"), limit: int = 300
) -> Step:
    """Return a step that reads the tree, on one processor.

    Steps on hosts go first, since they are the longest chain.
    """
    return Step(name, groups, ("nice", "-n", "10", *command), seconds, limit, 1, SET_UP)


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
    scenario: str,
    group: str,
    seconds: int,
    *options: str,
    needs: tuple[str, ...],
    after: tuple[str, ...] = (),
    holds: tuple[str, ...] = (),
) -> Step:
    """Return a step that runs a scenario on hosts of the lab."""
    command = ("molecule", "test", "--scenario-name", scenario, *options)
    cores = NEVER_WAITS if "hosts" in holds else 0.8
    return Step(f"molecule {scenario}", (group,), command, seconds, 2700, cores, (*SET_UP, *needs), after, holds)


def destroy(scenario: str, group: str, after: tuple[str, ...] = (), holds: tuple[str, ...] = ("hosts",)) -> Step:
    """Return the step that removes the hosts of a scenario."""
    command = ("molecule", "destroy", "--scenario-name", scenario)
    return Step(
        f"molecule {scenario}, destroy",
        (group,),
        command,
        20,
        300,
        NEVER_WAITS,
        (f"molecule {scenario}",),
        after,
        holds=holds,
        cleans_up=True,
    )


TABLE: tuple[Step, ...] = (
    Step("set-up", (), ("tests/tools/env",), 2, 1800, 0.1),
    # Its programs are built once, beside what comes first; the longest chain of steps waits for them.
    Step(PROGRAMS, (), ("tests/tools/kubernetes",), 1, 4800, 0),
    Step(IMAGE, (), ("molecule/lab/lab", "image"), 5, 1800, 0.5, SET_UP),
    # What only reads the tree.
    check("ruff", 1, "ruff", "check", "--no-cache", "--output-format", "concise", "."),
    check("format", 1, "ruff", "format", "--no-cache", "--check", "."),
    check("types", 20, "tests/tools/types"),
    check("imports", 5, "tests/tools/imports"),
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
    check("licences", 3, "reuse", "lint", groups=("lint",)),
    check("build", 5, "tests/tools/build-collection", groups=("lint",)),
    check("galaxy-importer", 15, "tests/tools/galaxy-import", groups=("lint",), limit=900),
    check("documentation", 15, "tests/tools/lint-documentation", groups=("lint",), limit=600),
    # pylint takes as long as all other tests together. The oldest and the newest release of ansible-core look at what
    # the archive has, that of the tools at the whole tree.
    check("sanity, pylint", 40, "tests/tools/sanity", "--archive", "--test=pylint", groups=("sanity",), limit=1800),
    check("sanity, the others", 60, "tests/tools/sanity", "--skip-test=pylint", groups=("sanity",), limit=1800),
    # The oldest pycodestyle finds what newer ones leave out.
    check(
        "sanity, oldest pep8",
        10,
        "tests/tools/sanity",
        "--core=oldest",
        "--archive",
        "--test=pep8",
        groups=("sanity", "check"),
        limit=1800,
    ),
    *(
        check(
            f"sanity, {core} ansible-core",
            30,
            "tests/tools/sanity",
            f"--core={core}",
            "--archive",
            *BY_CORE,
            groups=("sanity",),
            limit=1800,
        )
        for core in ("oldest", "newest")
    ),
    # Tests without hosts.
    pytest("units", "units", 45, 1, "tests/unit", also=("check",)),
    # Rows in database servers, and a host's network namespaces. They wait a lot: two files at a time.
    pytest(
        "integration, rows",
        "integration",
        35,
        1,
        *BY_FILE,
        *(f"tests/integration/{name}" for name in ("central", "host_rows", "topology")),
        also=("check",),
    ),
    pytest(
        "integration, hosts",
        "integration",
        75,
        0.8,
        *BY_FILE,
        *(f"tests/integration/{name}" for name in ("host", "nic", "programs")),
    ),
    # Plays with stand-ins for some modules: real ones at a second or two a task.
    pytest("integration, plays", "integration", 450, 0.8, *BY_FILE, "tests/integration/plays", limit=2400),
    pytest(
        "integration, AWX", "integration", 75, 1, *BY_FILE, "--timeout=900", "tests/integration/awx", needs=(IMAGE,)
    ),
    pytest(
        "integration with Kubernetes",
        "integration",
        155,
        0.6,
        *(f"tests/integration/{name}" for name in ("pods", "services", "kube", "watcher")),
        needs=(PROGRAMS,),
    ),
    # Two minutes, at a third of what the processors could do.
    Step(
        "soak",
        ("integration",),
        ("nice", "tests/soak/run", "--seconds=120", "--rate=3"),
        170,
        600,
        0.7,
        (*SET_UP, PROGRAMS),
    ),
    # NICs on hosts of their own: one host on which everything is tried, and one for each network manager.
    pytest("nics", "nics", 400, 0.5, *NICS, limit=4000, needs=(IMAGE,)),
    pytest("managers", "managers", 600, 0.5, *MANAGERS, limit=4000, needs=(IMAGE,)),
    # One lab for the scenarios default and kubernetes: its hosts are made once, and Kubernetes is added to the overlay
    # that is there.
    Step(NO_HOSTS, (), ("bash", "-c", FORGET), 10, 300, NEVER_WAITS, (*SET_UP, IMAGE)),
    molecule("default", "molecule", 220, "--destroy=never", needs=(NO_HOSTS,), holds=("hosts",)),
    pytest(
        "e2e",
        "molecule",
        850,
        NEVER_WAITS,
        "--timeout=900",
        "--ignore=tests/e2e/test_commands.py",
        "tests/e2e",
        limit=4000,
        needs=("molecule default",),
        holds=("hosts",),
    ),
    molecule(
        "kubernetes",
        "kubernetes",
        100,
        "--destroy=never",
        needs=(NO_HOSTS, PROGRAMS),
        after=("e2e",),
        holds=("hosts",),
    ),
    pytest(
        "kubernetes",
        "kubernetes",
        455,
        NEVER_WAITS,
        "--timeout=300",
        "tests/kubernetes",
        limit=2700,
        needs=("molecule kubernetes",),
        holds=("hosts",),
    ),
    destroy("kubernetes", "kubernetes", after=("kubernetes",)),
    destroy("default", "molecule", after=("e2e", "kubernetes", "molecule kubernetes, destroy")),
    # Hosts of their own.
    pytest("commands", "molecule", 100, 0.5, "--timeout=900", "tests/e2e/test_commands.py", needs=(IMAGE,)),
    Step(IMAGE_12, (), ("molecule/lab/lab", "image", "bookworm"), 5, 1800, 0.5, SET_UP),
    molecule("debian12", "molecule", 190, needs=(IMAGE_12,)),
    # Machines with a kernel of their own.
    Step(IMAGE_UML, (), ("molecule/kernel/vms", "image"), 60, 1800, 0.8, SET_UP),
    Step(
        "molecule kernel",
        ("kernel",),
        ("molecule", "test", "--scenario-name", "kernel", "--destroy", "never"),
        330,
        2700,
        0.9,
        (*SET_UP, IMAGE_UML),
        # A machine that has stopped can say so nowhere else than at its console.
        console=("bash", "-c", "molecule/kernel/vms status; tail -qn 3 .cache/kernel/*.log"),
    ),
    destroy("kernel", "kernel", holds=()),
)

# A whole run has these; `check` is made of steps of theirs.
GROUPS = ("lint", "sanity", "units", "integration", "nics", "managers", "molecule", "kubernetes", "kernel")
