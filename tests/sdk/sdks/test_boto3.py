"""boto3, the SDK of AWS for Python: Bedrock's Converse at an endpoint of the gateway."""

import base64
import functools
import json
import os
import unittest

os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from matrix import ECHO, KEY, NO_DOCUMENTS, PARAMETERS, PDF, PICTURE, PIXEL, Report, TEXT, THOUGHTS, URL, VERDICT, Verdict, is_report, over

HI = [{"role": "user", "content": [{"text": TEXT}]}]


def tools(*names, choice=None):
    specs = [{"toolSpec": {"name": name, "description": "Tells " + name, "inputSchema": {"json": PARAMETERS}}} for name in names]
    return {"tools": specs, **({"toolChoice": choice} if choice else {})}


@functools.cache
def client(key=KEY):
    # A bearer it sends over HTTPS alone; here the key is the one that it signs with, and no secret is looked at.
    config = Config(retries={"total_max_attempts": 1}, read_timeout=20)
    place = {"endpoint_url": URL + "/bedrock", "region_name": "eu-central-1"}
    return boto3.client("bedrock-runtime", config=config, aws_access_key_id=key, aws_secret_access_key="any", **place)


def results(calls, said):
    blocks = [{"toolUseId": call["toolUseId"], "content": [{"text": one}]} for call, one in zip(calls, said)]
    return {"role": "user", "content": [{"toolResult": block} for block in blocks]}


def calls(message):
    return [block["toolUse"] for block in message["content"] if "toolUse" in block]


def text(message):
    return "".join(block["text"] for block in message["content"] if "text" in block)


def thoughts(message):
    told = [block["reasoningContent"]["reasoningText"]["text"] for block in message["content"] if "reasoningContent" in block]
    return "".join(told)


def gather(events):
    """Builds the message out of a stream, as every user of `converse_stream` must."""
    blocks, message = {}, {"content": []}
    for event in events:
        if "messageStart" in event:
            message["role"] = event["messageStart"]["role"]
        elif "contentBlockStart" in event:
            start = event["contentBlockStart"]
            blocks[start["contentBlockIndex"]] = {"toolUse": {**start["start"]["toolUse"], "input": ""}}
        elif "contentBlockDelta" in event:
            delta, at = event["contentBlockDelta"]["delta"], event["contentBlockDelta"]["contentBlockIndex"]
            if "text" in delta:
                blocks.setdefault(at, {"text": ""})["text"] += delta["text"]
            elif "toolUse" in delta:
                blocks[at]["toolUse"]["input"] += delta["toolUse"]["input"]
            else:
                told = blocks.setdefault(at, {"reasoningContent": {"reasoningText": {"text": ""}}})["reasoningContent"]["reasoningText"]
                for name, value in delta["reasoningContent"].items():
                    told[name] = told.get(name, "") + value
        elif "messageStop" in event:
            message["stop"] = event["messageStop"]["stopReason"]
        elif "metadata" in event:
            message["usage"] = event["metadata"]["usage"]
    message["content"] = [blocks[at] for at in sorted(blocks)]
    for call in calls(message):
        call["input"] = json.loads(call["input"])
    return message


