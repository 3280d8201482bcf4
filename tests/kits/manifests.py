"""Checks manifests as they would reach a cluster: beside their schemas, that what they name is there, and that the spec in them is one.

`manifests.py FILE [--given SPEC_DIR]`: SPEC_DIR stands in for a ConfigMap that the manifests use and do not hold. `manifests_test.py` shows
that each of these checks can fail.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

wrong = []


def check(holds, text):
    if not holds:
        wrong.append(text)


def fits(selector, labels):
    return bool(selector) and selector.items() <= (labels or {}).items()


def config_maps(volume):
    """The ConfigMaps that a volume is made of, by name."""
    sources = [volume, *volume.get("projected", {}).get("sources", [])]
    return [source["configMap"]["name"] for source in sources if "configMap" in source]


def secret_files(volume):
    """The files of the Secrets that a volume is made of, where they are listed."""
    sources = [volume, *volume.get("projected", {}).get("sources", [])]
    return [item["path"] for source in sources if "secret" in source for item in source["secret"].get("items", [])]


def check_spec(deployment, maps, given, is_monitored):
    """Lays the spec's files where the container has them, and lets bifrostctl read what the container would."""
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    check(set(mounts) == set(volumes), f"volumes {sorted(volumes)}, mounts {sorted(mounts)}")
    if not {"spec", "state"} <= set(mounts) & set(volumes):
        return check(False, "the spec and the state are no volumes")
    mount = next(mount for mount in container["volumeMounts"] if mount["name"] == "spec")
    check(mount.get("readOnly"), "the spec is mounted for writing")
    check("subPath" not in mount, "the spec is mounted by subPath, whose files never change")
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        for name in config_maps(volumes["spec"]):
            files = maps.get(name)
            if files is None and given:
                files = {path.name: path.read_text() for path in given.iterdir()}
            check(files is not None, f"there is no ConfigMap {name}")
            for file, text in (files or {}).items():
                (directory / file).write_text(text)
        args = [arg.replace(mounts["spec"] + "/", f"{directory}/") for arg in container["args"]]
        check(args[0] == "serve", f"the container runs {args}")
        check(len(args) > 1, "the container is given no spec")
        ran = subprocess.run(["bifrostctl", "validate", "--deny-warnings", *args[1:]], capture_output=True, text=True)
        check(ran.returncode == 0, f"{ran.stdout}{ran.stderr}")
        if ran.returncode != 0:
            return
        ran = subprocess.run(["bifrostctl", "render", "-o", "json", *args[1:]], capture_output=True, text=True)
        rendered = yaml.safe_load(ran.stdout)["result"]
        check_agreement(deployment, rendered, mounts, volumes)
        metrics = rendered["spec"].get("telemetry", {}).get("metrics")
        check(not is_monitored or metrics == "gateway", "a monitor reads metrics that the spec does not put beside the API")


def check_agreement(deployment, rendered, mounts, volumes):
    """What pod and spec must agree on."""
    pod = deployment["spec"]["template"]["spec"]
    gateway = rendered["spec"]["gateway"]
    container = pod["containers"][0]
    port = container["ports"][0]["containerPort"]
    check(gateway["listen"] == f"0.0.0.0:{port}", f"listens on {gateway['listen']}, the port is {port}")
    check(gateway.get("replicas", 1) == deployment["spec"]["replicas"], "spec and deployment differ in how many gateways there are")
    state = gateway["state"]
    directory = state["directory"] if isinstance(state, dict) else state
    check(directory == mounts["state"], f"the state is in {directory}, which is no volume")
    endpoint = {entry["name"]: entry.get("value") for entry in container["env"]}["BIFROST_ENDPOINT"]
    check(f"unix:{gateway['admin']['unix']}" == endpoint, f"the admin API is at {gateway['admin']}, the container's variable says {endpoint}")
    pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    check(pause > 0, "the pod ends before the Service has forgotten it")
    drain = gateway["drain"]
    seconds = int(drain[:-1]) * {"s": 1, "m": 60, "h": 3600}[drain[-1]]
    check(pause + seconds < pod["terminationGracePeriodSeconds"], f"drains for {drain}, but is killed earlier")
    persistent = "persistentVolumeClaim" in volumes["state"]
    check(not persistent or deployment["spec"]["strategy"]["type"] == "Recreate", "two pods would have one state directory")
    supplied = {entry["name"] for entry in container["env"]}
    for name in sorted(variables(rendered) - supplied):
        check("envFrom" in container, f"nothing sets the variable {name} of the spec")
    for path in secret_paths(rendered):
        mount = next((name for name, at in mounts.items() if path.startswith(at + "/")), None)
        check(mount, f"the secret {path} is in no volume")
        listed = secret_files(volumes[mount]) if mount else []
        check(not listed or path.rsplit("/", 1)[1] in listed, f"the secret {path} is not among {listed}")


