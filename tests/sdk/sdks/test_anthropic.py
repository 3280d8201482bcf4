"""Anthropic's SDK for Python."""

import asyncio
import time
import unittest

import anthropic
from matrix import ECHO, KEY, LIMITED_KEY, NO_DOCUMENTS, NO_QUOTA, PARAMETERS, PDF, PICTURE, PIXEL, PLAIN_REFUSAL, Report, TEXT, THOUGHTS, URL, VERDICT, Verdict, is_report, over

HI = [{"role": "user", "content": TEXT}]
WEATHER = {"name": "get_weather", "description": "Weather of a city", "input_schema": PARAMETERS}
CLOCK = {"name": "get_time", "description": "Time in a city", "input_schema": PARAMETERS}


def client(**options):
    return anthropic.Anthropic(**{"base_url": URL, "api_key": KEY, "max_retries": 0, "timeout": 20, **options})


def results(calls, said):
    # With pictures, or as a plain text.
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": c.id, "content": one} for c, one in zip(calls, said)]}


def thoughts(answer):
    return "".join(block.thinking for block in answer.content if block.type == "thinking")


class Answers:
    """What every upstream must give."""

    def ask(self, kind="", **more):
        return client().messages.create(**{"model": self.model + kind, "max_tokens": 100, "messages": HI, **more})

    def stream(self, kind="", **more):
        return client().messages.stream(**{"model": self.model + kind, "max_tokens": 100, "messages": HI, **more})

    def test_text(self):
        answer = self.ask()
        self.assertEqual((answer.type, answer.role, answer.stop_reason), ("message", "assistant", "end_turn"))
        self.assertEqual(answer.content[0].text, "mock: Say hello")
        self.assertTrue(answer.id and answer.model)

    def test_system(self):
        block = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
        for system in ["Be brief.", [block]]:
            self.assertGreater(self.ask(system=system).usage.input_tokens, self.ask().usage.input_tokens)

    def test_a_limit_that_is_reached(self):
        answer = self.ask(max_tokens=2)
        self.assertEqual((answer.content[0].text, answer.stop_reason), ("mock: Say", "max_tokens"))

    def test_settings(self):
        answer = self.ask(extra_body={"temperature": 0.5}, stop_sequences=["END"], metadata={"user_id": "u-1"})
        self.assertTrue(answer.content[0].text)

    def test_image(self):
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        content = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
        answer = self.ask(messages=[{"role": "user", "content": content}])
        self.assertEqual(answer.content[0].text, "mock: What is it?")
        self.assertGreater(answer.usage.input_tokens, PICTURE)

    def test_stream(self):
        with self.stream() as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        self.assertEqual((text, final.content[0].text, final.stop_reason), (ECHO, ECHO, "end_turn"))

    def test_usage(self):
        with self.stream() as stream:
            streamed = stream.get_final_message().usage
        for usage in [self.ask().usage, streamed]:
            self.assertEqual((usage.input_tokens, usage.output_tokens), (9, 3))

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

    def test_tool_call(self):
        tools = [WEATHER, CLOCK]
        answer = self.ask(tools=tools, tool_choice={"type": "any"})
        [call] = answer.content
        self.assertEqual((answer.stop_reason, call.type, call.name), ("tool_use", "tool_use", "get_weather"))
        self.assertEqual(call.input, {"city": "mock"})
        [named] = self.ask(tools=tools, tool_choice={"type": "tool", "name": "get_time"}).content
        self.assertEqual(named.name, "get_time")
        self.assertEqual(self.ask(tools=tools, tool_choice={"type": "none"}).content[0].text, ECHO)

    def test_tool_result(self):
        answer = self.ask(tools=[WEATHER])
        history = HI + [{"role": "assistant", "content": answer.content}]
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        for said in ["sunny", [{"type": "text", "text": "sunny"}], [{"type": "text", "text": "sunny"}, {"type": "image", "source": source}]]:
            told = self.ask(messages=history + [results(answer.content, [said])], tools=[WEATHER])
            self.assertEqual((told.content[0].text, told.stop_reason), ("mock: sunny", "end_turn"))

    def test_a_tool_that_failed(self):
        answer = self.ask(tools=[WEATHER])
        failed = {"type": "tool_result", "tool_use_id": answer.content[0].id, "content": "no such city", "is_error": True}
        history = HI + [{"role": "assistant", "content": answer.content}, {"role": "user", "content": [failed]}]
        self.assertIn("no such city", self.ask(messages=history, tools=[WEATHER]).content[0].text)

    def test_parallel_tools(self):
        tools = [WEATHER, CLOCK]
        calls = self.ask("-parallel", tools=tools).content
        self.assertEqual([(c.name, c.input) for c in calls], [(name, {"city": "mock"}) for name in ["get_weather", "get_time"]])
        self.assertEqual(len({call.id for call in calls}), 2)
        again = HI + [{"role": "assistant", "content": calls}, results(calls, ["sunny", "noon"])]
        self.assertEqual(self.ask(messages=again, tools=tools).content[0].text, "mock: sunny noon")
        with self.stream("-parallel", tools=tools) as stream:
            streamed = stream.get_final_message().content
        self.assertEqual([(c.name, c.input) for c in streamed], [(c.name, c.input) for c in calls])

    def test_thinking(self):
        wish = {"tools": [WEATHER], "max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 1024}}
        answer = self.ask("-thinking", **wish)
        self.assertEqual([block.type for block in answer.content], ["thinking", "tool_use"])
        self.assertEqual(thoughts(answer), THOUGHTS)
        history = HI + [{"role": "assistant", "content": answer.content}, results(answer.content[1:], ["sunny"])]
        again = self.ask("-thinking", messages=history, **wish)
        self.assertEqual((thoughts(again), again.content[-1].text), (THOUGHTS, "mock: sunny"))
        with self.stream("-thinking", **wish) as stream:
            pieces = "".join(event.thinking for event in stream if event.type == "thinking")
            final = stream.get_final_message()
        self.assertEqual((pieces, thoughts(final)), (THOUGHTS, THOUGHTS))
        # What was streamed can be told again too: a signature has come whole.
        history = HI + [{"role": "assistant", "content": final.content}, results(final.content[1:], ["sunny"])]
        self.assertEqual(thoughts(self.ask("-thinking", messages=history, **wish)), THOUGHTS)

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

    def test_document(self):
        source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
        content = [{"type": "document", "source": source}, {"type": "text", "text": "What is it?"}]
        answer = self.ask(messages=[{"role": "user", "content": content}])
        self.assertEqual(answer.usage.input_tokens > PICTURE, self.model not in NO_DOCUMENTS)

    def test_json_schema(self):
        answer = client().messages.parse(model=self.model, max_tokens=100, messages=HI, output_format=Verdict)
        self.assertEqual(answer.parsed_output, VERDICT)
        answer = client().messages.parse(model=self.model, max_tokens=100, messages=HI, output_format=Report)
        self.assertTrue(is_report(answer.parsed_output))

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


    def test_an_alias_fails_over_to_an_upstream_of_another_format(self):
        self.assertEqual(self.ask("-steady").content[0].text, ECHO)
        with self.stream("-steady") as stream:
            self.assertEqual(stream.get_final_text(), ECHO)

    def test_error(self):
        for fault, kind in [
            ("limited", anthropic.RateLimitError),
            ("broke", anthropic.RateLimitError if self.model in NO_QUOTA else anthropic.InternalServerError),
            ("locked", anthropic.InternalServerError),
            ("down", anthropic.OverloadedError),
            ("too-long", anthropic.BadRequestError),
            ("refused", anthropic.BadRequestError if self.model in PLAIN_REFUSAL else anthropic.UnprocessableEntityError),
        ]:
            with self.subTest(fault=fault):
                with self.assertRaises(kind) as caught:
                    self.ask("-" + fault)
                self.assertIs(type(caught.exception), kind, caught.exception)
                self.assertEqual(caught.exception.body["type"], "error")
                if fault == "limited":
                    self.assertGreaterEqual(int(caught.exception.response.headers["retry-after"]), 1)

    def test_a_stream_that_breaks_raises_instead_of_ending(self):
        for fault in ["cut", "erring"]:
            seen = 0
            with self.subTest(fault=fault), self.assertRaises(anthropic.APIError):
                for _ in self.ask("-" + fault, stream=True):
                    seen += 1
            self.assertGreater(seen, 0)


over(Answers, globals())


class Beside(unittest.TestCase):
    def test_tokens_are_counted_and_guessed_where_the_upstream_counts_none(self):
        self.assertEqual(client().messages.count_tokens(model="claude", messages=HI).input_tokens, 9)
        self.assertEqual(client().messages.count_tokens(model="gemini", messages=HI).input_tokens, 9)
        raw = client().messages.with_raw_response.count_tokens(model="chat", messages=HI)
        self.assertGreater(raw.parse().input_tokens, 0)
        self.assertIn("input_tokens=approximated", raw.headers["x-bifrost-loss"])


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


class Refused(unittest.TestCase):
    """What the gateway itself refuses."""

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

    def test_a_limit_is_told_and_waited_out(self):
        ask = {"model": "chat", "max_tokens": 9, "messages": HI}
        raw = client(api_key=LIMITED_KEY).messages.with_raw_response.create(**ask)
        told = [raw.headers["anthropic-ratelimit-requests-" + what] for what in ["limit", "remaining"]]
        self.assertEqual((told, raw.headers["anthropic-ratelimit-requests-reset"][-1]), (["30", "0"], "Z"))
        error = self.refused(anthropic.RateLimitError, "chat", api_key=LIMITED_KEY)
        self.assertEqual((error.type, error.response.headers["retry-after"]), ("rate_limit_error", "2"))
        began = time.monotonic()
        self.assertTrue(client(api_key=LIMITED_KEY, max_retries=2).messages.create(**ask).content)
        self.assertGreater(time.monotonic() - began, 1)

    def test_a_body_that_is_no_request(self):
        with self.assertRaises(anthropic.BadRequestError):
            client().post("/v1/messages", body={"messages": HI}, cast_to=object)


if __name__ == "__main__":
    unittest.main()
