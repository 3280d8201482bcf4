"""The official OpenAI SDK for Python through a gateway at SDK_URL: one upstream speaks OpenAI (`fast`), one Anthropic (`claude`)."""

import asyncio
import os
import unittest

import openai
import pydantic

URL = os.environ["SDK_URL"] + "/v1"
KEY = "sk-bf-sdk-test"
HI = [{"role": "user", "content": "Say hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


class Verdict(pydantic.BaseModel):
    city: str
    sunny: bool


def client(**options):
    return openai.OpenAI(**{"base_url": URL, "api_key": KEY, "max_retries": 0, "timeout": 20, **options})


class Chats:
    """What every upstream must give."""

    model = ""

    def test_chat(self):
        answer = client().chat.completions.create(model=self.model, messages=HI)
        self.assertEqual(answer.object, "chat.completion")
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertTrue(answer.choices[0].message.content)
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)

    def test_a_stream_adds_up_to_the_whole_answer(self):
        whole = client().chat.completions.create(model=self.model, messages=HI).choices[0].message.content
        chunks = list(client().chat.completions.create(model=self.model, messages=HI, stream=True))
        self.assertEqual("".join(c.choices[0].delta.content or "" for c in chunks), whole)
        self.assertTrue(all(c.usage is None for c in chunks), "usage that nobody asked for is hidden")
        self.assertEqual(chunks[-1].choices[0].finish_reason, "stop")

    def test_usage_in_a_stream_comes_when_it_was_asked_for(self):
        stream = client().chat.completions.create(
            model=self.model, messages=HI, stream=True, stream_options={"include_usage": True}
        )
        last = list(stream)[-1]
        self.assertEqual(last.choices, [])
        self.assertGreater(last.usage.total_tokens, 0)

    def test_the_stream_helper_accumulates(self):
        with client().chat.completions.stream(model=self.model, messages=HI) as stream:
            stream.until_done()
            final = stream.get_final_completion()
        self.assertTrue(final.choices[0].message.content)

    def test_tools(self):
        answer = client().chat.completions.create(model=self.model, messages=HI, tools=[WEATHER], tool_choice="required")
        call = answer.choices[0].message.tool_calls[0]
        self.assertEqual(call.function.name, "get_weather")
        self.assertEqual(answer.choices[0].finish_reason, "tool_calls")
        again = HI + [answer.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
        self.assertTrue(client().chat.completions.create(model=self.model, messages=again, tools=[WEATHER]).choices)

    def test_streamed_tools(self):
        stream = client().chat.completions.create(
            model=self.model, messages=HI, tools=[WEATHER], tool_choice="required", stream=True
        )
        arguments, names = "", []
        for chunk in stream:
            for call in chunk.choices[0].delta.tool_calls or []:
                arguments += call.function.arguments or ""
                names += [call.function.name] if call.function.name else []
        self.assertEqual(names, ["get_weather"])
        self.assertTrue(arguments.startswith("{") and arguments.endswith("}"))

    def test_an_image(self):
        url = {"url": "data:image/png;base64," + PIXEL}
        content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": url}]
        answer = client().chat.completions.create(model=self.model, messages=[{"role": "user", "content": content}])
        self.assertEqual(answer.choices[0].message.content, "mock: What is it?")

    def test_structured_output(self):
        answer = client().chat.completions.parse(model=self.model, messages=HI, response_format=Verdict)
        self.assertEqual(answer.choices[0].message.parsed, Verdict(city="mock", sunny=True))

    def test_a_system_prompt_and_settings(self):
        answer = client().chat.completions.create(
            model=self.model, messages=[{"role": "system", "content": "Be brief."}] + HI, max_tokens=2, temperature=0.5, stop=["END"]
        )
        self.assertEqual((answer.choices[0].message.content, answer.choices[0].finish_reason), ("mock: Say", "length"))

    def respond(self, **more):
        return client().responses.create(**{"model": self.model, "input": "Say hello", **more})

    def test_a_response(self):
        answer = self.respond(instructions="Be brief.")
        self.assertEqual((answer.object, answer.status, answer.output_text), ("response", "completed", "mock: Say hello"))
        self.assertEqual(answer.usage.total_tokens, answer.usage.input_tokens + answer.usage.output_tokens)
        self.assertEqual(self.respond(max_output_tokens=2).incomplete_details.reason, "max_output_tokens")

    def test_a_streamed_response(self):
        with client().responses.stream(model=self.model, input="Say hello") as stream:
            text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
            final = stream.get_final_response()
        self.assertEqual((text, final.output_text, final.status), ("mock: Say hello", "mock: Say hello", "completed"))
        kinds = [event.type for event in self.respond(stream=True)]
        self.assertEqual((kinds[0], kinds[-1]), ("response.created", "response.completed"))

    def test_tools_of_responses(self):
        tool = {"type": "function", "strict": False, **WEATHER["function"]}
        call = self.respond(tools=[tool], tool_choice="required").output[-1]
        self.assertEqual((call.type, call.name, call.arguments), ("function_call", "get_weather", '{"city":"mock"}'))
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        told = self.respond(input=HI + [call.to_dict(), result], tools=[tool])
        self.assertEqual(told.output_text, "mock: sunny")
        with client().responses.stream(model=self.model, input="Say hello", tools=[tool]) as stream:
            pieces = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
            final = stream.get_final_response().output[-1]
        self.assertEqual(("".join(pieces), final.arguments), ('{"city":"mock"}', '{"city":"mock"}'))

    def test_structured_responses(self):
        answer = client().responses.parse(model=self.model, input="Say hello", text_format=Verdict)
        self.assertEqual(answer.output_parsed, Verdict(city="mock", sunny=True))

    def test_async(self):
        async def talk():
            async with openai.AsyncOpenAI(base_url=URL, api_key=KEY, max_retries=0) as one:
                stream = await one.chat.completions.create(model=self.model, messages=HI, stream=True)
                return [chunk async for chunk in stream]

        self.assertGreater(len(asyncio.run(talk())), 2)


class Relayed(Chats, unittest.TestCase):
    model = "fast"

    def test_completions(self):
        answer = client().completions.create(model="fast", prompt="Once upon")
        self.assertTrue(answer.choices[0].text)
        chunks = list(client().completions.create(model="fast", prompt="Once upon", stream=True))
        self.assertEqual("".join(c.choices[0].text for c in chunks), answer.choices[0].text)

    def test_embeddings(self):
        answer = client().embeddings.create(model="embed", input=["one", "two"])
        self.assertEqual([item.index for item in answer.data], [0, 1])
        self.assertGreater(len(answer.data[0].embedding), 8)

    def test_models(self):
        names = [model.id for model in client().models.list()]
        self.assertIn("fast", names)
        self.assertNotIn("secret", names, "what the key may not use is not listed")
        self.assertEqual(client().models.retrieve("fast").id, "fast")

    def test_an_alias_fails_over(self):
        self.assertTrue(client().chat.completions.create(model="steady", messages=HI).choices)
        self.assertGreater(len(list(client().chat.completions.create(model="steady", messages=HI, stream=True))), 2)

    def test_the_raw_answer_tells_the_request_id_and_the_revision(self):
        raw = client().chat.completions.with_raw_response.create(model="fast", messages=HI)
        self.assertTrue(raw.headers["x-bifrost-request-id"])
        self.assertGreater(int(raw.headers["x-bifrost-revision"]), 0)


class Translated(Chats, unittest.TestCase):
    model = "claude"

    def test_an_alias_fails_over_to_an_upstream_that_speaks_anthropic(self):
        self.assertEqual(client().chat.completions.create(model="steady-claude", messages=HI).choices[0].message.content, "mock: Say hello")
        chunks = list(client().chat.completions.create(model="steady-claude", messages=HI, stream=True))
        self.assertEqual("".join(c.choices[0].delta.content or "" for c in chunks), "mock: Say hello")

    def test_embeddings_are_refused_with_the_reason(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            client().embeddings.create(model=self.model, input="one")
        self.assertIn("no such endpoint", str(caught.exception))


class Errors(unittest.TestCase):
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

    def test_a_rate_limit_upstream(self):
        error = self.refused(openai.RateLimitError, "limited")
        self.assertGreaterEqual(int(error.response.headers["retry-after"]), 1)

    def test_no_money_upstream_is_not_the_clients_fault(self):
        self.assertEqual(self.refused(openai.InternalServerError, "broke").status_code, 502)

    def test_our_credential_refused_upstream_is_not_the_clients_fault(self):
        self.assertEqual(self.refused(openai.InternalServerError, "locked").status_code, 502)

    def test_an_upstream_that_is_down(self):
        self.assertGreaterEqual(self.refused(openai.InternalServerError, "down").status_code, 502)

    def test_a_prompt_that_is_too_long(self):
        self.assertEqual(self.refused(openai.BadRequestError, "too-long").code, "context_length_exceeded")

    def test_a_request_that_the_upstream_refuses(self):
        self.refused(openai.UnprocessableEntityError, "refused")

    def test_a_stream_that_is_cut_raises_instead_of_ending(self):
        seen = 0
        with self.assertRaises(openai.APIError):
            for _ in client().chat.completions.create(model="cut", messages=HI, stream=True):
                seen += 1
        self.assertGreater(seen, 0)

    def test_what_upstreams_say_that_speak_anthropic(self):
        for fault, kind in [
            ("limited", openai.RateLimitError),
            ("locked", openai.InternalServerError),
            ("down", openai.InternalServerError),
            ("too-long", openai.BadRequestError),
            ("refused", openai.UnprocessableEntityError),
        ]:
            with self.subTest(fault=fault):
                self.refused(kind, f"claude-{fault}-openai")

    def test_a_stream_of_an_upstream_that_speaks_anthropic_raises_when_it_breaks(self):
        for fault in ["cut", "erring"]:
            with self.subTest(fault=fault), self.assertRaises(openai.APIError):
                list(client().chat.completions.create(model=f"claude-{fault}-openai", messages=HI, stream=True))
            with self.subTest(fault=fault, api="responses"):
                kinds = []
                try:
                    for event in client().responses.create(model=f"claude-{fault}-openai", input="Say hello", stream=True):
                        kinds.append(event.type)
                except openai.APIError:
                    kinds.append("raised")
                self.assertIn(kinds[-1], ["raised", "response.failed", "error"])

    def test_a_body_that_is_no_chat_request(self):
        with self.assertRaises(openai.BadRequestError):
            client().post("/chat/completions", body={"messages": HI}, cast_to=object)


if __name__ == "__main__":
    unittest.main()
