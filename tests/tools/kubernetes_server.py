# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A real API server (etcd and kube-apiserver on 127.0.0.1) for tests and measurements, and a client for it.

The client shares no code with what is tested.

In tests take the fixture ``kubernetes`` of tests/integration/conftest.py: one server for all tests, emptied after each.

    kubernetes.url, kubernetes.ca_file, kubernetes.admin (a token)     what a client needs
        kubernetes.create("/api/v1/namespaces/default/pods", {...})        also get, items, patch, delete; else request
    kubernetes.add_node("node1"), kubernetes.add_pod("web-0", "node1") and kubernetes.node_token("node1")
    kubernetes.stop(), .start()        the server goes away and comes back on its port, with what it knew
    kubernetes.pause(), .resume()      it takes connections and answers nothing
    kubernetes.kill()                  it dies without a word
    kubernetes.client()                a client for another thread
    kubernetes.backup(), .restore()    everything goes back to what it was
    kubernetes.http()                  a second URL, without TLS, where everybody is the administrator
    kubernetes.reset()                 it runs and is empty, whatever happened

Pods are made by hand, with the node they run on, so there is no ServiceAccount admission unless
``service_accounts=True``. There is no controller manager: nothing deletes, schedules or fills in. Deleting a pod takes
effect at once (delete asks for no grace). The programs come from tests/tools/kubernetes, which builds them when nobody
has them: run it beforehand, since that takes longer than a test may.
"""

from __future__ import annotations

import copy
import http.client
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import tempfile
import time

from database_server import free_port, wait_for

TOOL = pathlib.Path(__file__).resolve().with_name("kubernetes")
NODES = 16  # node1 to node16 have tokens, as their kubelets would
DEFAULT = "/api/v1/namespaces/default"
EMPTIED = (
    f"{DEFAULT}/pods",
    f"{DEFAULT}/services",
    f"{DEFAULT}/events",
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
    "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
    "/api/v1/nodes",
)
IDLE = 30.0  # seconds without request after which the client connects again; the server ends connections after 90


def programs(*names):
    """The folder with the programs, made when they are not there."""
    return pathlib.Path(
        subprocess.run([str(TOOL), *names], check=True, stdout=subprocess.PIPE, text=True, timeout=3600).stdout.strip()
    )


class Refused(AssertionError):
    """The API server's answer was an error."""

    def __init__(self, status, said):
        super().__init__(f"{status}: {said}")
        self.status = status


