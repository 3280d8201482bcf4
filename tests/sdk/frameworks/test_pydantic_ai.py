"""Pydantic AI's agents, over each of its providers' models: OpenAI's chats and Responses, Anthropic, Google."""

import base64
import unittest

import anthropic
import openai
from matrix import ECHO, KEY, PICTURE, PIXEL, Report, TEXT, THOUGHTS, URL, VERDICT, Verdict, is_report, over
from pydantic_ai import Agent, BinaryContent, ModelHTTPError, NativeOutput, ToolOutput
from pydantic_ai.messages import ThinkingPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.models.google import GoogleModel, GoogleModelSettings
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIChatModelSettings, OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider


def get_weather(city: str) -> str:
    """Weather of a city."""
    return "sunny in " + city


def get_time(city: str) -> str:
    """Time in a city."""
    return "noon in " + city


def parts(result, kind):
    return [part for message in result.all_messages() for part in message.parts if isinstance(part, kind)]


class Agents:
    thinking = {}

    def agent(self, kind="", **options):
        return Agent(self.build(self.model + kind), retries=0, **options)

    def test_text(self):
        result = self.agent().run_sync(TEXT)
        self.assertEqual(result.output, ECHO)

    def test_stream(self):
        with self.agent().run_stream_sync(TEXT) as stream:
            pieces = list(stream.stream_text(delta=True, debounce_by=None))
        self.assertEqual("".join(pieces), ECHO)
        self.assertGreater(len(pieces), 1)

    def test_system(self):
        told = self.agent(instructions="Be brief.").run_sync(TEXT)
        self.assertGreater(told.usage.input_tokens, self.agent().run_sync(TEXT).usage.input_tokens)

    def test_usage(self):
        usage = self.agent().run_sync(TEXT).usage
        self.assertEqual((usage.input_tokens, usage.output_tokens), (9, 3))

    def test_tool_call_and_tool_result(self):
        result = self.agent(tools=[get_weather]).run_sync(TEXT)
        self.assertIn("sunny in mock", result.output)
        [call] = parts(result, ToolCallPart)
        self.assertEqual((call.tool_name, call.args_as_dict()), ("get_weather", {"city": "mock"}))
        with self.agent(tools=[get_weather]).run_stream_sync(TEXT) as stream:
            self.assertIn("sunny in mock", stream.get_output())

    def test_parallel_tools(self):
        result = self.agent("-parallel", tools=[get_weather, get_time]).run_sync(TEXT)
        self.assertRegex(result.output, "sunny in mock.*noon in mock")
        self.assertEqual([part.tool_name for part in parts(result, ToolReturnPart)], ["get_weather", "get_time"])

    def test_thinking(self):
        result = self.agent("-thinking", tools=[get_weather], model_settings=self.thinking).run_sync(TEXT)
        self.assertEqual([part.content for part in parts(result, ThinkingPart)], [THOUGHTS, THOUGHTS])
        self.assertIn("sunny in mock", result.output)
        with self.agent("-thinking", tools=[get_weather], model_settings=self.thinking).run_stream_sync(TEXT) as stream:
            self.assertIn("sunny in mock", stream.get_output())
            self.assertEqual([part.content for part in parts(stream, ThinkingPart)], [THOUGHTS, THOUGHTS])

    def test_image(self):
        picture = BinaryContent(base64.b64decode(PIXEL), media_type="image/png")
        result = self.agent().run_sync(["What is it?", picture])
        self.assertEqual(result.output, "mock: What is it?")
        self.assertGreater(result.usage.input_tokens, PICTURE)

    def test_json_schema(self):
        for kind in [NativeOutput, ToolOutput]:
            with self.subTest(output=kind.__name__):
                self.assertEqual(self.agent(output_type=kind(Verdict)).run_sync(TEXT).output, VERDICT)
                self.assertTrue(is_report(self.agent(output_type=kind(Report)).run_sync(TEXT).output))

    def test_error(self):
        # A credential that was refused rests, and who comes then finds none.
        for fault, statuses in [("limited", [429]), ("locked", [502, 503]), ("too-long", [400])]:
            with self.subTest(fault=fault), self.assertRaises(ModelHTTPError) as caught:
                self.agent("-" + fault).run_sync(TEXT)
            self.assertIn(caught.exception.status_code, statuses)
        for fault in ["cut", "erring"]:
            with self.subTest(fault=fault), self.assertRaises(Exception):
                with self.agent("-" + fault).run_stream_sync(TEXT) as stream:
                    stream.get_output()


# The SDKs below try again by themselves, which a test of errors need not wait for.
OPENAI = OpenAIProvider(openai_client=openai.AsyncOpenAI(base_url=URL + "/v1", api_key=KEY, max_retries=0))
ANTHROPIC = AnthropicProvider(anthropic_client=anthropic.AsyncAnthropic(base_url=URL, api_key=KEY, max_retries=0))


class OpenAi(Agents):
    thinking = OpenAIChatModelSettings(openai_reasoning_effort="low")

    def build(self, model):
        return OpenAIChatModel(model, provider=OPENAI)


class OpenAiResponses(Agents):
    thinking = OpenAIResponsesModelSettings(openai_reasoning_effort="low", openai_reasoning_summary="detailed")

    def build(self, model):
        # It sends signatures back only for models of which it knows that they sign; of an alias it must be told.
        return OpenAIResponsesModel(model, provider=OPENAI, profile={"openai_supports_encrypted_reasoning_content": True})


class Anthropic(Agents):
    thinking = AnthropicModelSettings(anthropic_thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=4096)

    def build(self, model):
        return AnthropicModel(model, provider=ANTHROPIC, profile={"supports_json_schema_output": True})


class Google(Agents):
    thinking = GoogleModelSettings(google_thinking_config={"thinking_budget": 1024, "include_thoughts": True}, max_tokens=4096)

    def build(self, model):
        return GoogleModel(model, provider=GoogleProvider(base_url=URL, api_key=KEY))


for cells in [OpenAi, OpenAiResponses, Anthropic, Google]:
    over(cells, globals())

if __name__ == "__main__":
    unittest.main()
