# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects services of a real API server: each change of a service or its endpoints is followed (W16, F4)."""

from __future__ import annotations

from database_server import references, wait_for

SERVICES = "/api/v1/namespaces/default/services"
CLUSTER = "Service_default/web_TCP_cluster"


def address(service, family=0):
    """The service's cluster address."""
    return service["spec"]["clusterIPs"][family]


def groups(world):
    """Load balancer group -> names of its members."""
    names = {row["_uuid"][1]: name for name, row in world.balancers().items()}
    return {
        row["name"]: sorted(names[uuid] for uuid in references(row["load_balancer"]) if uuid in names)
        for row in world.nb.rows("Load_Balancer_Group")
    }


def test_a_service_follows_its_endpoints_and_its_ports(world):
    """Protects against load balancers that are written once (W16): endpoints come and go, ports change, the service
    goes.
    """
    world.watch()
    ip = address(world.service("web"))
    wait_for(lambda: world.vips(CLUSTER) == {f"{ip}:80": ""}, "the service without endpoints")
    world.slice("web", "192.168.1.3")
    wait_for(lambda: world.vips(CLUSTER) == {f"{ip}:80": "192.168.1.3:8080"}, "the first endpoint")
    world.slice("web", "192.168.1.3", "192.168.2.3", port=9090, update=True)
    wait_for(
        lambda: world.vips(CLUSTER) == {f"{ip}:80": "192.168.1.3:9090,192.168.2.3:9090"},
        "the second endpoint and the new port",
    )
    world.slice("web", "192.168.1.9", name="web-2", port=9090)
    wait_for(
        lambda: world.vips(CLUSTER) == {f"{ip}:80": "192.168.1.3:9090,192.168.1.9:9090,192.168.2.3:9090"},
        "the second slice",
    )
    world.api.patch(f"{SERVICES}/web", {"spec": {"ports": [{"port": 444, "targetPort": 9090}]}})
    wait_for(lambda: list(world.vips(CLUSTER)) == [f"{ip}:444"], "the new port, and the old one gone")
    assert {group: members for group, members in groups(world).items() if members} == {"clusterLBGroup": [CLUSTER]}
    world.api.delete(f"{SERVICES}/web")
    wait_for(lambda: world.balancers() == {}, "the load balancer to go")


def test_the_api_servers_own_service(world):
    """Protects every pod that uses the API server: its endpoints are hosts."""
    world.watch()
    world.slice("kubernetes", "10.0.0.1", "10.0.0.2", port=6443, port_name="https")
    wait_for(lambda: world.api_server() == {"10.96.0.1:443": "10.0.0.1:6443,10.0.0.2:6443"}, "the API server's hosts")


