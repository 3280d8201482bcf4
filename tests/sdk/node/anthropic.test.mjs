// Anthropic's SDK for JavaScript.
import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { ECHO, KEY, PARAMETERS, PICTURE, PIXEL, PLAIN_REFUSAL, TEXT, THOUGHTS, UPSTREAMS, URL, VERDICT, collect } from "./matrix.mjs";

const HI = [{ role: "user", content: TEXT }];
const [WEATHER, CLOCK] = ["get_weather", "get_time"].map((name) => ({ name, description: `Tells ${name}`, input_schema: PARAMETERS }));
const INPUT = { city: "mock" };

const client = (options = {}) => new Anthropic({ baseURL: URL, apiKey: KEY, maxRetries: 0, timeout: 20_000, ...options });
const filled = (body) => ({ model: "claude", max_tokens: 100, messages: HI, ...body });
const ask = (body, options) => client(options).messages.create(filled(body));
const results = (calls, said) => ({
  role: "user",
  content: calls.map((call, at) => ({ type: "tool_result", tool_use_id: call.id, content: said[at] })),
});

for (const model of UPSTREAMS) {
  test(`${model}: text, system`, async () => {
    const answer = await ask({ model, system: "Be brief." });
    assert.deepEqual([answer.type, answer.role, answer.stop_reason], ["message", "assistant", "end_turn"]);
    assert.equal(answer.content[0].text, ECHO);
    assert.ok(answer.usage.input_tokens > 9 && answer.usage.output_tokens === 3);
  });

  test(`${model}: image`, async () => {
    const source = { type: "base64", media_type: "image/png", data: PIXEL };
    const content = [{ type: "image", source }, { type: "text", text: "What is it?" }];
    const answer = await ask({ model, messages: [{ role: "user", content }] });
    assert.equal(answer.content[0].text, "mock: What is it?");
    assert.ok(answer.usage.input_tokens > PICTURE);
  });

  test(`${model}: stream, usage`, async () => {
    const kinds = (await collect(ask({ model, stream: true }))).map((event) => event.type);
    assert.deepEqual([...new Set(kinds)], [
      "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop",
    ]);
    let text = "";
    const stream = client().messages.stream(filled({ model })).on("text", (piece) => (text += piece));
    const final = await stream.finalMessage();
    assert.deepEqual([text, final.content[0].text, final.stop_reason], [ECHO, ECHO, "end_turn"]);
    assert.deepEqual([final.usage.input_tokens, final.usage.output_tokens], [9, 3]);
  });

  test(`${model}: tool call, tool result`, async () => {
    const answer = await ask({ model, tools: [WEATHER, CLOCK], tool_choice: { type: "any" } });
    const [call] = answer.content;
    assert.deepEqual([answer.stop_reason, call.name, call.input], ["tool_use", "get_weather", INPUT]);
    const messages = [...HI, { role: "assistant", content: answer.content }, results(answer.content, ["sunny"])];
    assert.equal((await ask({ model, messages, tools: [WEATHER] })).content[0].text, "mock: sunny");
    let json = "";
    const stream = client().messages.stream(filled({ model, tools: [WEATHER] })).on("inputJson", (piece) => (json += piece));
    const final = await stream.finalMessage();
    assert.deepEqual([JSON.parse(json), final.content[0].input, final.stop_reason], [INPUT, INPUT, "tool_use"]);
  });

  test(`${model}: parallel tools`, async () => {
    const tools = [WEATHER, CLOCK];
    const calls = (await ask({ model: `${model}-parallel`, tools })).content;
    assert.deepEqual(calls.map((call) => call.name), ["get_weather", "get_time"]);
    const messages = [...HI, { role: "assistant", content: calls }, results(calls, ["sunny", "noon"])];
    assert.equal((await ask({ model, messages, tools })).content[0].text, "mock: sunny noon");
    const streamed = await client().messages.stream(filled({ model: `${model}-parallel`, tools })).finalMessage();
    assert.deepEqual(streamed.content.map((call) => call.input), [INPUT, INPUT]);
  });

  test(`${model}: JSON schema`, async () => {
    const answer = await ask({ model, output_config: { format: { type: "json_schema", schema: VERDICT } } });
    assert.deepEqual(JSON.parse(answer.content[0].text), { city: "mock", sunny: true });
  });

  test(`${model}: thinking`, async () => {
    const thinking = { type: "enabled", budget_tokens: 1024 };
    const wish = { model: `${model}-thinking`, max_tokens: 4096, tools: [WEATHER], thinking };
    const whole = (await ask(wish)).content;
    const streamed = (await client().messages.stream(filled(wish)).finalMessage()).content;
    for (const content of [whole, streamed]) {
      assert.deepEqual(content.map((block) => block.type), ["thinking", "tool_use"]);
      assert.equal(content[0].thinking, THOUGHTS);
      const messages = [...HI, { role: "assistant", content }, results(content.slice(1), ["sunny"])];
      const again = (await ask({ ...wish, messages })).content;
      assert.deepEqual([again[0].thinking, again[1].text], [THOUGHTS, "mock: sunny"]);
    }
  });

  for (const [fault, kind] of [
    ["limited", Anthropic.RateLimitError],
    ["locked", Anthropic.InternalServerError],
    ["down", Anthropic.InternalServerError],
    ["too-long", Anthropic.BadRequestError],
    ["refused", PLAIN_REFUSAL.includes(model) ? Anthropic.BadRequestError : Anthropic.UnprocessableEntityError],
  ]) {
    test(`${model}: error: ${fault} is its own exception`, async () => {
      await assert.rejects(ask({ model: `${model}-${fault}` }), (error) => error instanceof kind && error.error?.type === "error");
    });
  }

  test(`${model}: a stream that breaks throws instead of ending`, async () => {
    for (const fault of ["cut", "erring"]) {
      await assert.rejects(collect(ask({ model: `${model}-${fault}`, stream: true })), Anthropic.APIError);
    }
  });

  test(`${model}: an alias fails over to an upstream of another format`, async () => {
    assert.equal((await ask({ model: `${model}-steady` })).content[0].text, ECHO);
  });

  test(`${model}: aborting a stream leaves the gateway usable`, async () => {
    const stream = await ask({ model, stream: true });
    for await (const _ of stream) break;
    assert.ok((await ask({ model })).content.length);
  });
}

test("tokens are counted, and guessed where the upstream counts none", async () => {
  assert.equal((await client().messages.countTokens({ model: "claude", messages: HI })).input_tokens, 9);
  assert.ok((await client().messages.countTokens({ model: "fast", messages: HI })).input_tokens > 0);
});

test("models", async () => {
  const names = (await collect(client().models.list())).map((model) => model.id);
  assert.ok(names.includes("claude") && !names.includes("secret"));
  assert.equal((await client().models.retrieve("claude")).type, "model");
});

for (const [what, kind, body, options] of [
  ["a wrong key", Anthropic.AuthenticationError, {}, { apiKey: "sk-wrong" }],
  ["a model that the key may not use", Anthropic.PermissionDeniedError, { model: "secret" }],
  ["a model that does not exist", Anthropic.NotFoundError, { model: "fsat" }],
]) {
  test(`${what} is its own exception`, async () => {
    await assert.rejects(ask(body, options), (error) => error instanceof kind && error.error?.type === "error");
  });
}
