# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Let pods, services and nodes come, change and go for an hour, and judge whether all is as before.

It runs in four quarters. After each one everything that came has gone, and what is left is compared with what was there
before: rows, flows, rules, links, memory, open files and logs. A few pods and services stay the whole time; their
addresses must stay the same. The last line is the verdict, and so is the exit status.
"""

from __future__ import annotations

import argparse
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "tools"), str(ROOT / ".cache" / "collections")]

import figures
import hostile_lives
import network_namespace
import verdict
from churn import Churn
from parts import Overlay
from pod_lives import PODS, PodLives
from service_lives import ServiceLives

QUARTERS = 4
RESIDENTS = 4  # pods and services that stay
STAYING = 9  # their number among the threads of the churn
REST = 40.0  # seconds of rest after a long quarter
IDLE = 0.05  # seconds of processor time in a second, at most, of a program that has nothing to do
PATIENCE = 60.0  # seconds until what came has gone from everywhere
# Seconds for which a neighbour is known at most: the threshold, and as long again until OVN looks.
NEIGHBOUR_AGE = 2 * 300
KEPT = ROOT / ".cache" / "soak"


class Residents:
    """Pods and services that are there from the beginning to the end."""

    def __init__(self, overlay):
        churn = Churn(overlay, 0, 1)
        self._overlay, addresses = overlay, {}
        pods, services = (
            kind(overlay, random.Random(0), STAYING, churn, addresses) for kind in (PodLives, ServiceLives)
        )
        self._pods = [pods.add(f"stays-{number}") for number in range(RESIDENTS)]
        for _number in range(RESIDENTS):
            services.turn()

    def problems(self):
        """Which of them are not as at the beginning."""
        found = []
        for pod in self._pods:
            annotations = self._overlay.kubernetes.get(f"{PODS}/{pod.name}")["metadata"]["annotations"]
            missing = [one for one in pod.addresses if f'"{one}/' not in annotations["k8s.ovn.org/pod-networks"]]
            links = pod.netns.ip("address show dev eth0")[0]["addr_info"]
            missing += {*pod.addresses} - {one["local"] for one in links}
            if missing:
                found.append(f"pod {pod.name}, which was there all the time, has lost {missing}")
        return found

    def remove(self):
        """End the pods' namespaces."""
        for pod in self._pods:
            pod.netns.remove()


def settled(overlay, before, rest=0.0):
    """What is there when it is as before, or does not come to be so; and how many flows only a recompute took away.

    ovn-controller changes its flows step by step, and now and then forgets some of a port that has gone (seen with OVN
    23.03.1, when the port was made anew under the same name before).
    """
    _wait(overlay, before.counts)
    now = figures.counts(overlay)
    if list(figures.differences(before.counts, now)) and _without_flows(now) == _without_flows(before.counts):
        overlay.recompute()
        _wait(overlay, before.counts)
    _rest(overlay, rest)
    found = figures.read(overlay)
    return found, now["OpenFlow flows"] - found.counts["OpenFlow flows"]


def _wait(overlay, counts):
    deadline = time.monotonic() + PATIENCE
    while figures.differences(counts, figures.counts(overlay)) and time.monotonic() < deadline:
        time.sleep(0.5)


def _rest(overlay, seconds):
    """Wait until the programs have nothing to do, and so many seconds more: OVN's give memory back after 30 s."""
    deadline, busy = time.monotonic() + PATIENCE, True
    while busy and time.monotonic() < deadline:
        before = figures.processor(overlay)
        time.sleep(1)
        now = figures.processor(overlay)
        busy = any(now[name] - before[name] > IDLE for name in figures.IN_PYTHON)
    time.sleep(seconds)


def _without_flows(counts):
    return {name: value for name, value in counts.items() if not name.startswith("OpenFlow")}


def keep_flows(overlay, moment):
    """Keep the flows, for whoever looks for one too many."""
    (KEPT / f"flows-{moment}").write_text("\n".join(figures.flows(overlay)) + "\n")


def say(text):
    """A line at once."""
    print(text, flush=True)


def soak(overlay, seconds, rate, seed):
    """Run all quarters; print the table, and return what is wrong, one text each."""
    for name in ("ns", hostile_lives.NAMESPACE):
        overlay.kubernetes.create("/api/v1/namespaces", {"metadata": {"name": name}})
    residents = Residents(overlay)
    try:
        churn = Churn(overlay, seed, rate)
        before, _forgotten = settled(overlay, figures.read(overlay, objects=False))
        keep_flows(overlay, "before")
        quarters, pods = [], []  # pods: (time, how many had come)
        for number in range(QUARTERS):
            came, timed, began = churn.objects(), len(churn.seconds), time.monotonic()
            pods.append((began, churn.done["pods"]))
            churn.run(seconds / QUARTERS)
            lasted = time.monotonic() - began
            now, forgotten = settled(overlay, before, REST if seconds / QUARTERS >= verdict.SHORT else 0)
            keep_flows(overlay, f"after-{number + 1}")
            recent = [count for moment, count in pods if time.monotonic() - moment > NEIGHBOUR_AGE]
            quarters.append(
                verdict.Quarter(
                    now,
                    churn.objects() - came,
                    lasted,
                    *_median_and_slow(churn.seconds[timed:]),
                    RESIDENTS + churn.done["sandboxes made anew"] + churn.done["pods"] - max(recent, default=0),
                    forgotten,
                )
            )
            say(f"quarter {number + 1}: {dict(churn.done)}")
        made = verdict.lines(before, quarters)
        say(verdict.table(made))
        return [
            *(f"{line.name}: {line.problem}" for line in made if line.problem),
            *churn.failures,
            *residents.problems(),
            *_words(overlay),
        ]
    finally:
        residents.remove()


def _median_and_slow(seconds):
    return statistics.median(seconds), sorted(seconds)[int(len(seconds) * 0.99)]


def _words(overlay):
    """What the programs and their logs complain of."""
    answers = {"watcher": overlay.watcher.get("/readyz"), "node server": overlay.host.http_get("/readyz")}
    yield from (f"the {name} is not ready: {text}" for name, (status, text) in answers.items() if status != 200)
    for name, file in overlay.logs().items():
        if "Traceback" in file.read_text(errors="replace"):
            yield f"the log of {name} has a traceback"


def main():
    """Run it; the exit status is 0 when all is as before."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600, help="of the churn (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=0, help="turns a second; 0: full speed (default: %(default)s)")
    parser.add_argument("--seed", default=None, help="of what the churn chooses (default: a random one)")
    options = parser.parse_args()
    seed = options.seed or str(random.SystemRandom().randrange(10**6))
    say(f"soak: {options.seconds:.0f} s of churn, seed {seed}")
    KEPT.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ovn-soak-"))
    with network_namespace.namespace():
        overlay = Overlay(folder)
        try:
            problems = soak(overlay, options.seconds, options.rate, seed)
        finally:
            for name, file in overlay.logs().items():
                shutil.copy(file, KEPT / f"{name.replace(' ', '-')}.log")
            overlay.remove()
            for left in folder.glob("*c*"):  # namespaces of pods, after an error
                subprocess.run(["umount", left], check=False, capture_output=True, timeout=10)
            shutil.rmtree(folder)
    problems = list(dict.fromkeys(problems))
    for text in problems:
        say(f"FAILED: {text}")
    # The last line is what a run of all tests shows of this.
    said = f"FAILED, {len(problems)} times, at first: {problems[0]}" if problems else "passed"
    say(f"soak with seed {seed}, logs in .cache/soak: {said}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
