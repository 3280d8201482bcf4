"""Google's SDK for Python."""

import asyncio
import base64
import functools
import unittest

from google import genai
from google.genai import errors, types
from matrix import ECHO, KEY, NO_DOCUMENTS, NO_QUOTA, PARAMETERS, PDF, PICTURE, PIXEL, Report, TEXT, THOUGHTS, UNCOUNTED_THOUGHTS, URL, VERDICT, Verdict, is_report, over

OFF = types.AutomaticFunctionCallingConfig(disable=True)


def declare(*names):
    declarations = [types.FunctionDeclaration(name=name, description="Tells " + name, parameters_json_schema=PARAMETERS) for name in names]
    return [types.Tool(function_declarations=declarations)]


def calling(mode, *names):
    return types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode=mode, allowed_function_names=list(names) or None))


@functools.cache  # a client that is let go closes its connections under what it has returned
def client(base=URL, key=KEY, **options):
    options = {"base_url": base, "timeout": 20_000, "retry_options": types.HttpRetryOptions(attempts=1), **options}
    return genai.Client(api_key=key, http_options=types.HttpOptions(**options))


def user(*parts):
    return types.Content(role="user", parts=list(parts))


def results(calls, said):
    parts = [types.FunctionResponse(id=call.id, name=call.name, response={"result": one}) for call, one in zip(calls, said)]
    return user(*(types.Part(function_response=part) for part in parts))


def thoughts(answer):
    return "".join(part.text for part in answer.candidates[0].content.parts if part.thought and part.text)


class Contents:
    """What every upstream must give."""

    def ask(self, contents=TEXT, kind="", **config):
        return client().models.generate_content(model=self.model + kind, contents=contents, config=config or None)

    def stream(self, contents=TEXT, kind="", **config):
        return client().models.generate_content_stream(model=self.model + kind, contents=contents, config=config or None)

    def test_text(self):
        answer = self.ask()
        self.assertEqual((answer.text, answer.candidates[0].finish_reason), (ECHO, types.FinishReason.STOP))
        self.assertEqual(answer.candidates[0].content.role, "model")
        self.assertTrue(answer.response_id and answer.model_version)

    def test_stream(self):
        chunks = list(self.stream())
        self.assertEqual("".join(chunk.text or "" for chunk in chunks), ECHO)
        self.assertGreater(len(chunks), 1)
        self.assertEqual(chunks[-1].candidates[0].finish_reason, types.FinishReason.STOP)

    def test_tool_call(self):
        tools = declare("get_weather", "get_time")
        [call] = self.ask(tools=tools, tool_config=calling("ANY")).function_calls
        self.assertEqual((call.name, call.args), ("get_weather", {"city": "mock"}))
        [named] = self.ask(tools=tools, tool_config=calling("ANY", "get_time")).function_calls
        self.assertEqual(named.name, "get_time")
        self.assertEqual(self.ask(tools=tools, tool_config=calling("NONE")).text, ECHO)
        [streamed] = [call for chunk in self.stream(tools=tools) for call in chunk.function_calls or []]
        self.assertEqual((streamed.name, streamed.args), ("get_weather", {"city": "mock"}))

    def test_tool_result(self):
        tools = declare("get_weather")
        answer = self.ask(tools=tools)
        history = [user(types.Part(text=TEXT)), answer.candidates[0].content, results(answer.function_calls, ["sunny"])]
        self.assertIn("sunny", self.ask(history, tools=tools).text)

    def test_a_function_of_python_is_called_by_the_sdk(self):
        asked = []

        def get_weather(city: str) -> str:
            """Weather of a city."""
            asked.append(city)
            return "rainy in " + city

        self.assertIn("rainy in mock", self.ask(tools=[get_weather]).text)
        self.assertEqual(asked, ["mock"])
        chat = client().chats.create(model=self.model, config={"tools": [get_weather]})
        self.assertIn("rainy in mock", "".join(chunk.text or "" for chunk in chat.send_message_stream(TEXT)))

    def test_parallel_tools(self):
        tools = declare("get_weather", "get_time")
        answer = self.ask(kind="-parallel", tools=tools)
        calls = answer.function_calls
        self.assertEqual([(call.name, call.args) for call in calls], [(name, {"city": "mock"}) for name in ["get_weather", "get_time"]])
        history = [user(types.Part(text=TEXT)), answer.candidates[0].content, results(calls, ["sunny", "noon"])]
        self.assertRegex(self.ask(history, tools=tools).text, "sunny.*noon")
        streamed = [call.name for chunk in self.stream(kind="-parallel", tools=tools) for call in chunk.function_calls or []]
        self.assertEqual(streamed, ["get_weather", "get_time"])

    def test_image(self):
        picture = types.Part.from_bytes(data=base64.b64decode(PIXEL), mime_type="image/png")
        answer = self.ask(["What is it?", picture])
        self.assertEqual(answer.text, "mock: What is it?")
        self.assertGreater(answer.usage_metadata.prompt_token_count, PICTURE)

    def test_document(self):
        answer = self.ask(["What is it?", types.Part.from_bytes(data=base64.b64decode(PDF), mime_type="application/pdf")])
        self.assertEqual(answer.usage_metadata.prompt_token_count > PICTURE, self.model not in NO_DOCUMENTS)

    def test_json_schema(self):
        wish = {"response_mime_type": "application/json"}
        self.assertEqual(self.ask(response_schema=Verdict, **wish).parsed, VERDICT)
        self.assertEqual(Verdict.model_validate_json(self.ask(response_json_schema=Verdict.model_json_schema(), **wish).text), VERDICT)
        self.assertTrue(is_report(self.ask(response_schema=Report, **wish).parsed))
        self.assertTrue(is_report(Report.model_validate_json(self.ask(response_json_schema=Report.model_json_schema(), **wish).text)))

    def test_system(self):
        told = self.ask(system_instruction="Be brief.", temperature=0.5, stop_sequences=["END"])
        self.assertGreater(told.usage_metadata.prompt_token_count, self.ask().usage_metadata.prompt_token_count)
        short = self.ask(max_output_tokens=2)
        self.assertEqual((short.text, short.candidates[0].finish_reason), ("mock: Say", types.FinishReason.MAX_TOKENS))

    def test_usage(self):
        for usage in [self.ask().usage_metadata, list(self.stream())[-1].usage_metadata]:
            self.assertEqual((usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count), (9, 3, 12))

    def test_thinking(self):
        wish = {"tools": declare("get_weather"), "thinking_config": types.ThinkingConfig(thinking_budget=1024, include_thoughts=True)}
        answer = self.ask(kind="-thinking", max_output_tokens=4096, **wish)
        self.assertEqual(thoughts(answer), THOUGHTS)
        history = [user(types.Part(text=TEXT)), answer.candidates[0].content, results(answer.function_calls, ["sunny"])]
        again = self.ask(history, "-thinking", max_output_tokens=4096, **wish)
        self.assertEqual(thoughts(again), THOUGHTS)
        self.assertIn("sunny", again.text)
        self.assertEqual(again.usage_metadata.thoughts_token_count, None if self.model in UNCOUNTED_THOUGHTS else 3)
        streamed = self.stream(kind="-thinking", max_output_tokens=4096, **wish)
        self.assertEqual("".join(thoughts(chunk) for chunk in streamed), THOUGHTS)

    def test_error(self):
        for fault, kind, code, status in [
            ("limited", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
            ("broke", *((errors.ClientError, 429, "RESOURCE_EXHAUSTED") if self.model in NO_QUOTA else (errors.ServerError, 502, "INTERNAL"))),
            ("locked", errors.ServerError, 502, "INTERNAL"),
            ("down", errors.ServerError, 503, "UNAVAILABLE"),
            ("too-long", errors.ClientError, 400, "INVALID_ARGUMENT"),
            ("refused", errors.ClientError, 400, "INVALID_ARGUMENT"),
        ]:
            with self.subTest(fault=fault):
                with self.assertRaises(kind) as caught:
                    self.ask(kind="-" + fault)
                self.assertEqual((caught.exception.code, caught.exception.status), (code, status))
                self.assertTrue(caught.exception.message)

    def test_a_stream_that_breaks_raises_instead_of_ending(self):
        for fault in ["cut", "erring"]:
            seen = 0
            with self.subTest(fault=fault), self.assertRaises(errors.APIError):
                for _ in self.stream(kind="-" + fault):
                    seen += 1
            self.assertGreater(seen, 0)

    def test_an_alias_fails_over_to_an_upstream_of_another_format(self):
        self.assertEqual(self.ask(kind="-steady").text, ECHO)
        self.assertEqual("".join(chunk.text or "" for chunk in self.stream(kind="-steady")), ECHO)

    def test_the_drop_in_prefix_and_every_version_of_the_api(self):
        for base in [URL, URL + "/genai", URL + "/genai/"]:
            for version in ["v1", "v1beta", "v1alpha"]:
                with self.subTest(base=base, version=version):
                    one = client(base, api_version=version)
                    self.assertEqual(one.models.generate_content(model=self.model, contents=TEXT).text, ECHO)

    def test_async(self):
        async def talk():
            one = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=URL)).aio
            answer = await one.models.generate_content(model=self.model, contents=TEXT)
            stream = await one.models.generate_content_stream(model=self.model, contents=TEXT)
            return answer.text, "".join([chunk.text or "" async for chunk in stream])

        self.assertEqual(asyncio.run(talk()), (ECHO, ECHO))


