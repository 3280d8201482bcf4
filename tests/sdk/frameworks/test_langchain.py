"""LangChain's chat models, each through its provider's package: OpenAI's two APIs, Anthropic, Google."""

import unittest

import anthropic
import openai
from langchain_anthropic import ChatAnthropic
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_google_genai.chat_models import ChatGoogleGenerativeAIError, GoogleAPIError
from matrix import ECHO, KEY, PICTURE, PIXEL, Report, TEXT, THOUGHTS, UPSTREAMS, URL, VERDICT, Verdict, is_report, over


@tool
def get_weather(city: str) -> str:
    """Weather of a city."""
    return "sunny in " + city


@tool
def get_time(city: str) -> str:
    """Time in a city."""
    return "noon in " + city


TOOLS = {"get_weather": get_weather, "get_time": get_time}


class Models:
    """What every package must give over every upstream."""

    def chat(self, kind="", **options):
        raise NotImplementedError

    # How the package says that it wants thoughts.
    thinking = {}

    def test_text(self):
        answer = self.chat().invoke(TEXT)
        self.assertEqual(answer.text, ECHO)

    def test_stream(self):
        chunks = list(self.chat().stream(TEXT))
        self.assertEqual("".join(chunk.text for chunk in chunks), ECHO)
        self.assertGreater(len(chunks), 2)

    def test_system(self):
        told = self.chat().invoke([SystemMessage("Be brief."), HumanMessage(TEXT)])
        self.assertGreater(told.usage_metadata["input_tokens"], self.chat().invoke(TEXT).usage_metadata["input_tokens"])

    def test_usage(self):
        whole = self.chat().invoke(TEXT).usage_metadata
        total = None
        for chunk in self.chat().stream(TEXT):
            total = chunk if total is None else total + chunk
        for usage in [whole, total.usage_metadata]:
            self.assertEqual((usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]), (9, 3, 12))

    def loop(self, kind, names, **options):
        """Runs tools as an agent would, once whole and once streamed, and returns the last answers."""
        answers = []
        for is_stream in [False, True]:
            model = self.chat(kind, **options).bind_tools(list(TOOLS.values()))
            history = [HumanMessage(TEXT)]
            if is_stream:
                message = None
                for chunk in model.stream(history):
                    message = chunk if message is None else message + chunk
            else:
                message = model.invoke(history)
            self.assertEqual([(call["name"], call["args"]) for call in message.tool_calls], [(name, {"city": "mock"}) for name in names])
            self.assertEqual(len({call["id"] for call in message.tool_calls}), len(names))
            results = [TOOLS[call["name"]].invoke(call) for call in message.tool_calls]
            self.assertTrue(all(isinstance(result, ToolMessage) for result in results))
            answers.append((message, model.invoke(history + [message] + results)))
        return answers

    def test_tool_call_and_tool_result(self):
        for _, answer in self.loop("", ["get_weather"]):
            self.assertIn("sunny in mock", answer.text)

    def test_parallel_tools(self):
        for _, answer in self.loop("-parallel", ["get_weather", "get_time"]):
            self.assertRegex(answer.text, "sunny in mock.*noon in mock")

    def test_thinking(self):
        for message, answer in self.loop("-thinking", ["get_weather"], **self.thinking):
            self.assertEqual((self.thoughts(message), self.thoughts(answer)), (THOUGHTS, THOUGHTS))
            self.assertIn("sunny in mock", answer.text)

    def thoughts(self, message):
        return "".join(block.get("reasoning", "") for block in message.content_blocks if block["type"] == "reasoning")

    def test_image(self):
        picture = {"type": "image", "base64": PIXEL, "mime_type": "image/png"}
        answer = self.chat().invoke([HumanMessage([{"type": "text", "text": "What is it?"}, picture])])
        self.assertEqual(answer.text, "mock: What is it?")
        self.assertGreater(answer.usage_metadata["input_tokens"], PICTURE)

    def test_json_schema(self):
        for method in ["json_schema", "function_calling"]:
            with self.subTest(method=method):
                self.assertEqual(self.chat().with_structured_output(Verdict, method=method).invoke(TEXT), VERDICT)
                self.assertTrue(is_report(self.chat().with_structured_output(Report, method=method).invoke(TEXT)))

    errors = {}

    def test_error(self):
        for fault, kind in self.errors.items():
            # It looks for the code in the exception's words, where OpenAI's SDK no longer has it: over OpenAI itself this is not known either.
            if kind is ContextOverflowError and isinstance(self, OpenAi) and self.model == "chat":
                kind = openai.BadRequestError
            with self.subTest(fault=fault), self.assertRaises(kind):
                self.chat("-" + fault).invoke(TEXT)
        for fault in ["cut", "erring"]:
            with self.subTest(fault=fault), self.assertRaises(Exception):
                list(self.chat("-" + fault).stream(TEXT))


class OpenAi(Models):
    # It reads no thoughts out of chats; only out of Responses.
    test_thinking = None
    errors = {"limited": openai.RateLimitError, "down": openai.InternalServerError, "too-long": ContextOverflowError}

    def chat(self, kind="", **options):
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(base_url=URL + "/v1", api_key=KEY, model=self.model + kind, max_retries=0, stream_usage=True, **options)


class OpenAiResponses(OpenAi):
    thinking = {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"], "store": False}
    test_thinking = Models.test_thinking

    def chat(self, kind="", **options):
        return super().chat(kind, use_responses_api=True, output_version="v1", **options)


class Anthropic(Models):
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4096}
    errors = {"limited": anthropic.RateLimitError, "down": anthropic.InternalServerError, "too-long": ContextOverflowError}

    def chat(self, kind="", **options):
        return ChatAnthropic(**{"base_url": URL, "api_key": KEY, "model": self.model + kind, "max_retries": 0, "max_tokens": 100, **options})


class Google(Models):
    thinking = {"include_thoughts": True, "thinking_budget": 1024, "max_output_tokens": 4096}
    errors = {"limited": ChatGoogleGenerativeAIError, "down": GoogleAPIError, "too-long": ContextOverflowError}

    def chat(self, kind="", **options):
        return ChatGoogleGenerativeAI(base_url=URL, google_api_key=KEY, model=self.model + kind, max_retries=1, **options)


for cells in [OpenAi, OpenAiResponses, Anthropic, Google]:
    over(cells, globals())

if __name__ == "__main__":
    unittest.main()
