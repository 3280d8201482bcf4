"""OpenAI's SDK for Python and its chat completions."""

import asyncio
import time
import unittest

import openai
from matrix import ECHO, KEY, LIMITED_KEY, NO_DOCUMENTS, NO_QUOTA, PARAMETERS, PDF, PICTURE, PIXEL, PLAIN_REFUSAL, Report, TEXT, THOUGHTS, UNCOUNTED_THOUGHTS, URL, VERDICT, Verdict, is_report, over

HI = [{"role": "user", "content": TEXT}]


def tool(name):
    return {"type": "function", "function": {"name": name, "description": "Tells " + name, "parameters": PARAMETERS}}


WEATHER, CLOCK = tool("get_weather"), tool("get_time")


def client(**options):
    return openai.OpenAI(**{"base_url": URL + "/v1", "api_key": KEY, "max_retries": 0, "timeout": 20, **options})


class Chats:
    """What every upstream must give."""

    def ask(self, kind="", **more):
        return client().chat.completions.create(**{"model": self.model + kind, "messages": HI, **more})

    def test_text(self):
        answer = self.ask()
        self.assertEqual((answer.object, answer.choices[0].finish_reason), ("chat.completion", "stop"))
        self.assertEqual(answer.choices[0].message.content, ECHO)

    def test_stream(self):
        chunks = list(self.ask(stream=True))
        self.assertEqual("".join(c.choices[0].delta.content or "" for c in chunks), ECHO)
        self.assertTrue(all(c.usage is None for c in chunks), "usage that nobody asked for is hidden")
        self.assertEqual(chunks[-1].choices[0].finish_reason, "stop")
        with client().chat.completions.stream(model=self.model, messages=HI) as stream:
            stream.until_done()
            self.assertEqual(stream.get_final_completion().choices[0].message.content, ECHO)

    def test_tool_call(self):
        answer = self.ask(tools=[WEATHER, CLOCK], tool_choice="required")
        [call] = answer.choices[0].message.tool_calls
        self.assertEqual((call.function.name, call.function.arguments), ("get_weather", '{"city":"mock"}'))
        self.assertEqual(answer.choices[0].finish_reason, "tool_calls")
        named = self.ask(tools=[WEATHER, CLOCK], tool_choice={"type": "function", "function": {"name": "get_time"}})
        self.assertEqual(named.choices[0].message.tool_calls[0].function.name, "get_time")
        self.assertEqual(self.ask(tools=[WEATHER], tool_choice="none").choices[0].message.content, ECHO)

    def test_streamed_tool_call(self):
        arguments, names = "", []
        for chunk in self.ask(tools=[WEATHER], tool_choice="required", stream=True):
            for call in chunk.choices[0].delta.tool_calls or []:
                arguments += call.function.arguments or ""
                names += [call.function.name] if call.function.name else []
        self.assertEqual((names, arguments), (["get_weather"], '{"city":"mock"}'))
        self.assertEqual(chunk.choices[0].finish_reason, "tool_calls")

    def test_tool_result(self):
        message = self.ask(tools=[WEATHER]).choices[0].message
        again = HI + [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}]
        answer = self.ask(messages=again, tools=[WEATHER]).choices[0]
        self.assertEqual((answer.message.content, answer.finish_reason), ("mock: sunny", "stop"))

    def test_parallel_tools(self):
        tools = [WEATHER, CLOCK]
        message = self.ask("-parallel", tools=tools).choices[0].message
        self.assertEqual([call.function.name for call in message.tool_calls], ["get_weather", "get_time"])
        ids = [call.id for call in message.tool_calls]
        self.assertEqual(len(set(ids)), 2)
        results = [{"role": "tool", "tool_call_id": id, "content": said} for id, said in zip(ids, ["sunny", "noon"])]
        self.assertEqual(self.ask(messages=HI + [message] + results, tools=tools).choices[0].message.content, "mock: sunny noon")
        with client().chat.completions.stream(model=self.model + "-parallel", messages=HI, tools=tools) as stream:
            calls = stream.get_final_completion().choices[0].message.tool_calls
        self.assertEqual([(c.function.name, c.function.arguments) for c in calls], [(n, '{"city":"mock"}') for n in ["get_weather", "get_time"]])

    def test_image(self):
        url = {"url": "data:image/png;base64," + PIXEL}
        content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": url}]
        answer = self.ask(messages=[{"role": "user", "content": content}])
        self.assertEqual(answer.choices[0].message.content, "mock: What is it?")
        self.assertGreater(answer.usage.prompt_tokens, PICTURE)

    def test_document(self):
        part = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64," + PDF}}
        answer = self.ask(messages=[{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}])
        self.assertEqual(answer.usage.prompt_tokens > PICTURE, self.model not in NO_DOCUMENTS)

    def test_json_schema(self):
        answer = client().chat.completions.parse(model=self.model, messages=HI, response_format=Verdict)
        self.assertEqual(answer.choices[0].message.parsed, VERDICT)
        answer = client().chat.completions.parse(model=self.model, messages=HI, response_format=Report)
        self.assertTrue(is_report(answer.choices[0].message.parsed))

    def test_system(self):
        with_system = self.ask(messages=[{"role": "system", "content": "Be brief."}] + HI, temperature=0.5, stop=["END"])
        self.assertGreater(with_system.usage.prompt_tokens, self.ask().usage.prompt_tokens)
        short = self.ask(max_tokens=2).choices[0]
        self.assertEqual((short.message.content, short.finish_reason), ("mock: Say", "length"))

    def test_usage(self):
        usage = self.ask().usage
        self.assertEqual((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (9, 3, 12))
        last = list(self.ask(stream=True, stream_options={"include_usage": True}))[-1]
        self.assertEqual((last.choices, last.usage.prompt_tokens, last.usage.completion_tokens), ([], 9, 3))

    def test_thinking(self):
        tools = [WEATHER]
        message = self.ask("-thinking", tools=tools, reasoning_effort="low").choices[0].message
        self.assertEqual(message.reasoning_content, THOUGHTS)
        again = HI + [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}]
        answer = self.ask("-thinking", messages=again, tools=tools, reasoning_effort="low")
        self.assertEqual((answer.choices[0].message.reasoning_content, answer.choices[0].message.content), (THOUGHTS, "mock: sunny"))
        self.assertEqual(answer.usage.completion_tokens_details.reasoning_tokens, 0 if self.model in UNCOUNTED_THOUGHTS else 3)
        deltas = [chunk.choices[0].delta for chunk in self.ask("-thinking", reasoning_effort="low", stream=True)]
        self.assertEqual("".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas), THOUGHTS)

    def test_error(self):
        for fault, kind, status in [
            ("limited", openai.RateLimitError, 429),
            ("broke", openai.RateLimitError if self.model in NO_QUOTA else openai.InternalServerError, None),
            ("locked", openai.InternalServerError, 502),
            ("down", openai.InternalServerError, None),
            ("too-long", openai.BadRequestError, 400),
            ("refused", openai.BadRequestError if self.model in PLAIN_REFUSAL else openai.UnprocessableEntityError, None),
        ]:
            with self.subTest(fault=fault):
                with self.assertRaises(kind) as caught:
                    self.ask("-" + fault)
                self.assertIs(type(caught.exception), kind)
                self.assertEqual(caught.exception.status_code, status or caught.exception.status_code)
                if fault == "limited":
                    self.assertGreaterEqual(int(caught.exception.response.headers["retry-after"]), 1)
                if fault == "too-long":
                    self.assertEqual(caught.exception.code, "context_length_exceeded")

    def test_a_stream_that_breaks_raises_instead_of_ending(self):
        for fault in ["cut", "erring"]:
            seen = 0
            with self.subTest(fault=fault), self.assertRaises(openai.APIError):
                for _ in self.ask("-" + fault, stream=True):
                    seen += 1
            self.assertGreater(seen, 0)

    def test_an_alias_fails_over_to_an_upstream_of_another_format(self):
        self.assertEqual(self.ask("-steady").choices[0].message.content, ECHO)
        self.assertEqual("".join(c.choices[0].delta.content or "" for c in self.ask("-steady", stream=True)), ECHO)

    def test_async(self):
        async def talk():
            async with openai.AsyncOpenAI(base_url=URL + "/v1", api_key=KEY, max_retries=0) as one:
                stream = await one.chat.completions.create(model=self.model, messages=HI, stream=True)
                return [chunk async for chunk in stream]

        self.assertGreater(len(asyncio.run(talk())), 2)