class Kubernetes:
    """One API server with a database of its own.

    :param service_accounts: whether pods get service accounts, and pods that name none that exists are refused.
    :param tokens: further static tokens: token -> (user, groups).
    :param flags: further flags of kube-apiserver.
    """

    admin = "administrator"

    def __init__(self, service_accounts=False, tokens=None, flags=()):
        self._programs = programs("etcd", "kube-apiserver")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ovn-test-"))
        self._backup = self.directory / "backup"
        self.log = self.directory / "kube-apiserver.log"
        self.ca_file = self.directory / "certificates" / "apiserver.crt"
        self.port, self._store, self._peers = free_port(), free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.process = self._etcd = self._proxy = self._connection = None
        self._used = 0.0  # when the connection was used last
        nodes = [f"node{number}" for number in range(1, NODES + 1)]
        known = {self.node_token(node): (f"system:node:{node}", "system:nodes") for node in nodes}
        known.update(tokens or {}, **{self.admin: ("admin", "system:masters")})
        (self.directory / "tokens.csv").write_text(
            "".join(f'{token},{user},{user},"{groups}"\n' for token, (user, groups) in known.items())
        )
        key = self.directory / "service-accounts.key"
        subprocess.run(
            ["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", str(key)],
            check=True,
            capture_output=True,
            timeout=30,
        )
        self._flags = [
            f"--etcd-servers=http://127.0.0.1:{self._store}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={self.ca_file.parent}",
            f"--token-auth-file={self.directory / 'tokens.csv'}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--service-cluster-ip-range=10.96.0.0/16,fd96::/108",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--endpoint-reconciler-type=none",
            *flags,
        ]
        if not service_accounts:
            self._flags.append("--disable-admission-plugins=ServiceAccount")
        try:
            self._start_etcd()
            self.start()
        except BaseException:
            self.remove()
            raise

    @staticmethod
    def node_token(node):
        """The token of a node's kubelet: user system:node:NODE, group system:nodes; there are node1 to node16."""
        return f"token-of-{node}"

    def _run(self, program, log, *arguments):
        environment = dict(os.environ, GOGC="400")  # memory for processor time: fewer garbage collections
        with (self.directory / log).open("ab") as out:
            return subprocess.Popen(
                [str(self._programs / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environment,
            )

    def _start_etcd(self):
        url, peer = f"http://127.0.0.1:{self._store}", f"http://127.0.0.1:{self._peers}"
        self._etcd = self._run(
            "etcd",
            "etcd.log",
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )

    def start(self):
        """Start (again), on the same port and with what was there, and wait until it serves."""
        self.process = self._run("kube-apiserver", self.log.name, *self._flags)
        wait_for(self._serves, "kube-apiserver to be ready", 120)

    def _serves(self):
        if self.process.poll() is not None:
            raise AssertionError(f"kube-apiserver ended: {self.log.read_text()[-4000:]}")
        try:
            return self.request("GET", "/readyz") == "ok" and self.get("/api/v1/namespaces/default")
        except (OSError, http.client.HTTPException, Refused):
            return False

    def reset(self):
        """Let the server run, and delete what tests make."""
        if self.process.poll() is not None:
            self.start()
        self.resume()
        self.resume_http()
        for path in EMPTIED:
            self.delete(f"{path}?fieldSelector=metadata.name!=kubernetes")

    def stop(self):
        """End the server as a restart would; its data stays for the next start."""
        self.process.terminate()
        self._reap()

    def kill(self):
        """End the server without a word to its clients."""
        self.process.kill()
        self._reap()

    def _reap(self):
        self._disconnect()
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(3)  # it waits for the watches of clients that do not leave
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    def backup(self):
        """Keep a copy of everything, for :meth:`restore`; the server is away for that time."""
        self._without_server(lambda: shutil.copytree(self.directory / "etcd", self._backup))

    def restore(self):
        """Bring back what :meth:`backup` has kept, as an administrator would: resourceVersions go back too."""

        def bring_back():
            shutil.rmtree(self.directory / "etcd")
            self._backup.rename(self.directory / "etcd")

        self._without_server(bring_back)

    def _without_server(self, work):
        self.stop()
        self._etcd.terminate()
        self._etcd.wait(20)
        work()
        self._start_etcd()
        self.start()

    def pause(self):
        """Let the server hang: connections stay and come to be, and nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        """Let the server go on."""
        self.process.send_signal(signal.SIGCONT)

    def http(self):
        """The URL of a proxy without TLS before the server (kubectl proxy); a client needs no token there."""
        if self._proxy is None:
            config = self.directory / "kubeconfig"
            config.write_text(json.dumps(self.kubeconfig()))
            programs("kubectl")
            port = free_port()
            self._proxy = self._run("kubectl", "kubectl.log", f"--kubeconfig={config}", "proxy", f"--port={port}"), port
            wait_for(lambda: _answers(port), "kubectl proxy to answer")
        return f"http://127.0.0.1:{self._proxy[1]}"

    def client(self):
        """A client of the same server for another thread: it has a connection of its own."""
        one = copy.copy(self)
        one._connection = None
        return one

    def pause_http(self):
        """Let that proxy hang: connections stay, and nothing comes; who uses it is cut off, the others are not."""
        self._proxy[0].send_signal(signal.SIGSTOP)

    def resume_http(self):
        """Let that proxy go on."""
        if self._proxy is not None:
            self._proxy[0].send_signal(signal.SIGCONT)

    def kubeconfig(self, token=None):
        """A kubeconfig, by default the administrator's, as a dictionary (JSON is YAML)."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority": str(self.ca_file)}}],
            "users": [{"name": "test", "user": {"token": token or self.admin}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }

    def remove(self):
        """End the server and remove everything of it."""
        if self.process is not None:
            self.kill()
        for process in (self._etcd, self._proxy and self._proxy[0]):
            if process is not None:
                process.kill()
                process.wait(10)
        shutil.rmtree(self.directory)

    def request(self, method, path, body=None, token=None, content_type="application/json", limit=20):
        """The answer's object, or its text when it is none; :raises Refused: when it is an error."""
        if time.monotonic() - self._used > IDLE:
            self._disconnect()
        if self._connection is None:
            context = ssl.create_default_context(cafile=str(self.ca_file))
            self._connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=limit, context=context)
        self._connection.timeout = limit
        if self._connection.sock is not None:
            self._connection.sock.settimeout(limit)
        try:
            self._connection.request(
                method,
                path,
                None if body is None else json.dumps(body),
                {"Authorization": f"Bearer {token or self.admin}", "Content-Type": content_type},
            )
            answer = self._connection.getresponse()
            text = answer.read().decode()
        except BaseException:
            self._disconnect()
            raise
        self._used = time.monotonic()
        if answer.status >= 400:
            raise Refused(answer.status, text)
        return json.loads(text) if text.startswith("{") else text

    def _disconnect(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, path, token=None):
        """One object."""
        return self.request("GET", path, token=token)

    def items(self, path, token=None):
        """The objects of a list."""
        return self.request("GET", path, token=token)["items"]

    def create(self, path, body, token=None):
        """Make an object in the collection at ``path``."""
        return self.request("POST", path, body, token)

    def patch(self, path, body, token=None):
        """Merge ``body`` into an object or its status."""
        return self.request("PATCH", path, body, token, "application/merge-patch+json")

    def delete(self, path, token=None):
        """Delete an object now, without grace."""
        return self.request("DELETE", path, {"gracePeriodSeconds": 0}, token)

    def add_node(self, name, address=None, ready=True):
        """A node, as its kubelet would register it."""
        self.create("/api/v1/nodes", {"metadata": {"name": name}, "spec": {}})
        addresses = [{"type": "InternalIP", "address": address}] if address else []
        return self.patch(
            f"/api/v1/nodes/{name}/status",
            {
                "status": {
                    "addresses": addresses,
                    "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
                }
            },
        )

    def add_pod(self, name, node, namespace="default", **metadata):
        """A pod that is bound to a node; further keywords go into its metadata."""
        return self.create(
            f"/api/v1/namespaces/{namespace}/pods",
            {
                "metadata": {"name": name, **metadata},
                "spec": {"nodeName": node, "containers": [{"name": "main", "image": "agnhost"}]},
            },
        )


def _answers(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
