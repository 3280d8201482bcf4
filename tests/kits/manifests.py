"""Checks manifests as they would reach a cluster: beside their schemas, that what they name is there, and that the spec in them is one.

`manifests.py FILE [--given SPEC_DIR]`: SPEC_DIR stands in for a ConfigMap that the manifests use and do not hold.
"""

import pathlib
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


def check_spec(deployment, maps, given):
    """Lays the spec's files where the container has them, and lets bifrostctl read what the container would."""
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    check(set(mounts) == set(volumes), f"volumes {sorted(volumes)}, mounts {sorted(mounts)}")
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
        ran = subprocess.run(["bifrostctl", "validate", "--deny-warnings", *args[1:]], capture_output=True, text=True)
        check(ran.returncode == 0, ran.stderr)
        ran = subprocess.run(["bifrostctl", "render", "-o", "json", *args[1:]], capture_output=True, text=True)
        check_agreement(deployment, yaml.safe_load(ran.stdout)["result"], mounts, volumes)


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
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = gateway["drain"]
    seconds = int(drain[:-1]) * {"s": 1, "m": 60, "h": 3600}[drain[-1]]
    check(pause + seconds < pod["terminationGracePeriodSeconds"], f"drains for {drain}, but is killed earlier")
    for path in secret_paths(rendered):
        mount = next((name for name, at in mounts.items() if path.startswith(at + "/")), None)
        check(mount, f"the secret {path} is in no volume")
        listed = secret_files(volumes[mount]) if mount else []
        check(not listed or path.rsplit("/", 1)[1] in listed, f"the secret {path} is not among {listed}")


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
    for document in kinds.get("ServiceMonitor", []):
        check(fits(document["spec"]["selector"]["matchLabels"], service["metadata"]["labels"]), "the monitor does not select the service")
        names = {port["name"] for port in service["spec"]["ports"]}
        check({endpoint["port"] for endpoint in document["spec"]["endpoints"]} <= names, "the monitor names a port that the service lacks")
    accounts = {document["metadata"]["name"] for document in kinds.get("ServiceAccount", [])} | {"default"}
    check(deployment["spec"]["template"]["spec"]["serviceAccountName"] in accounts, "the account of the pods is not there")
    check_spec(deployment, maps, given)
    for text in wrong:
        print(f"{file}: {text}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    given = pathlib.Path(sys.argv[3]) if sys.argv[2:3] == ["--given"] else None
    sys.exit(main(sys.argv[1], given))
