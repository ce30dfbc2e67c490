# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Any field of an object that the API server's own description (OpenAPI) knows, with a value of its type."""

from __future__ import annotations

DEPTH = 8
SCHEMAS = {
    "Pod": ("/openapi/v3/api/v1", "io.k8s.api.core.v1.Pod"),
    "Service": ("/openapi/v3/api/v1", "io.k8s.api.core.v1.Service"),
    "Node": ("/openapi/v3/api/v1", "io.k8s.api.core.v1.Node"),
    "Namespace": ("/openapi/v3/api/v1", "io.k8s.api.core.v1.Namespace"),
    "EndpointSlice": ("/openapi/v3/apis/discovery.k8s.io/v1", "io.k8s.api.discovery.v1.EndpointSlice"),
}
QUANTITY, INT_OR_STRING = "resource.Quantity", "intstr.IntOrString"
NUMBERS = (0, 1, -1, 2, 80, 443, 30000, 65535, 65536, 2**31 - 1, 2**31, -(2**31))
TIMES = ("2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")


class Fields:
    """Fields of objects.

    :param api: the API server.
    :param values: where texts, quantities and addresses come from.
    """

    def __init__(self, api, values):
        self._values, self._chance = values, values.chance
        documents = {
            path: api.get(path)["components"]["schemas"] for path in {path for path, _name in SCHEMAS.values()}
        }
        self._schemas = {name: schema for document in documents.values() for name, schema in document.items()}

    def part(self, kind, top):
        """One field, whose value is of its type: ``{top: {... : value}}``; the fields that its own fields need too.

        :param top: ``spec``, ``status``, ``metadata``, or another field of the object.
        """
        schema = self._schemas[SCHEMAS[kind][1]]["properties"].get(top)
        return {top: self._value(schema, DEPTH)} if schema else {}

    def _value(self, schema, depth):
        name = ""
        while "$ref" in schema or "allOf" in schema:
            schema = schema["allOf"][0] if "allOf" in schema else schema
            if "$ref" in schema:
                name = schema["$ref"].rpartition("/")[2]
                schema = self._schemas[name]
        if name.endswith(QUANTITY):
            return self._values.quantity()
        if name.endswith(INT_OR_STRING):
            return self._chance.choice([self._chance.choice(NUMBERS), self._values.text()])
        kind = schema.get("type")
        if kind == "object" or "properties" in schema:
            return self._object(schema, depth)
        if kind == "array":
            return [self._value(schema["items"], depth - 1) for _number in range(self._chance.choice([1, 1, 2]))]
        if kind in ("integer", "number"):
            return self._chance.choice(NUMBERS)
        if kind == "boolean":
            return self._chance.random() < 0.5
        if schema.get("format") == "date-time":
            return self._chance.choice(TIMES)
        return self._chance.choice(
            [*schema.get("enum", ()), self._values.text(), self._values.name(), self._values.address()]
        )

    def _object(self, schema, depth):
        properties = schema.get("properties", {})
        if not properties:
            some = schema.get("additionalProperties")
            return {self._values.name(): self._value(some, depth - 1)} if some and depth > 0 else {}
        chosen = set(schema.get("required", ()))
        if depth > 0:
            chosen.add(self._chance.choice(sorted(properties)))
        return {name: self._value(properties[name], depth - 1) for name in sorted(chosen)}


def merged(base, more):
    """``base`` with the fields of ``more``; of lists of objects, the first objects are merged."""
    if isinstance(base, dict) and isinstance(more, dict):
        return {
            **base,
            **{key: merged(base[key], value) if key in base else value for key, value in more.items()},
        }
    if isinstance(base, list) and isinstance(more, list) and base and more and isinstance(base[0], dict):
        return [merged(base[0], more[0]), *base[1:]]
    return more
