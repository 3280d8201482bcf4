"""The official Anthropic SDK for Python through a gateway at SDK_URL: one upstream speaks Anthropic (`claude`), one OpenAI (`fast`)."""

import asyncio
import os
import unittest

import anthropic
import pydantic

URL = os.environ["SDK_URL"]
KEY = "sk-bf-sdk-test"
HI = [{"role": "user", "content": "Say hello"}]
WEATHER = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


def client(**options):
    return anthropic.Anthropic(**{"base_url": URL, "api_key": KEY, "max_retries": 0, "timeout": 20, **options})


class Verdict(pydantic.BaseModel):
    city: str
    sunny: bool


class Answers:
    """What every upstream must give."""

    model = ""

    def ask(self, **more):
        return client().messages.create(**{"model": self.model, "max_tokens": 100, "messages": HI, **more})

    def stream(self, **more):
        return client().messages.stream(**{"model": self.model, "max_tokens": 100, "messages": HI, **more})

    def test_a_message(self):
        answer = self.ask()
        self.assertEqual((answer.type, answer.role, answer.stop_reason), ("message", "assistant", "end_turn"))
        self.assertEqual(answer.content[0].text, "mock: Say hello")
        self.assertEqual((answer.usage.input_tokens, answer.usage.output_tokens), (9, 3))
        self.assertTrue(answer.id and answer.model)

    def test_a_system_prompt_in_both_its_forms(self):
        block = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
        for system in ["Be brief.", [block]]:
            self.assertGreater(self.ask(system=system).usage.input_tokens, self.ask().usage.input_tokens)

    def test_a_limit_that_is_reached(self):
        answer = self.ask(max_tokens=2)
        self.assertEqual((answer.content[0].text, answer.stop_reason), ("mock: Say", "max_tokens"))

    def test_settings(self):
        answer = self.ask(extra_body={"temperature": 0.5}, stop_sequences=["END"], metadata={"user_id": "u-1"})
        self.assertTrue(answer.content[0].text)

    def test_an_image(self):
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        content = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
        answer = self.ask(messages=[{"role": "user", "content": content}])
        self.assertEqual(answer.content[0].text, "mock: What is it?")

    def test_the_text_stream_and_the_message_that_it_adds_up_to(self):
        whole = self.ask()
        with self.stream() as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        self.assertEqual((text, final.content[0].text), (whole.content[0].text, whole.content[0].text))
        self.assertEqual(final.stop_reason, "end_turn")
        self.assertEqual((final.usage.input_tokens, final.usage.output_tokens), (9, 3))

    def test_the_events_of_a_stream(self):
        kinds = [event.type for event in client().messages.create(model=self.model, max_tokens=50, messages=HI, stream=True)]
        deltas = kinds.count("content_block_delta")
        start, end = ["message_start", "content_block_start"], ["content_block_stop", "message_delta", "message_stop"]
        self.assertEqual(kinds, start + ["content_block_delta"] * deltas + end)
        self.assertGreater(deltas, 1)

    def test_the_events_of_the_stream_helper(self):
        with self.stream() as stream:
            kinds = {event.type for event in stream}
        self.assertLessEqual({"text", "content_block_stop", "message_stop"}, kinds)

    def test_a_tool_is_called_and_its_result_told(self):
        answer = self.ask(tools=[WEATHER], tool_choice={"type": "any"})
        call = answer.content[-1]
        self.assertEqual((answer.stop_reason, call.type, call.name), ("tool_use", "tool_use", "get_weather"))
        self.assertEqual(call.input, {"city": "mock"})
        result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "sunny"}]}
        again = HI + [{"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
        told = self.ask(messages=again, tools=[WEATHER])
        self.assertEqual((told.content[0].text, told.stop_reason), ("mock: sunny", "end_turn"))

    def test_a_streamed_tool(self):
        with self.stream(tools=[WEATHER], tool_choice={"type": "tool", "name": "get_weather"}) as stream:
            pieces = [event.partial_json for event in stream if event.type == "input_json"]
            final = stream.get_final_message()
        self.assertEqual("".join(pieces), '{"city":"mock"}')
        self.assertEqual((final.content[-1].name, final.content[-1].input), ("get_weather", {"city": "mock"}))
        self.assertEqual(final.stop_reason, "tool_use")

    def test_the_tool_runner_runs_the_whole_loop(self):
        asked = []

        @anthropic.beta_tool
        def get_weather(city: str) -> str:
            """Weather of a city.

            Args:
                city: The city.
            """
            asked.append(city)
            return "rainy in " + city

        runner = client().beta.messages.tool_runner(model=self.model, max_tokens=100, messages=HI, tools=[get_weather])
        final = runner.until_done()
        self.assertEqual((asked, final.content[-1].text), (["mock"], "mock: rainy in mock"))

    def test_structured_output(self):
        answer = client().messages.parse(model=self.model, max_tokens=100, messages=HI, output_format=Verdict)
        self.assertEqual(answer.parsed_output, Verdict(city="mock", sunny=True))

    def test_async(self):
        async def talk():
            async with anthropic.AsyncAnthropic(base_url=URL, api_key=KEY, max_retries=0) as one:
                async with one.messages.stream(model=self.model, max_tokens=100, messages=HI) as stream:
                    return "".join([text async for text in stream.text_stream])

        self.assertEqual(asyncio.run(talk()), "mock: Say hello")

    def test_leaving_a_stream_leaves_the_gateway_usable(self):
        with self.stream() as stream:
            next(iter(stream))
        self.assertTrue(self.ask().content)


class Relayed(Answers, unittest.TestCase):
    model = "claude"

    def test_tokens_are_counted(self):
        self.assertEqual(client().messages.count_tokens(model=self.model, messages=HI).input_tokens, 9)

    def test_an_alias_fails_over_to_an_upstream_that_speaks_openai(self):
        self.assertEqual(self.ask(model="claude-steady").content[0].text, "mock: Say hello")
        with self.stream(model="claude-steady") as stream:
            self.assertEqual(stream.get_final_text(), "mock: Say hello")


class Translated(Answers, unittest.TestCase):
    model = "fast"

    def test_counting_tokens_is_refused_with_the_reason(self):
        with self.assertRaises(anthropic.BadRequestError) as caught:
            client().messages.count_tokens(model=self.model, messages=HI)
        self.assertIn("no such endpoint", str(caught.exception))


class Models(unittest.TestCase):
    def test_models(self):
        for base in [URL, URL + "/anthropic"]:
            page = client(base_url=base).models.list()
            names = [model.id for model in page]
            self.assertTrue("claude" in names and "secret" not in names)
            self.assertFalse(page.has_next_page())
            self.assertEqual(client(base_url=base).models.retrieve("claude").display_name, "claude")

    def test_the_drop_in_prefix(self):
        answer = client(base_url=URL + "/anthropic").messages.create(model="claude", max_tokens=9, messages=HI)
        self.assertTrue(answer.content)

    def test_a_key_as_a_bearer_token(self):
        one = anthropic.Anthropic(base_url=URL, auth_token=KEY, api_key=None, max_retries=0)
        self.assertTrue(one.messages.create(model="claude", max_tokens=9, messages=HI).content)


class Errors(unittest.TestCase):
    def refused(self, kind, model="claude", **options):
        with self.assertRaises(kind) as caught:
            client(**options).messages.create(model=model, max_tokens=9, messages=HI)
        self.assertIs(type(caught.exception), kind, caught.exception)
        self.assertEqual(caught.exception.body["type"], "error")
        return caught.exception

    def test_a_wrong_key(self):
        self.assertEqual(self.refused(anthropic.AuthenticationError, api_key="sk-wrong").type, "authentication_error")

    def test_a_model_that_the_key_may_not_use(self):
        self.refused(anthropic.PermissionDeniedError, "secret")

    def test_a_model_that_does_not_exist(self):
        self.assertIn("Did you mean `fast`?", str(self.refused(anthropic.NotFoundError, "fsat")))

    def test_a_model_that_does_not_exist_among_the_models(self):
        with self.assertRaises(anthropic.NotFoundError):
            client().models.retrieve("none")

    def test_a_body_that_is_no_request(self):
        with self.assertRaises(anthropic.BadRequestError):
            client().post("/v1/messages", body={"messages": HI}, cast_to=object)

    def test_what_upstreams_say_is_its_own_exception(self):
        for lane in ["claude", "chat"]:
            for fault, kind in [
                ("limited", anthropic.RateLimitError),
                ("locked", anthropic.InternalServerError),
                ("down", anthropic.OverloadedError),
                ("too-long", anthropic.BadRequestError),
                ("refused", anthropic.UnprocessableEntityError),
            ]:
                with self.subTest(lane=lane, fault=fault):
                    error = self.refused(kind, f"{lane}-{fault}-py")
                    if fault == "limited":
                        self.assertGreaterEqual(int(error.response.headers["retry-after"]), 1)

    def test_a_stream_that_is_cut_or_fails_raises_instead_of_ending(self):
        for lane in ["claude", "chat"]:
            for fault in ["cut", "erring"]:
                with self.subTest(lane=lane, fault=fault):
                    seen = 0
                    with self.assertRaises(anthropic.APIError):
                        for _ in client().messages.create(model=f"{lane}-{fault}-py", max_tokens=50, messages=HI, stream=True):
                            seen += 1
                    self.assertGreater(seen, 0)


if __name__ == "__main__":
    unittest.main()
