"""Checks what runs the router in containers and clusters, without a daemon and without a cluster.

    manifests.py DEPLOY_DIRECTORY RENDERER

The compose file is read and its files are looked for. The chart is rendered with several values; wrong values must be
refused by its schema, and every manifest must agree with the schema of Kubernetes.
"""

import copy
import json
import pathlib
import subprocess
import sys

import jsonschema
import kubernetes_validate
import yaml

KUBERNETES = "1.30"

# The settings that a user may make, and the kinds of manifests that come of them.
BASE = ["ConfigMap", "Service", "ServiceAccount", "StatefulSet"]
GOOD = {
    "defaults": ({}, BASE),
    "without a volume": ({"persistence": {"enabled": False}, "existingSecret": "router"}, BASE),
    "everything": (
        {
            "image": {"repository": "registry.example/router", "tag": "1.2.3"},
            "imagePullSecrets": [{"name": "registry"}],
            "persistence": {"storageClass": "fast"},
            "service": {"type": "LoadBalancer", "port": 80, "annotations": {"a": "b"}},
            "ingress": {
                "enabled": True,
                "className": "nginx",
                "host": "router.example",
                "tlsSecret": "tls",
                "annotations": {"c": "d"},
            },
            "serviceMonitor": {"enabled": True, "tokenSecret": "scrape"},
            "serviceAccount": {"annotations": {"e": "f"}},
            "podAnnotations": {"g": "h"},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
        },
        [*BASE, "Ingress", "ServiceMonitor"],
    ),
}
BAD = {
    "a misspelt name": {"persistance": {"enabled": False}},
    "a port that is none": {"service": {"port": 0}},
    "an ingress without a host": {"ingress": {"enabled": True}},
    "a size that is none": {"persistence": {"size": "a lot"}},
    "replicas, which would share one volume": {"replicas": 3},
}


def merged(base: dict, over: dict) -> dict:
    whole = copy.deepcopy(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(whole.get(key), dict)
        whole[key] = merged(whole[key], value) if both else value
    return whole


def check_chart(chart: pathlib.Path, renderer: str) -> int:
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    defaults = yaml.safe_load((chart / "values.yaml").read_text())
    schema = json.loads((chart / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    unknown = set(defaults) - set(schema["properties"])
    assert not unknown, f"values without a schema: {unknown}"
    rules = jsonschema.Draft7Validator(schema)
    for name, values in BAD.items():
        assert list(rules.iter_errors(merged(defaults, values))), f"{name} is not refused"
    count = 0
    for name, (values, kinds) in GOOD.items():
        values = merged(defaults, values)
        for error in rules.iter_errors(values):
            raise AssertionError(f"{name}: {error.message}")
        capital = {
            "Values": values,
            "Chart": {key[0].upper() + key[1:]: value for key, value in about.items()},
            "Release": {"Name": "try", "Namespace": "default", "Service": "Helm"},
        }
        ran = subprocess.run([renderer, chart], input=json.dumps(capital), capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{name}: {ran.stderr}"
        parts = [part for part in ran.stdout.split("---\n") if part and "NOTES.txt" not in part]
        manifests = [manifest for manifest in map(yaml.safe_load, parts) if manifest]
        assert sorted(manifest["kind"] for manifest in manifests) == sorted(kinds), name
        for manifest in manifests:
            # The operator of Prometheus defines this kind itself.
            if manifest["kind"] != "ServiceMonitor":
                kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
            count += 1
    return count


def check_compose(folder: pathlib.Path) -> int:
    compose = yaml.safe_load((folder / "compose.yaml").read_text())
    for name, service in compose["services"].items():
        assert "image" in service, f"{name} has no image"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (folder / source).exists(), f"{name}: {source} does not exist"
            elif "$" not in source:
                assert source in compose["volumes"], f"{name}: the volume {source} is not declared"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: {port} is open to the network"
    for file in ["prometheus.yaml", "grafana.yaml", "dashboards.yaml"]:
        assert yaml.safe_load((folder / file).read_text()), file
    return len(compose["services"])


def check_workflows(folder: pathlib.Path) -> int:
    workflows = sorted(folder.glob("*.yml"))
    for file in workflows:
        jobs = yaml.safe_load(file.read_text())["jobs"]
        for name, job in jobs.items():
            assert job["runs-on"] and job["steps"], f"{file.name}: {name} does nothing"
            for step in job["steps"]:
                assert ("run" in step) != ("uses" in step), f"{file.name}: {name}: {step}"
            for need in [job["needs"]] if "needs" in job else []:
                assert need in jobs, f"{file.name}: {name} needs {need}, which is no job"
    return len(workflows)


def main() -> None:
    deploy, renderer = pathlib.Path(sys.argv[1]), sys.argv[2]
    workflows = check_workflows(deploy / "../../.github/workflows")
    services = check_compose(deploy / "container")
    manifests = check_chart(deploy / "helm/cortensor-router", renderer)
    print(f"{services} services of the compose file, {manifests} manifests of the chart, {workflows} workflows: sound")


main()
