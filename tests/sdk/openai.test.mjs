// The official OpenAI SDK for JavaScript through a gateway at SDK_URL: one upstream speaks OpenAI (`fast`), one Anthropic (`claude`).
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const HI = [{ role: "user", content: "Say hello" }];
const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

const client = (options = {}) =>
  new OpenAI({ baseURL: `${process.env.SDK_URL}/v1`, apiKey: "sk-bf-sdk-test", maxRetries: 0, timeout: 20_000, ...options });
const chat = (body, options) => client(options).chat.completions.create({ model: "fast", messages: HI, ...body });
const collect = async (stream) => {
  const chunks = [];
  for await (const chunk of await stream) chunks.push(chunk);
  return chunks;
};

for (const model of ["fast", "claude"]) {
  test(`${model}: chat`, async () => {
    const answer = await chat({ model });
    assert.equal(answer.object, "chat.completion");
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.ok(answer.choices[0].message.content);
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  });

  test(`${model}: a stream adds up to the whole answer`, async () => {
    const whole = (await chat({ model })).choices[0].message.content;
    const chunks = await collect(chat({ model, stream: true }));
    assert.equal(chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join(""), whole);
    assert.ok(chunks.every((chunk) => !chunk.usage), "usage that nobody asked for is hidden");
  });

  test(`${model}: usage in a stream comes when it was asked for`, async () => {
    const last = (await collect(chat({ model, stream: true, stream_options: { include_usage: true } }))).at(-1);
    assert.deepEqual(last.choices, []);
    assert.ok(last.usage.total_tokens > 0);
  });

  test(`${model}: the stream helper accumulates`, async () => {
    const runner = client().chat.completions.stream({ model, messages: HI });
    assert.ok((await runner.finalChatCompletion()).choices[0].message.content);
  });

  test(`${model}: tools`, async () => {
    const answer = await chat({ model, tools: [WEATHER], tool_choice: "required" });
    assert.equal(answer.choices[0].message.tool_calls[0].function.name, "get_weather");
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
  });

  test(`${model}: streamed tools`, async () => {
    const chunks = await collect(chat({ model, tools: [WEATHER], tool_choice: "required", stream: true }));
    const calls = chunks.flatMap((chunk) => chunk.choices[0].delta.tool_calls ?? []);
    assert.deepEqual(calls.map((call) => call.function.name).filter(Boolean), ["get_weather"]);
    JSON.parse(calls.map((call) => call.function.arguments ?? "").join(""));
  });

  test(`${model}: responses`, async () => {
    const answer = await client().responses.create({ model, input: "Say hello" });
    assert.deepEqual([answer.status, answer.output_text], ["completed", "mock: Say hello"]);
    const events = await collect(client().responses.create({ model, input: "Say hello", stream: true }));
    const deltas = events.filter((event) => event.type === "response.output_text.delta");
    assert.equal(deltas.map((event) => event.delta).join(""), "mock: Say hello");
    const final = await client().responses.stream({ model, input: "Say hello" }).finalResponse();
    assert.equal(final.output_text, "mock: Say hello");
  });

  test(`${model}: tools of responses`, async () => {
    const tools = [{ type: "function", strict: false, ...WEATHER.function }];
    const call = (await client().responses.create({ model, input: "Say hello", tools })).output.at(-1);
    assert.deepEqual([call.type, call.name, JSON.parse(call.arguments)], ["function_call", "get_weather", { city: "mock" }]);
    const result = { type: "function_call_output", call_id: call.call_id, output: "sunny" };
    const input = [{ role: "user", content: "Say hello" }, call, result];
    assert.equal((await client().responses.create({ model, input, tools })).output_text, "mock: sunny");
  });
}

test("completions", async () => {
  const answer = await client().completions.create({ model: "fast", prompt: "Once upon" });
  const chunks = await collect(client().completions.create({ model: "fast", prompt: "Once upon", stream: true }));
  assert.ok(answer.choices[0].text);
  assert.equal(chunks.map((chunk) => chunk.choices[0].text).join(""), answer.choices[0].text);
});

test("embeddings", async () => {
  const answer = await client().embeddings.create({ model: "embed", input: ["one", "two"] });
  assert.deepEqual(answer.data.map((item) => item.index), [0, 1]);
  assert.ok(answer.data[0].embedding.length > 8);
});

test("models", async () => {
  const names = (await collect(client().models.list())).map((model) => model.id);
  assert.ok(names.includes("fast"));
  assert.ok(!names.includes("secret"), "what the key may not use is not listed");
  assert.equal((await client().models.retrieve("fast")).id, "fast");
});

test("an alias fails over", async () => {
  assert.ok((await chat({ model: "steady" })).choices.length);
  assert.ok((await collect(chat({ model: "steady", stream: true }))).length > 2);
});

test("aborting a stream leaves the gateway usable", async () => {
  const stream = await chat({ stream: true });
  for await (const _ of stream) break;
  assert.ok((await chat({})).choices.length);
});

for (const [what, kind, body, options] of [
  ["a wrong key", OpenAI.AuthenticationError, {}, { apiKey: "sk-wrong" }],
  ["a model that the key may not use", OpenAI.PermissionDeniedError, { model: "secret" }],
  ["a model that does not exist", OpenAI.NotFoundError, { model: "fsat" }],
  ["a rate limit upstream", OpenAI.RateLimitError, { model: "limited-js" }],
  ["our credential refused upstream", OpenAI.InternalServerError, { model: "locked" }],
  ["an upstream that is down", OpenAI.InternalServerError, { model: "down" }],
  ["a prompt that is too long", OpenAI.BadRequestError, { model: "too-long" }],
  ["a rate limit upstream that speaks Anthropic", OpenAI.RateLimitError, { model: "claude-limited-openai" }],
  ["a prompt that is too long for an upstream that speaks Anthropic", OpenAI.BadRequestError, { model: "claude-too-long-openai" }],
  ["a request that the upstream refuses", OpenAI.UnprocessableEntityError, { model: "refused" }],
]) {
  test(`${what} is its own exception`, async () => {
    await assert.rejects(chat(body, options), (error) => error.constructor === kind && Boolean(error.requestID || error.message));
  });
}

for (const model of ["cut", "claude-cut-openai", "claude-erring-openai"]) {
  test(`${model}: a stream that breaks throws instead of ending`, async () => {
    await assert.rejects(collect(chat({ model, stream: true })), OpenAI.APIError);
  });
}
