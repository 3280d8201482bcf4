"""Shows that `manifests.py` refuses bad manifests: it takes those of examples/kubernetes, and none of them with one thing wrong.

`manifests_test.py`, from the root of the repository, with bifrostctl on the PATH.
"""

import contextlib
import copy
import io
import pathlib
import sys
import tempfile

import yaml

import manifests

EXAMPLE = pathlib.Path("examples/kubernetes")


def good():
    """The manifests as Kustomize would build them."""
    names = ["deployment.yaml", "service.yaml", "networkpolicy.yaml", "servicemonitor.yaml"]
    documents = [document for name in names for document in yaml.safe_load_all((EXAMPLE / name).read_text())]
    files = {"gateway.yaml": EXAMPLE / "gateway.yaml", "prod.yaml": EXAMPLE / "env/prod.yaml"}
    data = {name: path.read_text() for name, path in files.items()}
    return [*documents, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bifrost-spec"}, "data": data}]


def one(documents, kind):
    return next(document for document in documents if document["kind"] == kind)


def pod(documents):
    return one(documents, "Deployment")["spec"]["template"]["spec"]


def container(documents):
    return pod(documents)["containers"][0]


def put(find, *path):
    """A change that sets the last of `path` but one, below what `find` gives, to the last; `None` takes it away."""
    *above, name, value = path

    def change(documents):
        at = find(documents)
        for each in above:
            at = at[each]
        if value is None:
            del at[name]
        else:
            at[name] = value

    return change


def spec(old, new, file="gateway.yaml"):
    """A change that puts one text of the spec in the place of another."""

    def change(documents):
        data = one(documents, "ConfigMap")["data"]
        assert old in data[file], f"{file} has no {old!r}"
        data[file] = data[file].replace(old, new)

    return change


def of(kind):
    return lambda documents: one(documents, kind)


def without(kind):
    return lambda documents: documents.remove(one(documents, kind))


PROBE = ("httpGet", "path")
PASSWORD = {"name": "MISTRAL_API_KEY", "value": "in clear text"}
CLAIM = {"name": "state", "persistentVolumeClaim": {"claimName": "state"}}
BAD = {
    "there is not one of each: ['Deployment']": without("Deployment"),
    "there is not one of each: ['Service']": without("Service"),
    "no manifest": lambda documents: documents.append({"kind": "Odd"}),
    "there is no ConfigMap bifrost-spec": without("ConfigMap"),
    "the account of the pods is not there": without("ServiceAccount"),
    "the deployment does not select its pods": put(of("Deployment"), "spec", "selector", "matchLabels", {"app": "other"}),
    "the service does not select the pods": put(of("Service"), "spec", "selector", {"app": "other"}),
    "the service names a port that no pod has": put(of("Service"), "spec", "ports", 0, "targetPort", "https"),
    "the disruption budget does not select the pods": put(of("PodDisruptionBudget"), "spec", "selector", "matchLabels", {"app": "other"}),
    "the network policy does not select the pods": put(of("NetworkPolicy"), "spec", "podSelector", "matchLabels", {"app": "other"}),
    "the network policy names a port that no pod has": put(of("NetworkPolicy"), "spec", "ingress", 0, "ports", 0, "port", "https"),
    "the monitor does not select the service": put(of("ServiceMonitor"), "spec", "selector", "matchLabels", {"app": "other"}),
    "the monitor names a port that the service lacks": put(of("ServiceMonitor"), "spec", "endpoints", 0, "port", "metrics"),
    "the monitor asks another path than /metrics": put(of("ServiceMonitor"), "spec", "endpoints", 0, "path", "/stats"),
    "a monitor reads metrics that the spec does not put beside the API": spec("  metrics: gateway", "  #"),
    "may run without runAsNonRoot": put(pod, "securityContext", "runAsNonRoot", False),
    "may run without readOnlyRootFilesystem": put(container, "securityContext", "readOnlyRootFilesystem", None),
    "may run without allowPrivilegeEscalation": put(container, "securityContext", "allowPrivilegeEscalation", True),
    "the container keeps capabilities": put(container, "securityContext", "capabilities", {"add": ["NET_ADMIN"]}),
    "the container has no seccomp profile": put(pod, "securityContext", "seccompProfile", None),
    "the container gets a token of the cluster": put(pod, "automountServiceAccountToken", None),
    "the startupProbe asks /ready": put(container, "startupProbe", *PROBE, "/ready"),
    "the livenessProbe asks /readyz": put(container, "livenessProbe", *PROBE, "/readyz"),
    "the readinessProbe asks None": put(container, "readinessProbe", None),
    "the readinessProbe asks a port": put(container, "readinessProbe", "httpGet", "port", "admin"),
    "may be another one tomorrow": put(container, "image", "example.com/bifrostctl:latest"),
    "the variable MISTRAL_API_KEY holds its secret in clear text": lambda documents: container(documents)["env"].append(PASSWORD),
    "the container may take all memory there is": put(container, "resources", "limits", {"cpu": "1"}),
    "volumes ['secrets', 'spec', 'state', 'tmp']": lambda documents: pod(documents)["volumes"].append({"name": "tmp", "emptyDir": {}}),
    "the spec and the state are no volumes": put(container, "volumeMounts", 0, "name", "config"),
    "the spec is mounted for writing": put(container, "volumeMounts", 0, "readOnly", False),
    "the spec is mounted by subPath": put(container, "volumeMounts", 0, "subPath", "gateway.yaml"),
    "the container runs ['validate'": put(container, "args", 0, "validate"),
    "the container is given no spec": put(container, "args", ["serve"]),
    "unknown field `target` in `models.smart`": spec("smart: {targets", "smart: {target"),
    "listens on 127.0.0.1:8080": spec("0.0.0.0:8080", "127.0.0.1:8080"),
    "spec and deployment differ in how many gateways there are": put(of("Deployment"), "spec", "replicas", 3),
    "which is no volume": spec("directory: /var/lib/bifrost", "directory: /tmp", "prod.yaml"),
    "the admin API is at": spec("admin: unix:/var/lib/bifrost/admin.sock", "admin: unix:/tmp/admin.sock"),
    "the pod ends before the Service has forgotten it": put(container, "lifecycle", None),
    "drains for 2m, but is killed earlier": spec("drain: 60s", "drain: 2m"),
    "two pods would have one state directory": lambda documents: pod(documents)["volumes"].__setitem__(2, CLAIM),
    "nothing sets the variable MISTRAL_API_KEY": spec("secret: {file: /run/secrets/bifrost/mistral}", "secret: {env: MISTRAL_API_KEY}"),
    "the secret /run/secrets/other/openai is in no volume": spec("/run/secrets/bifrost/openai", "/run/secrets/other/openai"),
    "is not among ['mistral']": put(pod, "volumes", 1, {"name": "secrets", "projected": {"sources": [
        {"secret": {"name": "bifrost-secrets", "items": [{"key": "mistral", "path": "mistral"}]}}]}}),
}


def verdict(documents):
    """What manifests.py says of manifests, and whether it takes them."""
    manifests.wrong.clear()
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file, contextlib.redirect_stderr(io.StringIO()) as said:
        yaml.safe_dump_all(documents, file)
        file.flush()
        code = manifests.main(file.name, None)
    return code, said.getvalue()


def main():
    failed = []
    code, said = verdict(good())
    if code != 0:
        failed.append(f"good manifests are refused: {said}")
    for expected, change in BAD.items():
        documents = copy.deepcopy(good())
        change(documents)
        code, said = verdict(documents)
        if code != 1 or expected not in said:
            failed.append(f"taken, or refused for another reason ({code}): {expected}\n{said}")
    print("\n".join(failed) or f"{len(BAD)} bad manifests are refused", file=sys.stderr if failed else sys.stdout)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