def variables(value):
    """Every variable that the spec takes a secret from."""
    if isinstance(value, dict):
        own = {value["env"]} if set(value) == {"env"} and re.fullmatch(r"[A-Z_][A-Z0-9_]*", str(value["env"])) else set()
        return own.union(*(variables(each) for each in value.values()))
    return set().union(*(variables(each) for each in value)) if isinstance(value, list) else set()


def check_pod(pod):
    """How the container runs: what it may do, when it counts as ready, and what it is told in clear text."""
    container = pod["containers"][0]
    context = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
    for name, expected in [("runAsNonRoot", True), ("readOnlyRootFilesystem", True), ("allowPrivilegeEscalation", False)]:
        check(context.get(name) is expected, f"the container may run without {name}: {str(expected).lower()}")
    check(context.get("capabilities", {}).get("drop") == ["ALL"], "the container keeps capabilities")
    check(context.get("seccompProfile", {}).get("type") == "RuntimeDefault", "the container has no seccomp profile")
    check(pod.get("automountServiceAccountToken") is False, "the container gets a token of the cluster")
    ports = {port["name"] for port in container["ports"]}
    for name, path in [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]:
        probe = container.get(name, {}).get("httpGet", {})
        check(probe.get("path") == path, f"the {name} asks {probe.get('path')}, and not {path}")
        check(probe.get("port") in ports, f"the {name} asks a port that the container does not have")
    image = container["image"].rsplit("/", 1)[-1]
    check("@sha256:" in image or (":" in image and not image.endswith(":latest")), f"the image {image} may be another one tomorrow")
    for entry in container["env"]:
        secret = re.search(r"KEY|TOKEN|SECRET|PASSWORD|DATABASE_URL", entry["name"])
        check(not (secret and "value" in entry), f"the variable {entry['name']} holds its secret in clear text")
    check("memory" in container.get("resources", {}).get("limits", {}), "the container may take all memory there is")


def secret_paths(value):
    """Every path under /run/secrets that the spec names."""
    if isinstance(value, dict):
        return [path for each in value.values() for path in secret_paths(each)]
    if isinstance(value, list):
        return [path for each in value for path in secret_paths(each)]
    return [value] if isinstance(value, str) and value.startswith("/run/secrets/") else []


def main(file, given):
    documents = [document for document in yaml.safe_load_all(pathlib.Path(file).read_text()) if document]
    for document in documents:
        check({"apiVersion", "kind", "metadata"} <= document.keys(), f"no manifest: {list(document)}")
    kinds = {}
    for document in documents:
        kinds.setdefault(document["kind"], []).append(document)
    lacking = [kind for kind in ("Deployment", "Service") if len(kinds.get(kind, [])) != 1]
    check(not lacking, f"there is not one of each: {lacking}")
    if lacking:
        return tell(file)
    maps = {document["metadata"]["name"]: document["data"] for document in kinds.get("ConfigMap", [])}
    (deployment,), (service,) = kinds["Deployment"], kinds["Service"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"] for port in deployment["spec"]["template"]["spec"]["containers"][0]["ports"]}
    check(fits(deployment["spec"]["selector"]["matchLabels"], labels), "the deployment does not select its pods")
    check(fits(service["spec"]["selector"], labels), "the service does not select the pods")
    check({port["targetPort"] for port in service["spec"]["ports"]} <= ports, "the service names a port that no pod has")
    for document in kinds.get("PodDisruptionBudget", []):
        check(fits(document["spec"]["selector"]["matchLabels"], labels), "the disruption budget does not select the pods")
    for document in kinds.get("NetworkPolicy", []):
        check(fits(document["spec"]["podSelector"]["matchLabels"], labels), "the network policy does not select the pods")
        named = {port["port"] for rule in document["spec"].get("ingress", []) for port in rule.get("ports", [])}
        check(named <= ports, "the network policy names a port that no pod has")
    for document in kinds.get("ServiceMonitor", []):
        check(fits(document["spec"]["selector"]["matchLabels"], service["metadata"]["labels"]), "the monitor does not select the service")
        names = {port["name"] for port in service["spec"]["ports"]}
        check({endpoint["port"] for endpoint in document["spec"]["endpoints"]} <= names, "the monitor names a port that the service lacks")
        check({endpoint.get("path") for endpoint in document["spec"]["endpoints"]} == {"/metrics"}, "the monitor asks another path than /metrics")
    accounts = {document["metadata"]["name"] for document in kinds.get("ServiceAccount", [])} | {"default"}
    check(deployment["spec"]["template"]["spec"]["serviceAccountName"] in accounts, "the account of the pods is not there")
    check_pod(deployment["spec"]["template"]["spec"])
    check_spec(deployment, maps, given, is_monitored="ServiceMonitor" in kinds)
    return tell(file)


def tell(file):
    for text in wrong:
        print(f"{file}: {text}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    given = pathlib.Path(sys.argv[3]) if sys.argv[2:3] == ["--given"] else None
    sys.exit(main(sys.argv[1], given))