over(Chats, globals())


class Beside(unittest.TestCase):
    """What is not translated."""

    def test_completions(self):
        answer = client().completions.create(model="fast", prompt="Once upon")
        self.assertTrue(answer.choices[0].text)
        chunks = list(client().completions.create(model="fast", prompt="Once upon", stream=True))
        self.assertEqual("".join(c.choices[0].text for c in chunks), answer.choices[0].text)

    def test_embeddings(self):
        answer = client().embeddings.create(model="embed", input=["one", "two"])
        self.assertEqual([item.index for item in answer.data], [0, 1])
        self.assertGreater(len(answer.data[0].embedding), 8)

    def test_embeddings_are_refused_with_the_reason_where_there_are_none(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            client().embeddings.create(model="claude", input="one")
        self.assertIn("no such endpoint", str(caught.exception))

    def test_models(self):
        names = [model.id for model in client().models.list()]
        self.assertIn("fast", names)
        self.assertNotIn("secret", names, "what the key may not use is not listed")
        self.assertEqual(client().models.retrieve("fast").id, "fast")

    def test_the_raw_answer_tells_the_request_id_and_the_revision(self):
        raw = client().chat.completions.with_raw_response.create(model="fast", messages=HI)
        self.assertTrue(raw.headers["x-bifrost-request-id"])
        self.assertGreater(int(raw.headers["x-bifrost-revision"]), 0)


class Refused(unittest.TestCase):
    """What the gateway itself refuses."""

    def refused(self, kind, model="fast", **options):
        with self.assertRaises(kind) as caught:
            client(**options).chat.completions.create(model=model, messages=HI)
        self.assertIs(type(caught.exception), kind)
        return caught.exception

    def test_a_wrong_key(self):
        self.assertEqual(self.refused(openai.AuthenticationError, api_key="sk-wrong").code, "invalid_api_key")

    def test_a_model_that_the_key_may_not_use(self):
        self.assertEqual(self.refused(openai.PermissionDeniedError, "secret").code, "forbidden")

    def test_a_model_that_does_not_exist(self):
        self.assertIn("Did you mean `fast`?", str(self.refused(openai.NotFoundError, "fsat")))

    def test_a_limit_is_told_and_waited_out(self):
        ask = {"model": "chat", "messages": HI}
        raw = client(api_key=LIMITED_KEY).chat.completions.with_raw_response.create(**ask)
        self.assertEqual([raw.headers["x-ratelimit-" + what] for what in ["limit-requests", "remaining-requests"]], ["30", "0"])
        error = self.refused(openai.RateLimitError, "chat", api_key=LIMITED_KEY)
        self.assertEqual((error.code, error.response.headers["retry-after"]), ("rate_limited", "2"))
        began = time.monotonic()
        self.assertTrue(client(api_key=LIMITED_KEY, max_retries=2).chat.completions.create(**ask).choices)
        self.assertGreater(time.monotonic() - began, 1)

    def test_a_body_that_is_no_chat_request(self):
        with self.assertRaises(openai.BadRequestError):
            client().post("/chat/completions", body={"messages": HI}, cast_to=object)


if __name__ == "__main__":
    unittest.main()
