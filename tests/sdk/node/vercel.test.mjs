// Vercel's AI SDK, by each of its providers whose API the gateway serves: OpenAI's chats and Responses, Anthropic, Google.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";
import { ECHO, KEY, PARAMETERS, PICTURE, PIXEL, REPORT, REPORTED, TEXT, THOUGHTS, UPSTREAMS, URL, VERDICT, collect } from "./matrix.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

const openai = createOpenAI({ baseURL: `${URL}/v1`, apiKey: KEY });
const anthropic = createAnthropic({ baseURL: `${URL}/v1`, apiKey: KEY });
const google = createGoogleGenerativeAI({ baseURL: `${URL}/v1beta`, apiKey: KEY });
const CLIENTS = {
  // It reads no thoughts out of chats.
  "openai chat": { model: openai.chat },
  "openai responses": { model: openai.responses, thinking: { openai: { reasoningEffort: "low", reasoningSummary: "auto", forceReasoning: true, store: false } } },
  anthropic: { model: anthropic, thinking: { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } } },
  google: { model: google, thinking: { google: { thinkingConfig: { thinkingBudget: 1024, includeThoughts: true } } } },
};

const tools = Object.fromEntries(
  [["get_weather", "sunny"], ["get_time", "noon"]].map(([name, said]) => [
    name,
    tool({ description: `Tells ${name}`, inputSchema: jsonSchema(PARAMETERS), execute: async ({ city }) => `${said} in ${city}` }),
  ]),
);
const thoughts = (steps) => steps.map((step) => step.reasoningText);

for (const [client, { model, thinking }] of Object.entries(CLIENTS)) {
  for (const upstream of UPSTREAMS) {
    const ask = (more = {}, kind = "") => generateText({ model: model(upstream + kind), prompt: TEXT, maxRetries: 0, ...more });
    const stream = (more = {}, kind = "") => streamText({ model: model(upstream + kind), prompt: TEXT, maxRetries: 0, onError() {}, ...more });
    const cell = (name, run) => test(`${client} over ${upstream}: ${name}`, run);

    cell("text", async () => {
      const answer = await ask();
      assert.deepEqual([answer.text, answer.finishReason], [ECHO, "stop"]);
    });

    cell("stream", async () => {
      const answer = stream();
      const pieces = await collect(answer.textStream);
      assert.deepEqual([pieces.join(""), pieces.length > 1, await answer.finishReason], [ECHO, true, "stop"]);
    });

    cell("tool call, tool result", async () => {
      for (const answer of [await ask({ tools, stopWhen: stepCountIs(3) }), stream({ tools, stopWhen: stepCountIs(3) })]) {
        assert.match(await answer.text, /sunny in mock/);
        const [call] = (await answer.steps)[0].toolCalls;
        assert.deepEqual([call.toolName, call.input], ["get_weather", { city: "mock" }]);
      }
    });

    cell("parallel tools", async () => {
      for (const answer of [await ask({ tools, stopWhen: stepCountIs(3) }, "-parallel"), stream({ tools, stopWhen: stepCountIs(3) }, "-parallel")]) {
        assert.match(await answer.text, /sunny in mock.*noon in mock/);
        assert.deepEqual((await answer.steps)[0].toolCalls.map((call) => call.toolName), ["get_weather", "get_time"]);
      }
    });

    if (thinking) {
      cell("thinking", async () => {
        const wish = { tools, stopWhen: stepCountIs(3), providerOptions: thinking, maxOutputTokens: 4096 };
        for (const answer of [await ask(wish, "-thinking"), stream(wish, "-thinking")]) {
          assert.match(await answer.text, /sunny in mock/);
          assert.deepEqual(thoughts(await answer.steps), [THOUGHTS, THOUGHTS]);
        }
      });
    }

    cell("image", async () => {
      const content = [{ type: "text", text: "What is it?" }, { type: "image", image: PIXEL, mediaType: "image/png" }];
      const answer = await ask({ prompt: undefined, messages: [{ role: "user", content }] });
      assert.equal(answer.text, "mock: What is it?");
      assert.ok(answer.usage.inputTokens > PICTURE);
    });

    cell("JSON schema", async () => {
      const answer = await ask({ output: Output.object({ schema: jsonSchema(VERDICT) }) });
      assert.deepEqual(answer.output, { city: "mock", sunny: true });
      assert.deepEqual((await ask({ output: Output.object({ schema: jsonSchema(REPORT) }) })).output, REPORTED);
    });

    cell("system, usage", async () => {
      const { usage } = await ask();
      const streamed = await stream().usage;
      assert.deepEqual([usage.inputTokens, usage.outputTokens, streamed.inputTokens, streamed.outputTokens], [9, 3, 9, 3]);
      assert.ok((await ask({ system: "Be brief." })).usage.inputTokens > 9);
    });

    cell("error", async () => {
      for (const [fault, isRetryable] of [["limited", true], ["down", true], ["too-long", false]]) {
        await assert.rejects(ask({}, `-${fault}`), (error) => APICallError.isInstance(error) && error.isRetryable === isRetryable, fault);
      }
      for (const fault of ["cut", "erring"]) {
        const parts = await collect(stream({}, `-${fault}`).fullStream);
        assert.ok(parts.some((part) => part.type === "error"), fault);
      }
    });
  }
}