over(Contents, globals())


class Beside(unittest.TestCase):
    def test_tokens_are_counted_by_whoever_counts(self):
        for model in ["gemini", "claude"]:
            self.assertEqual(client().models.count_tokens(model=model, contents=TEXT).total_tokens, 9)

    def test_vectors(self):
        for contents in ["one", ["one", "two"]]:
            vectors = client().models.embed_content(model="embed", contents=contents).embeddings
            self.assertEqual(len(vectors), 1 if isinstance(contents, str) else 2)
            self.assertGreater(len(vectors[0].values), 8)

    def test_models(self):
        for base in [URL, URL + "/genai"]:
            names = [model.name for model in client(base).models.list()]
            self.assertIn("models/gemini", names)
            self.assertNotIn("models/secret", names)
            self.assertEqual(client(base).models.get(model="gemini").display_name, "gemini")


class Refused(unittest.TestCase):
    """What the gateway itself refuses."""

    def refused(self, model="gemini", **options):
        with self.assertRaises(errors.ClientError) as caught:
            client(**options).models.generate_content(model=model, contents=TEXT)
        return caught.exception

    def test_a_wrong_key(self):
        error = self.refused(key="sk-wrong")
        self.assertEqual((error.code, error.status), (401, "UNAUTHENTICATED"))

    def test_a_model_that_the_key_may_not_use(self):
        error = self.refused("secret")
        self.assertEqual((error.code, error.status), (403, "PERMISSION_DENIED"))

    def test_a_model_that_does_not_exist(self):
        error = self.refused("fsat")
        self.assertEqual((error.code, error.status), (404, "NOT_FOUND"))
        self.assertIn("Did you mean `fast`?", error.message)


if __name__ == "__main__":
    unittest.main()
