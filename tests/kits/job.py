"""Runs what a CI system would run, in the current directory, and exits as it does.

`job.py action [INPUT=VALUE…]`: the steps of action.yml. `job.py gitlab JOB [INPUT=VALUE…]`: the script of a job of the GitLab template.
"""

import os
import pathlib
import re
import subprocess
import sys

import yaml

ROOT = pathlib.Path(__file__).parents[2]


def chosen(inputs, words):
    """The inputs as they are given, each with its default where it is not; one that is not declared is an error."""
    given = dict(word.split("=", 1) for word in words)
    assert given.keys() <= inputs.keys(), f"no inputs: {given.keys() - inputs.keys()}"
    return {name: given.get(name, str(about.get("default", ""))) for name, about in inputs.items()}


def shell(script, env):
    return subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script], env={**os.environ, **env}).returncode


def action(words):
    text = yaml.safe_load((ROOT / "action.yml").read_text())
    inputs = chosen(text["inputs"], words)

    def filled(value):
        value = value.replace("${{ github.action_path }}", str(ROOT))
        return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: inputs[found[1]], value)

    for step in text["runs"]["steps"]:
        assert step["shell"] == "bash" and "${{" not in step["run"], "an expression in a script is text of a command"
        code = shell(step["run"], {name: filled(value) for name, value in step.get("env", {}).items()})
        if code != 0:
            return code
    return 0


def gitlab(job, words):
    header, body = (ROOT / "kits/gitlab/bifrostctl.gitlab-ci.yml").read_text().split("\n---\n")
    inputs = chosen(yaml.safe_load(header)["spec"]["inputs"], words)

    def filled(value):  # GitLab fills in what was parsed, not the text
        if isinstance(value, dict):
            return {key: filled(each) for key, each in value.items()}
        if isinstance(value, list):
            return [filled(each) for each in value]
        return re.sub(r"\$\[\[ inputs\.([\w-]+) \]\]", lambda found: inputs[found[1]], value) if isinstance(value, str) else value

    jobs = filled(yaml.safe_load(body))
    variables, at = {}, jobs[job]
    while True:
        variables = {**at.get("variables", {}), **variables}
        if "extends" not in at:
            break
        at = jobs[at["extends"]]
    return shell("\n".join(jobs[job]["script"]), variables)


if __name__ == "__main__":
    sys.exit(action(sys.argv[2:]) if sys.argv[1] == "action" else gitlab(sys.argv[2], sys.argv[3:]))
