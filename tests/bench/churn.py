# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What is left in the watcher's memory of pods and services that came and went.

Run it with `. tests/tools/activate; python tests/bench/churn.py [objects]`: by default 10,000 pods and 10,000 services
with an endpoint slice each come and go, three times. Memory after the third time should be that after the second.
"""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / ".cache" / "collections"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from database_server import wait_for
from kubernetes_server import Kubernetes
from northbound import Northbound
from preloaded import start_anew
from watcher import PODS, SERVICES, SLICES, Load, say
from watcher_process import PROGRAM, Watcher

AT_ONCE = 200  # objects that exist at one time


def churn(load, first, count):
    """Let pods, services and slices come and go."""

    async def work(session):
        for start in range(first, first + count, AT_ONCE):
            numbers = range(start, start + AT_ONCE)
            pods, services, slices = (path.format("default") for path in (PODS, SERVICES, SLICES))
            made = [
                *((pods, f"p{number}", pod(number)) for number in numbers),
                *((services, f"s{number}", {"spec": {"ports": [{"port": 80}]}}) for number in numbers),
                *((slices, f"s{number}", slice_of(number)) for number in numbers),
            ]
            requests = []
            for path, name, body in made:
                body.setdefault("metadata", {})["name"] = name
                requests.append(lambda path=path, body=body: session.post(path, json=body))
            await load.all(requests)
            grace = {"gracePeriodSeconds": 0}
            await load.all(
                [
                    lambda path=path, name=name: session.delete(f"{path}/{name}", json=grace)
                    for path, name, _rest in made
                ]
            )

    load.run(work)


def pod(number):
    """A pod on one of two nodes."""
    containers = [{"name": "main", "image": "agnhost"}]
    return {"spec": {"nodeName": f"node{number % 2 + 1}", "containers": containers}}


def slice_of(number):
    """The slice of a service."""
    return {
        "metadata": {"labels": {"kubernetes.io/service-name": f"s{number}"}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["192.168.1.9"], "nodeName": "node1", "conditions": {"ready": True}}],
    }


def main():
    """Measure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    api, nb = Kubernetes(), Northbound()
    leader = standby = None
    try:
        nb.build(nodes=(1, 2), gateways=(1,))
        leader = Watcher(nb.remote, api, start=start_anew, program=PROGRAM).start()
        wait_for(leader.acts, "the watcher to act")
        standby = Watcher(nb.remote, api, start=start_anew, program=PROGRAM).start()
        say(f"before: leader {leader.memory():.1f} MiB, standby {standby.memory():.1f} MiB")
        for time in range(3):
            churn(Load(api), time * count, count)
            wait_for(leader.idle, "the watcher to be done", 120)
            say(f"{(time + 1) * count} came and went: leader {leader.memory():.1f}, standby {standby.memory():.1f} MiB")
    finally:
        for one in (leader, standby):
            if one is not None:
                one.remove()
        nb.remove()
        api.remove()


if __name__ == "__main__":
    main()