class Conversations:
    """What every upstream must give."""

    def ask(self, kind="", **more):
        return client().converse(**{"modelId": self.model + kind, "messages": HI, **more})

    def stream(self, kind="", **more):
        return gather(client().converse_stream(**{"modelId": self.model + kind, "messages": HI, **more})["stream"])

    def test_text(self):
        answer = self.ask()
        message = answer["output"]["message"]
        self.assertEqual((message["role"], text(message), answer["stopReason"]), ("assistant", ECHO, "end_turn"))
        self.assertIn("latencyMs", answer["metrics"])

    def test_stream(self):
        message = self.stream()
        self.assertEqual((message["role"], text(message), message["stop"]), ("assistant", ECHO, "end_turn"))

    def test_tool_call(self):
        answer = self.ask(toolConfig=tools("get_weather", "get_time", choice={"any": {}}))
        [call] = calls(answer["output"]["message"])
        self.assertEqual((call["name"], call["input"], answer["stopReason"]), ("get_weather", {"city": "mock"}, "tool_use"))
        named = self.ask(toolConfig=tools("get_weather", "get_time", choice={"tool": {"name": "get_time"}}))
        self.assertEqual(calls(named["output"]["message"])[0]["name"], "get_time")
        streamed = self.stream(toolConfig=tools("get_weather"))
        self.assertEqual([(c["name"], c["input"]) for c in calls(streamed)], [("get_weather", {"city": "mock"})])
        self.assertEqual(streamed["stop"], "tool_use")

    def test_tool_result(self):
        message = self.ask(toolConfig=tools("get_weather"))["output"]["message"]
        told = self.ask(messages=HI + [message, results(calls(message), ["sunny"])], toolConfig=tools("get_weather"))
        self.assertEqual(text(told["output"]["message"]), "mock: sunny")

    def test_parallel_tools(self):
        wish = {"toolConfig": tools("get_weather", "get_time")}
        message = self.ask("-parallel", **wish)["output"]["message"]
        self.assertEqual([call["name"] for call in calls(message)], ["get_weather", "get_time"])
        self.assertEqual(len({call["toolUseId"] for call in calls(message)}), 2)
        told = self.ask(messages=HI + [message, results(calls(message), ["sunny", "noon"])], **wish)
        self.assertEqual(text(told["output"]["message"]), "mock: sunny noon")
        self.assertEqual([call["name"] for call in calls(self.stream("-parallel", **wish))], ["get_weather", "get_time"])

    def test_image(self):
        picture = {"image": {"format": "png", "source": {"bytes": base64.b64decode(PIXEL)}}}
        answer = self.ask(messages=[{"role": "user", "content": [{"text": "What is it?"}, picture]}])
        self.assertEqual(text(answer["output"]["message"]), "mock: What is it?")
        self.assertGreater(answer["usage"]["inputTokens"], PICTURE)

    def test_document(self):
        document = {"document": {"format": "pdf", "name": "a", "source": {"bytes": base64.b64decode(PDF)}}}
        answer = self.ask(messages=[{"role": "user", "content": [{"text": "What is it?"}, document]}])
        self.assertEqual(answer["usage"]["inputTokens"] > PICTURE, self.model not in NO_DOCUMENTS)

    def test_json_schema(self):
        for shape, is_it in [(Verdict, VERDICT.__eq__), (Report, is_report)]:
            schema = {"name": "shape", "schema": json.dumps(shape.model_json_schema())}
            answer = self.ask(outputConfig={"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}})
            self.assertTrue(is_it(shape.model_validate_json(text(answer["output"]["message"]))))

    def test_system(self):
        told = self.ask(system=[{"text": "Be brief."}], inferenceConfig={"temperature": 0.5, "stopSequences": ["END"]})
        self.assertGreater(told["usage"]["inputTokens"], self.ask()["usage"]["inputTokens"])
        short = self.ask(inferenceConfig={"maxTokens": 2})
        self.assertEqual((text(short["output"]["message"]), short["stopReason"]), ("mock: Say", "max_tokens"))

    def test_usage(self):
        for usage in [self.ask()["usage"], self.stream()["usage"]]:
            self.assertEqual((usage["inputTokens"], usage["outputTokens"], usage["totalTokens"]), (9, 3, 12))

    def test_thinking(self):
        wish = {
            "toolConfig": tools("get_weather"),
            "inferenceConfig": {"maxTokens": 4096},
            "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        }
        for message in [self.ask("-thinking", **wish)["output"]["message"], self.stream("-thinking", **wish)]:
            self.assertEqual(thoughts(message), THOUGHTS)
            history = HI + [{"role": "assistant", "content": message["content"]}, results(calls(message), ["sunny"])]
            again = self.ask("-thinking", messages=history, **wish)["output"]["message"]
            self.assertEqual((thoughts(again), text(again)), (THOUGHTS, "mock: sunny"))

    def test_error(self):
        errors = client().exceptions
        for fault, kind in [
            ("limited", errors.ThrottlingException),
            ("locked", errors.InternalServerException),
            ("down", errors.ServiceUnavailableException),
            ("too-long", errors.ValidationException),
            ("refused", errors.ValidationException),
        ]:
            with self.subTest(fault=fault), self.assertRaises(kind) as caught:
                self.ask("-" + fault)
            if fault == "too-long":
                self.assertRegex(str(caught.exception), "(Input|prompt) is too long")

    def test_a_stream_that_breaks_raises_instead_of_ending(self):
        for fault in ["cut", "erring"]:
            with self.subTest(fault=fault), self.assertRaises((EventStreamError, ClientError)):
                self.stream("-" + fault)

    def test_an_alias_fails_over_to_an_upstream_of_another_format(self):
        self.assertEqual(text(self.ask("-steady")["output"]["message"]), ECHO)
        self.assertEqual(text(self.stream("-steady")), ECHO)


over(Conversations, globals())


class Beside(unittest.TestCase):
    def test_tokens_are_counted(self):
        answer = client().count_tokens(modelId="claude", input={"converse": {"messages": HI}})
        self.assertEqual(answer["inputTokens"], 9)


class Refused(unittest.TestCase):
    """What the gateway itself refuses."""

    def refused(self, model="chat", key=KEY):
        with self.assertRaises(ClientError) as caught:
            client(key).converse(modelId=model, messages=HI)
        return caught.exception.response["Error"]["Code"]

    def test_a_wrong_key(self):
        self.assertIn(self.refused(key="sk-wrong"), ["UnrecognizedClientException", "AccessDeniedException"])

    def test_a_model_that_the_key_may_not_use(self):
        self.assertEqual(self.refused("secret"), "AccessDeniedException")

    def test_a_model_that_does_not_exist(self):
        self.assertEqual(self.refused("fsat"), "ResourceNotFoundException")


if __name__ == "__main__":
    unittest.main()
