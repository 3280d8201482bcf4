"""Cohere's SDK for Python: chat, vectors, orders of documents."""

import functools
import json
import unittest

import cohere
from cohere.core.api_error import ApiError
from matrix import ECHO, KEY, PARAMETERS, PICTURE, PIXEL, Report, TEXT, THOUGHTS, URL, VERDICT, Verdict, is_report, over

HI = [{"role": "user", "content": TEXT}]


def tool(name):
    return {"type": "function", "function": {"name": name, "description": "Tells " + name, "parameters": PARAMETERS}}


@functools.cache
def client(key=KEY):
    return cohere.ClientV2(api_key=key, base_url=URL + "/cohere", timeout=20, max_retries=0)


def text(message):
    return "".join(part.text for part in message.content or [] if part.type == "text")


def thoughts(message):
    return "".join(part.thinking for part in message.content or [] if part.type == "thinking")


def results(calls, said):
    return [{"role": "tool", "tool_call_id": call.id, "content": one} for call, one in zip(calls, said)]


class Chats:
    """What every upstream must give."""

    def ask(self, kind="", **more):
        return client().chat(**{"model": self.model + kind, "messages": HI, **more})

    def stream(self, kind="", **more):
        return list(client().chat_stream(**{"model": self.model + kind, "messages": HI, **more}))

    def test_text(self):
        answer = self.ask()
        self.assertEqual((answer.message.role, text(answer.message), answer.finish_reason), ("assistant", ECHO, "COMPLETE"))
        self.assertTrue(answer.id)

    def test_stream(self):
        events = self.stream()
        pieces = [event.delta.message.content.text for event in events if event.type == "content-delta"]
        self.assertEqual("".join(pieces), ECHO)
        self.assertEqual((events[0].type, events[-1].type, events[-1].delta.finish_reason), ("message-start", "message-end", "COMPLETE"))

    def test_tool_call(self):
        tools = [tool("get_weather"), tool("get_time")]
        answer = self.ask(tools=tools, tool_choice="REQUIRED")
        [call] = answer.message.tool_calls
        self.assertEqual((call.function.name, json.loads(call.function.arguments)), ("get_weather", {"city": "mock"}))
        self.assertEqual(answer.finish_reason, "TOOL_CALL")
        self.assertEqual(text(self.ask(tools=tools, tool_choice="NONE").message), ECHO)
        events = self.stream(tools=tools)
        [start] = [event.delta.message.tool_calls for event in events if event.type == "tool-call-start"]
        pieces = [event.delta.message.tool_calls.function.arguments for event in events if event.type == "tool-call-delta"]
        self.assertEqual((start.function.name, "".join(pieces)), ("get_weather", '{"city":"mock"}'))

    def test_tool_result(self):
        message = self.ask(tools=[tool("get_weather")]).message
        told = self.ask(messages=HI + [message] + results(message.tool_calls, ["sunny"]), tools=[tool("get_weather")])
        self.assertEqual(text(told.message), "mock: sunny")

    def test_parallel_tools(self):
        tools = [tool("get_weather"), tool("get_time")]
        message = self.ask("-parallel", tools=tools).message
        self.assertEqual([call.function.name for call in message.tool_calls], ["get_weather", "get_time"])
        self.assertEqual(len({call.id for call in message.tool_calls}), 2)
        told = self.ask(messages=HI + [message] + results(message.tool_calls, ["sunny", "noon"]), tools=tools)
        self.assertEqual(text(told.message), "mock: sunny noon")
        starts = [event.delta.message.tool_calls.function.name for event in self.stream("-parallel", tools=tools) if event.type == "tool-call-start"]
        self.assertEqual(starts, ["get_weather", "get_time"])

    def test_image(self):
        url = {"url": "data:image/png;base64," + PIXEL}
        answer = self.ask(messages=[{"role": "user", "content": [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": url}]}])
        self.assertEqual(text(answer.message), "mock: What is it?")
        self.assertGreater(answer.usage.tokens.input_tokens, PICTURE)

    def test_json_schema(self):
        for shape, is_it in [(Verdict, VERDICT.__eq__), (Report, is_report)]:
            answer = self.ask(response_format={"type": "json_object", "json_schema": shape.model_json_schema()})
            self.assertTrue(is_it(shape.model_validate_json(text(answer.message))))

    def test_system(self):
        told = self.ask(messages=[{"role": "system", "content": "Be brief."}] + HI, temperature=0.5, stop_sequences=["END"])
        self.assertGreater(told.usage.tokens.input_tokens, self.ask().usage.tokens.input_tokens)
        short = self.ask(max_tokens=2)
        self.assertEqual((text(short.message), short.finish_reason), ("mock: Say", "MAX_TOKENS"))

    def test_usage(self):
        for usage in [self.ask().usage, self.stream()[-1].delta.usage]:
            self.assertEqual((usage.tokens.input_tokens, usage.tokens.output_tokens), (9, 3))

    def test_thinking(self):
        wish = {"thinking": {"type": "enabled", "token_budget": 1024}, "max_tokens": 4096, "tools": [tool("get_weather")]}
        message = self.ask("-thinking", **wish).message
        self.assertEqual(thoughts(message) or message.tool_plan, THOUGHTS)
        told = self.ask("-thinking", **{**wish, "messages": HI + [message] + results(message.tool_calls, ["sunny"])}).message
        self.assertEqual(text(told), "mock: sunny")
        plain = self.ask("-thinking", thinking=wish["thinking"], max_tokens=4096).message
        self.assertEqual((thoughts(plain), text(plain)), (THOUGHTS, ECHO))

    def test_error(self):
        for fault, kind in [
            ("limited", cohere.TooManyRequestsError),
            ("down", cohere.ServiceUnavailableError),
            ("too-long", cohere.BadRequestError),
            ("refused", (cohere.UnprocessableEntityError, cohere.BadRequestError)),
        ]:
            with self.subTest(fault=fault), self.assertRaises(kind):
                self.ask("-" + fault)
        with self.assertRaises(ApiError) as caught:
            self.ask("-locked")
        self.assertEqual(caught.exception.status_code, 502)

    def test_a_stream_that_breaks_does_not_end_as_if_it_were_whole(self):
        # Cohere's streams have no event for an error: they end with the reason ERROR.
        for fault in ["cut", "erring"]:
            with self.subTest(fault=fault):
                last = self.stream("-" + fault)[-1]
                self.assertEqual((last.type, last.delta.finish_reason), ("message-end", "ERROR"))

    def test_an_alias_fails_over_to_an_upstream_of_another_format(self):
        self.assertEqual(text(self.ask("-steady").message), ECHO)


over(Chats, globals())


class Beside(unittest.TestCase):
    def test_vectors(self):
        answer = client().embed(model="embed", texts=["one", "two"], input_type="search_document", embedding_types=["float"])
        self.assertEqual(len(answer.embeddings.float_), 2)
        self.assertGreater(len(answer.embeddings.float_[0]), 8)


class Refused(unittest.TestCase):
    """What the gateway itself refuses."""

    def test_refusals(self):
        for kind, key, model in [
            (cohere.UnauthorizedError, "sk-wrong", "chat"),
            (cohere.ForbiddenError, KEY, "secret"),
            (cohere.NotFoundError, KEY, "fsat"),
        ]:
            with self.subTest(model=model), self.assertRaises(kind):
                client(key).chat(model=model, messages=HI)


if __name__ == "__main__":
    unittest.main()
