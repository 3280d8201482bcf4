"""What all of these tests share: where the gateway is, what is asked of it, and the upstreams that every client is run against."""

import os
import unittest
from typing import Literal, Optional, Union

import pydantic

URL = os.environ["SDK_URL"]
KEY = "sk-bf-sdk-test"
# A key that gets one request every two seconds.
LIMITED_KEY = "sk-bf-sdk-limited"
TEXT = "Say hello"
# The mock echoes.
ECHO = "mock: Say hello"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
# What the mock thinks where it is asked to.
THOUGHTS = "Let me see."
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
# A document, for whoever only looks at its first bytes.
PDF = "JVBERi0xLjQKJSVFT0YK"
# Tokens that the mock counts for a picture or a document: that many more tell that it arrived.
PICTURE = 85

# Aliases, each of an upstream that speaks one format; `ALIAS-parallel`, `ALIAS-thinking` and `ALIAS-FAULT` are of the same format.
UPSTREAMS = ["chat", "claude", "gemini", "bedrock", "cohere", "ollama"]

# What an upstream's format has no words for, so that no client can be told: a refusal that is a 422 elsewhere is their 400; that there is no
# money left, which reads as a limit of the rate; how many of the tokens were thoughts; and documents, which are left out, as the loss tells.
PLAIN_REFUSAL = {"gemini", "bedrock"}
NO_QUOTA = {"bedrock"}
UNCOUNTED_THOUGHTS = {"bedrock", "ollama"}
NO_DOCUMENTS = {"cohere", "ollama"}


class Verdict(pydantic.BaseModel):
    city: str
    sunny: bool


VERDICT = Verdict(city="mock", sunny=True)


class Place(pydantic.BaseModel):
    """Where it was."""

    name: str
    kind: Literal["town", "village"]


class Report(pydantic.BaseModel):
    """What schemas are made of in earnest: references, choices, lists, what may be missing."""

    place: Place
    neighbours: list[Place]
    note: Optional[str] = None
    temperature: Union[int, float]


def is_report(report):
    """The mock fills in what the schema allows, so that a report without its place has lost its references on the way."""
    return isinstance(report, Report) and report.place == Place(name="mock", kind="town")


def over(cells, namespace, upstreams=UPSTREAMS):
    """Makes a test case of the cells for each upstream: every `test_…` is one cell of the matrix."""
    for upstream in upstreams:
        name = f"{cells.__name__}Of{upstream.capitalize()}"
        namespace[name] = type(name, (cells, unittest.TestCase), {"model": upstream, "__module__": cells.__module__})
