"""OpenAI's SDK for Python and its Responses API."""

import unittest

import openai
from matrix import ECHO, KEY, NO_DOCUMENTS, NO_QUOTA, PARAMETERS, PDF, PICTURE, PIXEL, PLAIN_REFUSAL, Report, TEXT, THOUGHTS, UNCOUNTED_THOUGHTS, URL, VERDICT, Verdict, is_report, over

HI = [{"role": "user", "content": TEXT}]


def tool(name):
    return {"type": "function", "strict": False, "name": name, "description": "Tells " + name, "parameters": PARAMETERS}


WEATHER, CLOCK = tool("get_weather"), tool("get_time")


def client(**options):
    return openai.OpenAI(**{"base_url": URL + "/openai/v1", "api_key": KEY, "max_retries": 0, "timeout": 20, **options})


def results(calls, said):
    return [{"type": "function_call_output", "call_id": call.call_id, "output": output} for call, output in zip(calls, said)]


class Responses:
    """What every upstream must give."""

    def ask(self, kind="", **more):
        return client().responses.create(**{"model": self.model + kind, "input": TEXT, **more})

    def stream(self, kind="", **more):
        return client().responses.stream(**{"model": self.model + kind, "input": TEXT, **more})

    def test_text(self):
        answer = self.ask()
        self.assertEqual((answer.object, answer.status, answer.output_text), ("response", "completed", ECHO))

    def test_stream(self):
        with self.stream() as stream:
            text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
            final = stream.get_final_response()
        self.assertEqual((text, final.output_text, final.status), (ECHO, ECHO, "completed"))
        kinds = [event.type for event in self.ask(stream=True)]
        self.assertEqual((kinds[0], kinds[-1]), ("response.created", "response.completed"))

    def test_tool_call(self):
        [call] = self.ask(tools=[WEATHER, CLOCK], tool_choice="required").output
        self.assertEqual((call.type, call.name, call.arguments), ("function_call", "get_weather", '{"city":"mock"}'))
        [named] = self.ask(tools=[WEATHER, CLOCK], tool_choice={"type": "function", "name": "get_time"}).output
        self.assertEqual(named.name, "get_time")
        with self.stream(tools=[WEATHER]) as stream:
            pieces = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
            final = stream.get_final_response().output[-1]
        self.assertEqual(("".join(pieces), final.arguments), ('{"city":"mock"}', '{"city":"mock"}'))

    def test_tool_result(self):
        calls = self.ask(tools=[WEATHER]).output
        told = self.ask(input=HI + calls + results(calls, ["sunny"]), tools=[WEATHER])
        self.assertEqual(told.output_text, "mock: sunny")

    def test_parallel_tools(self):
        tools = [WEATHER, CLOCK]
        calls = self.ask("-parallel", tools=tools).output
        self.assertEqual([call.name for call in calls], ["get_weather", "get_time"])
        self.assertEqual(len({call.call_id for call in calls}), 2)
        told = self.ask(input=HI + calls + results(calls, ["sunny", "noon"]), tools=tools)
        self.assertEqual(told.output_text, "mock: sunny noon")
        with self.stream("-parallel", tools=tools) as stream:
            calls = stream.until_done().get_final_response().output
        self.assertEqual([(call.name, call.arguments) for call in calls], [(n, '{"city":"mock"}') for n in ["get_weather", "get_time"]])

    def test_image(self):
        content = [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": "data:image/png;base64," + PIXEL}]
        answer = self.ask(input=[{"role": "user", "content": content}])
        self.assertEqual(answer.output_text, "mock: What is it?")
        self.assertGreater(answer.usage.input_tokens, PICTURE)

    def test_document(self):
        part = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64," + PDF}
        answer = self.ask(input=[{"role": "user", "content": [{"type": "input_text", "text": "What is it?"}, part]}])
        self.assertEqual(answer.usage.input_tokens > PICTURE, self.model not in NO_DOCUMENTS)

    def test_json_schema(self):
        self.assertEqual(client().responses.parse(model=self.model, input=TEXT, text_format=Verdict).output_parsed, VERDICT)
        self.assertTrue(is_report(client().responses.parse(model=self.model, input=TEXT, text_format=Report).output_parsed))

    def test_system(self):
        self.assertGreater(self.ask(instructions="Be brief.").usage.input_tokens, self.ask().usage.input_tokens)
        short = self.ask(max_output_tokens=2)
        self.assertEqual((short.status, short.incomplete_details.reason, short.output_text), ("incomplete", "max_output_tokens", "mock: Say"))

    def test_usage(self):
        with self.stream() as stream:
            streamed = stream.until_done().get_final_response().usage
        for usage in [self.ask().usage, streamed]:
            self.assertEqual((usage.input_tokens, usage.output_tokens, usage.total_tokens), (9, 3, 12))

    def test_thinking(self):
        wish = {"tools": [WEATHER], "reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"], "store": False}
        output = self.ask("-thinking", **wish).output
        self.assertEqual([item.type for item in output], ["reasoning", "function_call"])
        self.assertEqual(self.said(output[0]), THOUGHTS)
        again = self.ask("-thinking", **{**wish, "input": HI + output + results(output[1:], ["sunny"])})
        self.assertEqual((self.said(again.output[0]), again.output_text), (THOUGHTS, "mock: sunny"))
        self.assertEqual(again.usage.output_tokens_details.reasoning_tokens, 0 if self.model in UNCOUNTED_THOUGHTS else 3)
        with self.stream("-thinking", **wish) as stream:
            kinds = [event.type for event in stream]
            final = stream.get_final_response().output
        self.assertEqual(self.said(final[0]), THOUGHTS)
        self.assertTrue([kind for kind in kinds if kind.startswith("response.reasoning")])

    def said(self, item):
        """A server that shows its thoughts as they are has them in `content`; one that sums them up, in `summary`."""
        return "".join(part.text for part in (item.summary or item.content))

    def test_error(self):
        for fault, kind in [
            ("limited", openai.RateLimitError),
            ("broke", openai.RateLimitError if self.model in NO_QUOTA else openai.InternalServerError),
            ("locked", openai.InternalServerError),
            ("down", openai.InternalServerError),
            ("too-long", openai.BadRequestError),
            ("refused", openai.BadRequestError if self.model in PLAIN_REFUSAL else openai.UnprocessableEntityError),
        ]:
            with self.subTest(fault=fault):
                with self.assertRaises(kind) as caught:
                    self.ask("-" + fault)
                self.assertIs(type(caught.exception), kind)

    def test_a_stream_that_breaks_ends_as_a_failure(self):
        for fault in ["cut", "erring"]:
            with self.subTest(fault=fault):
                kinds = []
                try:
                    for event in self.ask("-" + fault, stream=True):
                        kinds.append(event.type)
                except openai.APIError:
                    kinds.append("raised")
                self.assertIn(kinds[-1], ["raised", "response.failed", "error"])
                self.assertGreater(len(kinds), 1)

    def test_an_alias_fails_over_to_an_upstream_of_another_format(self):
        self.assertEqual(self.ask("-steady").output_text, ECHO)


over(Responses, globals())

if __name__ == "__main__":
    unittest.main()