def test_types_change_back_and_forth(world):
    """Protects against rows that are left when a service's type changes: node ports, and names without a load
    balancer."""
    world.watch()
    world.service("web")
    world.slice("web", "192.168.1.3")
    wait_for(lambda: CLUSTER in world.balancers(), "the load balancer")
    changed = world.api.patch(f"{SERVICES}/web", {"spec": {"type": "NodePort"}})
    port = changed["spec"]["ports"][0]["nodePort"]
    wait_for(
        lambda: (
            set(world.vips("Service_default/web_TCP_node_IPv4")) == {f"^NODEIP_IPv4_0:{port}", f"^NODEIP_IPv4_1:{port}"}
        ),
        "the node port",
    )
    world.api.patch(f"{SERVICES}/web", {"spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}})
    world.api.patch(f"{SERVICES}/web/status", {"status": {"loadBalancer": {"ingress": [{"ip": "5.6.7.8"}]}}})
    wait_for(
        lambda: (
            groups(world)["clusterRouterLBGroup"]
            == ["Service_default/web_TCP_node_local_IPv4", "Service_default/web_TCP_outside_local_IPv4"]
        ),
        "what gateways serve from their own host",
    )
    (row,) = world.nb.rows("Chassis_Template_Var", ["chassis", "==", "id-1"])
    assert "192.168.1.3:8080" in dict(row["variables"][1]).values()

    def answers():
        return [row["match"] for row in world.nb.rows("Logical_Router_Policy")]

    def hosts():
        return [row["addresses"] for row in world.nb.rows("Address_Set", ["name", "==", "ovn_kubernetes_hosts_IPv4"])]

    world.api.add_node("node1", "10.0.0.1")
    wait_for(lambda: hosts() == ["10.0.0.1"], "the address of a host")
    wait_for(
        lambda: answers() == ["ip4.src == {192.168.1.3} && ip4.dst == $ovn_kubernetes_hosts_IPv4"], "the way of answers"
    )
    world.api.add_node("node2", "10.0.0.2")
    wait_for(lambda: hosts() == [["set", ["10.0.0.1", "10.0.0.2"]]], "answers to a host that came later")
    world.api.patch(
        f"{SERVICES}/web",
        {
            "spec": {
                "type": "ExternalName",
                "externalName": "example.org",
                "externalTrafficPolicy": None,
                "clusterIP": None,
                "clusterIPs": None,
            }
        },
    )
    wait_for(lambda: world.balancers() == {}, "all load balancers to go")
    wait_for(
        lambda: "192.168.1.3:8080" not in str(world.nb.rows("Chassis_Template_Var")) and answers() == [],
        "the variable and the way to go",
    )
    world.api.patch(f"{SERVICES}/web", {"spec": {"type": "ClusterIP", "externalName": None}})
    wait_for(lambda: list(world.balancers()) == [CLUSTER], "the load balancer to come back")


def test_headless_and_two_families(world):
    """Protects against invalid addresses (F4), and against IPv6 without brackets (W17)."""
    world.watch()
    world.service("none", clusterIP="None")
    made = world.service("web", ipFamilyPolicy="RequireDualStack")
    world.slice("web", "192.168.1.3")
    world.slice("web", "fd10:128::3", name="web-6")
    wait_for(
        lambda: (
            world.vips(CLUSTER)
            == {f"{address(made)}:80": "192.168.1.3:8080", f"[{address(made, 1)}]:80": "[fd10:128::3]:8080"}
        ),
        "both families",
    )
    assert list(world.balancers()) == [CLUSTER]


def test_packets_to_unserved_addresses_are_dropped(world):
    """Protects clients that connect to a service before it exists: conntrack must not remember that they were not
    served. On each node, old and new, once.
    """
    world.watch()

    def unserved():
        held = {
            row["name"]: references(row["acls"]) for row in world.nb.rows("Logical_Switch") if references(row["acls"])
        }
        rows = {
            row["_uuid"][1]: (row["direction"], row["match"], row["action"], row["options"])
            for row in world.nb.rows("ACL")
        }
        return {name: sorted(rows[uuid] for uuid in uuids if uuid in rows) for name, uuids in held.items()}

    each = [
        ("from-lport", match, "drop", ["map", [["apply-after-lb", "true"]]])
        for match in ("ip4.dst == {10.96.0.0/16}", "ip6.dst == {fd96::/108}")
    ]
    wait_for(lambda: unserved() == {"node1": each, "node2": each}, "the rows of two nodes")
    world.nb.node(3)
    wait_for(lambda: unserved().get("node3") == each, "the rows of a new node")
    world.nb.transact(
        {"op": "update", "table": "Logical_Switch", "where": [["name", "==", "node1"]], "row": {"acls": ["set", []]}}
    )
    wait_for(lambda: unserved() == dict.fromkeys(("node1", "node2", "node3"), each), "rows that somebody took away")


def test_further_networks_of_services(world):
    """Protects services of a second ServiceCIDR: what is dropped where no service has it follows the objects, also one
    that is being deleted; externalIPs there are refused; an object with networks of others is refused with an event.
    """
    cidrs, finalizer = "/apis/networking.k8s.io/v1/servicecidrs", "networking.k8s.io/service-cidr-finalizer"

    def dropped():
        return {row["match"] for row in world.nb.rows("ACL")}

    def events(kind):
        found = world.api.items("/api/v1/namespaces/default/events")
        return [one["message"] for one in found if one["involvedObject"]["kind"] == kind]

    def make(name, *networks):
        meta = {"name": name, "finalizers": [finalizer]}
        world.api.create(cidrs, {"metadata": meta, "spec": {"cidrs": list(networks)}})

    def release(name):
        world.api.patch(f"{cidrs}/{name}", {"metadata": {"finalizers": None}})

    configured = {"ip4.dst == {10.96.0.0/16}", "ip6.dst == {fd96::/108}"}
    both = {"ip4.dst == {10.200.0.0/16, 10.96.0.0/16}", "ip6.dst == {fd96::/108, fd97::/112}"}
    try:
        make("more", "10.200.0.0/16", "fd97::/112")
        watcher = world.watch()
        wait_for(lambda: dropped() == both, f"the rows of all networks: {dropped()}")
        world.service("web", externalIPs=["10.200.0.9", "198.51.100.7"])
        wait_for(lambda: "10.200.0.9 is in the services' network 10.200.0.0/16" in str(events("Service")), "an event")
        assert "198.51.100.7:80" in world.vips(CLUSTER) and "10.200.0.9:80" not in world.vips(CLUSTER)
        make("hostile", "192.168.1.0/24")
        make("gateways", "10.55.0.0/16")
        wait_for(lambda: len(events("ServiceCIDR")) == 2, f"two events\n{watcher.text()}")
        told = str(events("ServiceCIDR"))
        assert "192.168.1.0/24 overlaps the pods' network" in told and "10.55.0.0/16 overlaps the network of" in told
        # A gateway comes later, with a network that is one of services.
        make("earlier", "10.77.0.0/16")
        wait_for(lambda: "10.77.0.0/16" in str(dropped()), "one more network")
        world.nb.gateway(2, physical_ip=["10.77.0.2/24"], default_gw=["10.77.0.254"])
        wait_for(lambda: "10.77.0.0/16 overlaps the network of" in str(events("ServiceCIDR")), "an event")
        wait_for(lambda: dropped() == both, "the rows of the other networks")
        world.api.delete(f"{cidrs}/more")
        wait_for(watcher.idle, "the watcher to be done")
        assert dropped() == both
        release("more")
        wait_for(lambda: dropped() == configured, "the rows of the settings' networks")
        wait_for(lambda: "10.200.0.9:80" in world.vips(CLUSTER), "the address")
    finally:
        for one in world.api.items(cidrs):
            if one["metadata"]["name"] != "kubernetes":
                release(one["metadata"]["name"])
                world.api.delete(f"{cidrs}?fieldSelector=metadata.name={one['metadata']['name']}")


def test_hosts_addresses_are_one_row_a_host(world):
    """Protects node ports on gateways and nodes that come later (W31): a host is one row, however many services there
    are.
    """
    world.watch()
    for number in range(30):
        world.service(f"s{number}", type="NodePort")
    wait_for(lambda: len(world.balancers()) == 60, "all load balancers")
    before = {name: row["_version"] for name, row in world.balancers().items()}

    def variables():
        return {
            row["chassis"]: [value for _name, value in sorted(row["variables"][1]) if value not in ("0.0.0.0", "::")]
            for row in world.nb.rows("Chassis_Template_Var")
        }

    world.api.add_node("node1", "10.0.0.1")
    wait_for(lambda: variables().get("id-1") == ["10.0.0.1", "10.55.0.1"], "the node's and the gateway's address")
    world.nb.node(3)
    world.api.add_node("node3", "10.0.0.3")
    wait_for(lambda: variables().get("id-3") == ["10.0.0.3"], "the new node")
    ways = {("10.0.0.1/32", "192.168.1.2"), ("10.0.0.3/32", "192.168.3.2")}
    wait_for(lambda: ways <= set(world.nb.routes()), "the ways from pods to hosts")
    world.nb.gateway(2)
    wait_for(lambda: variables().get("id-2") == ["10.55.0.2"], "the new gateway")
    world.nb.remove_gateway("node2")
    wait_for(lambda: variables().get("id-2") == [], "the gateway's address to go")
    world.nb.remove_node("node3")
    wait_for(
        lambda: "id-3" not in variables() and ("10.0.0.3/32", "192.168.3.2") not in world.nb.routes(),
        "all of a node that goes",
    )
    assert {name: row["_version"] for name, row in world.balancers().items()} == before


def test_endpoints_for_a_zone(world):
    """Protects traffic distribution: a host has the endpoints for its zone, by the hints of a real API server, and all
    of them when hints go."""
    world.watch()
    for number in (1, 2):
        world.api.add_node(f"node{number}", f"10.0.0.{number}")
        label = {"topology.kubernetes.io/zone": f"zone{number}"}
        world.api.patch(f"/api/v1/nodes/node{number}", {"metadata": {"labels": label}})
    ip = address(world.service("web", trafficDistribution="PreferClose"))
    made = world.slice("web", "192.168.1.3", "192.168.2.3")
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/web-1"

    def backends():
        ((vip, variable),) = world.vips(f"{CLUSTER}_IPv4").items() or (("", ""),)
        rows = world.nb.rows("Chassis_Template_Var")
        return vip, {row["chassis"]: dict(row["variables"][1]).get(variable[1:]) for row in rows}

    hinted = [
        {**one, "hints": {"forZones": [{"name": f"zone{number}"}]}} for number, one in enumerate(made["endpoints"], 1)
    ]
    world.api.patch(slices, {"endpoints": hinted})
    expected = {"id-1": "192.168.1.3:8080", "id-2": "192.168.2.3:8080"}
    wait_for(lambda: backends() == (f"{ip}:80", expected), f"endpoints of each zone\n{world.logs()}")
    label = {"topology.kubernetes.io/zone": "zone1"}
    world.api.patch("/api/v1/nodes/node2", {"metadata": {"labels": label}})
    wait_for(lambda: backends()[1]["id-2"] == "192.168.1.3:8080", "the other zone's endpoints")
    world.api.patch(slices, {"endpoints": made["endpoints"]})
    whole = {f"{ip}:80": "192.168.1.3:8080,192.168.2.3:8080"}
    wait_for(lambda: world.vips(CLUSTER) == whole and list(world.balancers()) == [CLUSTER], "all endpoints for all")


def test_affinity_comes_and_goes(world):
    """Protects sessions: a change of an existing service is followed both ways."""
    world.watch()
    world.service("web", type="NodePort", sessionAffinity="ClientIP")

    def fields():
        return {str(row["selection_fields"]) for row in world.balancers().values()}

    wait_for(lambda: len(world.balancers()) == 2 and fields() == {"['set', ['ip_dst', 'ip_src']]"}, "affinity")

    def timeout():
        return dict(world.balancers()[CLUSTER]["options"][1]).get("affinity_timeout")

    world.api.patch(f"{SERVICES}/web", {"spec": {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 90}}}})
    wait_for(lambda: timeout() == "90", "affinity with a timeout")
    world.api.patch(f"{SERVICES}/web", {"spec": {"sessionAffinity": "None", "sessionAffinityConfig": None}})
    wait_for(lambda: fields() == {"['set', []]"} and timeout() is None, "affinity to go")


