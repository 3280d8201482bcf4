// The official Anthropic SDK for JavaScript through a gateway at SDK_URL: one upstream speaks Anthropic (`claude`), one OpenAI (`fast`).
import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";

const HI = [{ role: "user", content: "Say hello" }];
const WEATHER = {
  name: "get_weather",
  description: "Weather of a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

const client = (options = {}) =>
  new Anthropic({ baseURL: process.env.SDK_URL, apiKey: "sk-bf-sdk-test", maxRetries: 0, timeout: 20_000, ...options });
const filled = (body) => ({ model: "claude", max_tokens: 100, messages: HI, ...body });
const ask = (body, options) => client(options).messages.create(filled(body));
const collect = async (stream) => {
  const events = [];
  for await (const event of await stream) events.push(event);
  return events;
};

for (const model of ["claude", "fast"]) {
  test(`${model}: a message`, async () => {
    const answer = await ask({ model, system: "Be brief." });
    assert.deepEqual([answer.type, answer.role, answer.stop_reason], ["message", "assistant", "end_turn"]);
    assert.equal(answer.content[0].text, "mock: Say hello");
    assert.ok(answer.usage.input_tokens > 9 && answer.usage.output_tokens === 3);
  });

  test(`${model}: an image`, async () => {
    const source = { type: "base64", media_type: "image/png", data: PIXEL };
    const content = [{ type: "image", source }, { type: "text", text: "What is it?" }];
    assert.equal((await ask({ model, messages: [{ role: "user", content }] })).content[0].text, "mock: What is it?");
  });

  test(`${model}: a stream has its events in order and adds up`, async () => {
    const kinds = (await collect(ask({ model, stream: true }))).map((event) => event.type);
    assert.deepEqual([...new Set(kinds)], [
      "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop",
    ]);
    let text = "";
    const stream = client().messages.stream(filled({ model })).on("text", (piece) => (text += piece));
    const final = await stream.finalMessage();
    assert.deepEqual([text, final.content[0].text, final.stop_reason], ["mock: Say hello", "mock: Say hello", "end_turn"]);
    assert.deepEqual([final.usage.input_tokens, final.usage.output_tokens], [9, 3]);
  });

  test(`${model}: a tool is called and its result told`, async () => {
    const answer = await ask({ model, tools: [WEATHER], tool_choice: { type: "any" } });
    const call = answer.content.at(-1);
    assert.deepEqual([answer.stop_reason, call.name, call.input], ["tool_use", "get_weather", { city: "mock" }]);
    const result = { type: "tool_result", tool_use_id: call.id, content: "sunny" };
    const messages = [...HI, { role: "assistant", content: answer.content }, { role: "user", content: [result] }];
    assert.equal((await ask({ model, messages, tools: [WEATHER] })).content[0].text, "mock: sunny");
  });

  test(`${model}: a streamed tool`, async () => {
    let json = "";
    const stream = client().messages.stream(filled({ model, tools: [WEATHER] })).on("inputJson", (piece) => (json += piece));
    const final = await stream.finalMessage();
    assert.deepEqual([JSON.parse(json), final.content.at(-1).input], [{ city: "mock" }, { city: "mock" }]);
    assert.equal(final.stop_reason, "tool_use");
  });

  test(`${model}: aborting a stream leaves the gateway usable`, async () => {
    const stream = await ask({ model, stream: true });
    for await (const _ of stream) break;
    assert.ok((await ask({ model })).content.length);
  });
}

test("tokens are counted where the upstream can", async () => {
  assert.equal((await client().messages.countTokens({ model: "claude", messages: HI })).input_tokens, 9);
  await assert.rejects(client().messages.countTokens({ model: "fast", messages: HI }), Anthropic.BadRequestError);
});

test("models", async () => {
  const names = (await collect(client().models.list())).map((model) => model.id);
  assert.ok(names.includes("claude") && !names.includes("secret"));
  assert.equal((await client().models.retrieve("claude")).type, "model");
});

test("an alias fails over to an upstream of the other format", async () => {
  assert.equal((await ask({ model: "claude-steady" })).content[0].text, "mock: Say hello");
});

for (const [what, kind, body, options] of [
  ["a wrong key", Anthropic.AuthenticationError, {}, { apiKey: "sk-wrong" }],
  ["a model that the key may not use", Anthropic.PermissionDeniedError, { model: "secret" }],
  ["a model that does not exist", Anthropic.NotFoundError, { model: "fsat" }],
  ...["claude", "chat"].flatMap((lane) => [
    [`${lane}: a rate limit`, Anthropic.RateLimitError, { model: `${lane}-limited-js` }],
    [`${lane}: our credential refused`, Anthropic.InternalServerError, { model: `${lane}-locked-js` }],
    [`${lane}: an upstream that is full`, Anthropic.InternalServerError, { model: `${lane}-down-js` }],
    [`${lane}: a prompt that is too long`, Anthropic.BadRequestError, { model: `${lane}-too-long-js` }],
    [`${lane}: a request that is refused`, Anthropic.UnprocessableEntityError, { model: `${lane}-refused-js` }],
  ]),
]) {
  test(`${what} is its own exception`, async () => {
    await assert.rejects(ask(body, options), (error) => error instanceof kind && error.error?.type === "error");
  });
}

for (const model of ["claude-cut-js", "claude-erring-js", "chat-cut-js", "chat-erring-js"]) {
  test(`${model}: a stream that breaks throws instead of ending`, async () => {
    await assert.rejects(collect(ask({ model, stream: true })), Anthropic.APIError);
  });
}
