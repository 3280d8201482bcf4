"""LiteLLM's SDK, by each of the providers whose API the gateway serves: `api_base` is all that changes."""

import json
import os
import unittest
import warnings

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would ask for it in the network
warnings.simplefilter("ignore")

import litellm
from matrix import ECHO, KEY, PARAMETERS, PICTURE, PIXEL, Report, TEXT, THOUGHTS, UPSTREAMS, URL, VERDICT, Verdict, is_report, over

HI = [{"role": "user", "content": TEXT}]
litellm.suppress_debug_info = True
# What an alias can do is told as for any model that it does not know.
CAN = {"litellm_provider": "gemini", "mode": "chat", "supports_response_schema": True}
litellm.register_model({f"gemini/{alias}-parallel": CAN for alias in UPSTREAMS})


def tool(name):
    return {"type": "function", "function": {"name": name, "description": "Tells " + name, "parameters": PARAMETERS}}


TOOLS = [tool("get_weather"), tool("get_time")]
SAID = {"get_weather": "sunny", "get_time": "noon"}


class Completions:
    provider, base = "", ""

    def ask(self, kind="", **more):
        wish = {"messages": HI, "api_key": KEY, "api_base": self.base, "num_retries": 0, "max_retries": 0, "timeout": 20, **more}
        return litellm.completion(model=f"{self.provider}/{self.model}{kind}", **wish)

    def test_text(self):
        choice = self.ask().choices[0]
        self.assertEqual((choice.message.content, choice.finish_reason), (ECHO, "stop"))

    def test_stream(self):
        chunks = list(self.ask(stream=True))
        self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in chunks), ECHO)
        self.assertGreater(len(chunks), 2)

    def test_system(self):
        told = self.ask(messages=[{"role": "system", "content": "Be brief."}] + HI, temperature=0.5, stop=["END"])
        self.assertGreater(told.usage.prompt_tokens, self.ask().usage.prompt_tokens)
        short = self.ask(max_tokens=2).choices[0]
        self.assertEqual((short.message.content, short.finish_reason), ("mock: Say", "length"))

    def test_usage(self):
        streamed = [chunk.usage for chunk in self.ask(stream=True, stream_options={"include_usage": True}) if getattr(chunk, "usage", None)]
        for usage in [self.ask().usage, streamed[-1]]:
            self.assertEqual((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (9, 3, 12))

    def loop(self, kind, names, **more):
        """Runs tools as an agent would, once whole and once streamed, and returns the messages."""
        for is_stream in [False, True]:
            answer = self.ask(kind, tools=TOOLS, stream=is_stream, **more)
            answer = litellm.stream_chunk_builder(list(answer), messages=HI) if is_stream else answer
            message = answer.choices[0].message
            self.assertEqual(answer.choices[0].finish_reason, "tool_calls")
            self.assertEqual([call.function.name for call in message.tool_calls], names)
            self.assertEqual([json.loads(call.function.arguments) for call in message.tool_calls], [{"city": "mock"}] * len(names))
            self.assertEqual(len({call.id for call in message.tool_calls}), len(names))
            results = [
                {"role": "tool", "tool_call_id": call.id, "name": call.function.name, "content": SAID[call.function.name]}
                for call in message.tool_calls
            ]
            again = self.ask(kind, tools=TOOLS, messages=HI + [message.model_dump()] + results, **more)
            yield message, again.choices[0].message

    def test_tool_call_and_tool_result(self):
        for _, answer in self.loop("", ["get_weather"]):
            self.assertIn("sunny", answer.content)

    def test_parallel_tools(self):
        for _, answer in self.loop("-parallel", ["get_weather", "get_time"]):
            self.assertRegex(answer.content, "sunny.*noon")

    def test_thinking(self):
        for message, answer in self.loop("-thinking", ["get_weather"], reasoning_effort="low", max_tokens=4096, **self.thinking):
            self.assertEqual((message.reasoning_content, answer.reasoning_content), (THOUGHTS, THOUGHTS))
            self.assertIn("sunny", answer.content)

    # What else it must be told before it asks a model that it does not know for thoughts.
    thinking = {"allowed_openai_params": ["reasoning_effort"]}

    def test_image(self):
        url = {"url": "data:image/png;base64," + PIXEL}
        content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": url}]
        answer = self.ask(messages=[{"role": "user", "content": content}])
        self.assertEqual(answer.choices[0].message.content, "mock: What is it?")
        self.assertGreater(answer.usage.prompt_tokens, PICTURE)

    def test_json_schema(self):
        # An alias of its own, for a model named like a provider of its (`gemini/gemini`) is one that it never knows.
        answer = self.ask("-parallel", response_format=Verdict)
        self.assertEqual(Verdict.model_validate_json(answer.choices[0].message.content), VERDICT)
        if self.provider == "anthropic":
            return  # there it takes the `#` off references itself, which leads nowhere
        answer = self.ask("-parallel", response_format=Report)
        self.assertTrue(is_report(Report.model_validate_json(answer.choices[0].message.content)))

    def test_error(self):
        for fault, kind in [
            ("limited", litellm.RateLimitError),
            ("too-long", litellm.ContextWindowExceededError),
            ("refused", (litellm.BadRequestError, litellm.UnprocessableEntityError)),
            ("down", (litellm.ServiceUnavailableError, litellm.InternalServerError, litellm.BadGatewayError)),
        ]:
            with self.subTest(fault=fault), self.assertRaises(kind):
                self.ask("-" + fault)
        for fault in ["cut", "erring"]:
            with self.subTest(fault=fault), self.assertRaises(Exception):
                list(self.ask("-" + fault, stream=True))


class OpenAi(Completions):
    provider, base = "openai", URL + "/v1"


class Anthropic(Completions):
    provider, base = "anthropic", URL + "/anthropic"


class Google(Completions):
    provider, base = "gemini", URL + "/genai/v1beta"


for cells in [OpenAi, Anthropic, Google]:
    over(cells, globals())

if __name__ == "__main__":
    unittest.main()