def test_removed_or_edited_load_balancers_are_restored(world):
    """Protects services from manual changes: a deleted row, one that is not in its group, an additional virtual
    address."""
    world.watch()
    ip = address(world.service("web"))
    world.slice("web", "192.168.1.3")
    wanted = {f"{ip}:80": "192.168.1.3:8080"}
    wait_for(lambda: world.vips(CLUSTER) == wanted, "the load balancer")
    world.nb.transact(
        {
            "op": "mutate",
            "table": "Load_Balancer",
            "where": [],
            "mutations": [["vips", "insert", ["map", [["1.1.1.1:1", "2.2.2.2:2"]]]]],
        }
    )
    wait_for(lambda: world.vips(CLUSTER) == wanted, "the address too many to go")
    world.nb.transact(
        {"op": "update", "table": "Load_Balancer_Group", "where": [], "row": {"load_balancer": ["set", []]}}
    )
    wait_for(lambda: groups(world)["clusterLBGroup"] == [CLUSTER], "the load balancer to be back in its group")
    world.nb.transact({"op": "delete", "table": "Load_Balancer", "where": []})
    wait_for(lambda: groups(world)["clusterLBGroup"] == [CLUSTER], "the load balancer to come back")


def test_services_that_went_while_no_watcher_ran(world):
    """Protects against load balancers that are never removed."""
    watcher = world.watch()
    for name in ("web", "other"):
        world.service(name)
    wait_for(lambda: len(world.balancers()) == 2, "two load balancers")
    watcher.kill()
    world.api.delete(f"{SERVICES}/other")
    world.nb.transact(
        {"op": "update", "table": "Load_Balancer_Group", "where": [], "row": {"load_balancer": ["set", []]}}
    )
    watcher.start()
    wait_for(
        lambda: list(world.balancers()) == [CLUSTER] and groups(world)["clusterLBGroup"] == [CLUSTER],
        "only one to be left, in its group",
    )
