// OpenAI's SDK for JavaScript: chat completions and Responses.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { ECHO, KEY, PARAMETERS, PICTURE, PIXEL, PLAIN_REFUSAL, TEXT, THOUGHTS, UPSTREAMS, URL, VERDICT, collect } from "./matrix.mjs";

const HI = [{ role: "user", content: TEXT }];
const tool = (name) => ({ name, description: `Tells ${name}`, parameters: PARAMETERS });
const [WEATHER, CLOCK] = ["get_weather", "get_time"].map((name) => ({ type: "function", function: tool(name) }));
const FLAT = ["get_weather", "get_time"].map((name) => ({ type: "function", strict: false, ...tool(name) }));
const CALL = '{"city":"mock"}';

const client = (options = {}) => new OpenAI({ baseURL: `${URL}/v1`, apiKey: KEY, maxRetries: 0, timeout: 20_000, ...options });
const chat = (body, options) => client(options).chat.completions.create({ model: "fast", messages: HI, ...body });
const respond = (body) => client().responses.create({ input: TEXT, ...body });
const said = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");

for (const model of UPSTREAMS) {
  test(`${model}: text`, async () => {
    const answer = await chat({ model });
    assert.deepEqual([answer.object, answer.choices[0].finish_reason], ["chat.completion", "stop"]);
    assert.equal(answer.choices[0].message.content, ECHO);
  });

  test(`${model}: stream`, async () => {
    const chunks = await collect(chat({ model, stream: true }));
    assert.equal(said(chunks), ECHO);
    assert.ok(chunks.every((chunk) => !chunk.usage), "usage that nobody asked for is hidden");
    const final = await client().chat.completions.stream({ model, messages: HI }).finalChatCompletion();
    assert.equal(final.choices[0].message.content, ECHO);
  });

  test(`${model}: tool call`, async () => {
    const { message, finish_reason } = (await chat({ model, tools: [WEATHER, CLOCK], tool_choice: "required" })).choices[0];
    assert.deepEqual(message.tool_calls.map((call) => call.function), [{ name: "get_weather", arguments: CALL }]);
    assert.equal(finish_reason, "tool_calls");
    const chunks = await collect(chat({ model, tools: [WEATHER], tool_choice: "required", stream: true }));
    const calls = chunks.flatMap((chunk) => chunk.choices[0].delta.tool_calls ?? []);
    assert.deepEqual(calls.map((call) => call.function.name).filter(Boolean), ["get_weather"]);
    assert.equal(calls.map((call) => call.function.arguments ?? "").join(""), CALL);
  });

  test(`${model}: tool result`, async () => {
    const asked = [];
    const run = { ...tool("get_weather"), parse: JSON.parse, function: ({ city }) => (asked.push(city), "sunny") };
    const runner = client().chat.completions.runTools({ model, messages: HI, tools: [{ type: "function", function: run }] });
    assert.deepEqual([await runner.finalContent(), asked], ["mock: sunny", ["mock"]]);
  });

  test(`${model}: parallel tools`, async () => {
    const tools = [WEATHER, CLOCK];
    const { message } = (await chat({ model: `${model}-parallel`, tools })).choices[0];
    assert.deepEqual(message.tool_calls.map((call) => call.function.name), ["get_weather", "get_time"]);
    const results = message.tool_calls.map((call, at) => ({ role: "tool", tool_call_id: call.id, content: ["sunny", "noon"][at] }));
    assert.equal((await chat({ model, messages: [...HI, message, ...results], tools })).choices[0].message.content, "mock: sunny noon");
    const streamed = await client().chat.completions.stream({ model: `${model}-parallel`, messages: HI, tools }).finalMessage();
    assert.deepEqual(streamed.tool_calls.map((call) => call.function.arguments), [CALL, CALL]);
  });

  test(`${model}: image`, async () => {
    const content = [{ type: "text", text: "What is it?" }, { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}` } }];
    const answer = await chat({ model, messages: [{ role: "user", content }] });
    assert.equal(answer.choices[0].message.content, "mock: What is it?");
    assert.ok(answer.usage.prompt_tokens > PICTURE);
  });

  test(`${model}: JSON schema`, async () => {
    const response_format = { type: "json_schema", json_schema: { name: "verdict", strict: true, schema: VERDICT } };
    const answer = await chat({ model, response_format });
    assert.deepEqual(JSON.parse(answer.choices[0].message.content), { city: "mock", sunny: true });
  });

  test(`${model}: system, usage`, async () => {
    const last = (await collect(chat({ model, stream: true, stream_options: { include_usage: true } }))).at(-1);
    assert.deepEqual([last.choices, last.usage.prompt_tokens, last.usage.completion_tokens], [[], 9, 3]);
    const told = await chat({ model, messages: [{ role: "system", content: "Be brief." }, ...HI] });
    assert.ok(told.usage.prompt_tokens > 9);
  });

  test(`${model}: thinking`, async () => {
    const wish = { model: `${model}-thinking`, reasoning_effort: "low", tools: [WEATHER] };
    const { message } = (await chat(wish)).choices[0];
    const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "sunny" };
    const again = (await chat({ ...wish, messages: [...HI, message, result] })).choices[0].message;
    assert.deepEqual([message.reasoning_content, again.reasoning_content, again.content], [THOUGHTS, THOUGHTS, "mock: sunny"]);
  });

  test(`${model}: responses`, async () => {
    const answer = await respond({ model });
    assert.deepEqual([answer.status, answer.output_text], ["completed", ECHO]);
    const deltas = (await collect(respond({ model, stream: true }))).filter((event) => event.type === "response.output_text.delta");
    assert.equal(deltas.map((event) => event.delta).join(""), ECHO);
    const final = await client().responses.stream({ model, input: TEXT }).finalResponse();
    assert.equal(final.output_text, ECHO);
  });

  test(`${model}: tools and thinking of responses`, async () => {
    const wish = { reasoning: { effort: "low", summary: "auto" }, include: ["reasoning.encrypted_content"], store: false };
    const output = (await respond({ ...wish, model: `${model}-thinking`, tools: FLAT })).output;
    assert.deepEqual(output.map((item) => item.type), ["reasoning", "function_call"]);
    const call = output[1];
    const result = { type: "function_call_output", call_id: call.call_id, output: "sunny" };
    const again = await respond({ ...wish, model: `${model}-thinking`, input: [...HI, ...output, result], tools: FLAT });
    assert.deepEqual([again.output[0].type, again.output_text], ["reasoning", "mock: sunny"]);
  });

  for (const [fault, kind] of [
    ["limited", OpenAI.RateLimitError],
    ["locked", OpenAI.InternalServerError],
    ["down", OpenAI.InternalServerError],
    ["too-long", OpenAI.BadRequestError],
    ["refused", PLAIN_REFUSAL.includes(model) ? OpenAI.BadRequestError : OpenAI.UnprocessableEntityError],
  ]) {
    test(`${model}: error: ${fault} is its own exception`, async () => {
      await assert.rejects(chat({ model: `${model}-${fault}` }), (error) => error.constructor === kind && Boolean(error.requestID || error.message));
    });
  }

  test(`${model}: a stream that breaks throws instead of ending`, async () => {
    for (const fault of ["cut", "erring"]) {
      await assert.rejects(collect(chat({ model: `${model}-${fault}`, stream: true })), OpenAI.APIError);
    }
  });

  test(`${model}: an alias fails over to an upstream of another format`, async () => {
    assert.equal((await chat({ model: `${model}-steady` })).choices[0].message.content, ECHO);
    assert.equal(said(await collect(chat({ model: `${model}-steady`, stream: true }))), ECHO);
  });

  test(`${model}: aborting a stream leaves the gateway usable`, async () => {
    const stream = await chat({ model, stream: true });
    for await (const _ of stream) break;
    assert.ok((await chat({ model })).choices.length);
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

for (const [what, kind, body, options] of [
  ["a wrong key", OpenAI.AuthenticationError, {}, { apiKey: "sk-wrong" }],
  ["a model that the key may not use", OpenAI.PermissionDeniedError, { model: "secret" }],
  ["a model that does not exist", OpenAI.NotFoundError, { model: "fsat" }],
]) {
  test(`${what} is its own exception`, async () => {
    await assert.rejects(chat(body, options), (error) => error.constructor === kind && Boolean(error.requestID || error.message));
  });
}
