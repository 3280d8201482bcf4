// Google's SDK for JavaScript.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError, FunctionCallingConfigMode, GoogleGenAI } from "@google/genai";
import { ECHO, KEY, PARAMETERS, PICTURE, PIXEL, TEXT, THOUGHTS, UPSTREAMS, URL, VERDICT, collect } from "./matrix.mjs";

const [WEATHER, CLOCK] = ["get_weather", "get_time"].map((name) => ({ name, description: `Tells ${name}`, parametersJsonSchema: PARAMETERS }));
const declare = (...functionDeclarations) => [{ functionDeclarations }];
const ARGUMENTS = { city: "mock" };

const client = ({ apiKey = KEY, ...httpOptions } = {}) =>
  new GoogleGenAI({ apiKey, httpOptions: { baseUrl: URL, timeout: 20_000, retryOptions: { attempts: 1 }, ...httpOptions } });
const ask = (model, config, contents = TEXT, options = {}) => client(options).models.generateContent({ model, contents, config });
const stream = (model, config, contents = TEXT) => collect(client().models.generateContentStream({ model, contents, config }));
const said = (chunks) => chunks.map((chunk) => chunk.text ?? "").join("");
const user = (...parts) => ({ role: "user", parts });
const results = (calls, told) =>
  user(...calls.map((call, at) => ({ functionResponse: { id: call.id, name: call.name, response: { result: told[at] } } })));
const thoughts = (answer) =>
  (answer.candidates?.[0].content?.parts ?? []).filter((part) => part.thought).map((part) => part.text ?? "").join("");
const error = (status) => (error) => error instanceof ApiError && error.status === status && JSON.parse(error.message).error.code === status;

for (const model of UPSTREAMS) {
  test(`${model}: text`, async () => {
    const answer = await ask(model);
    assert.deepEqual([answer.text, answer.candidates[0].finishReason, answer.candidates[0].content.role], [ECHO, "STOP", "model"]);
  });

  test(`${model}: stream`, async () => {
    const chunks = await stream(model);
    assert.equal(said(chunks), ECHO);
    assert.ok(chunks.length > 1);
    assert.equal(chunks.at(-1).candidates[0].finishReason, "STOP");
  });

  test(`${model}: tool call, tool result`, async () => {
    const tools = declare(WEATHER, CLOCK);
    const answer = await ask(model, { tools, toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.ANY } } });
    assert.deepEqual(answer.functionCalls.map(({ name, args }) => [name, args]), [["get_weather", ARGUMENTS]]);
    const contents = [user({ text: TEXT }), answer.candidates[0].content, results(answer.functionCalls, ["sunny"])];
    assert.match((await ask(model, { tools }, contents)).text, /sunny/);
    const streamed = (await stream(model, { tools })).flatMap((chunk) => chunk.functionCalls ?? []);
    assert.deepEqual(streamed.map(({ name, args }) => [name, args]), [["get_weather", ARGUMENTS]]);
  });

  test(`${model}: parallel tools`, async () => {
    const tools = declare(WEATHER, CLOCK);
    const answer = await ask(`${model}-parallel`, { tools });
    assert.deepEqual(answer.functionCalls.map((call) => call.name), ["get_weather", "get_time"]);
    const contents = [user({ text: TEXT }), answer.candidates[0].content, results(answer.functionCalls, ["sunny", "noon"])];
    assert.match((await ask(model, { tools }, contents)).text, /sunny.*noon/);
    const streamed = (await stream(`${model}-parallel`, { tools })).flatMap((chunk) => chunk.functionCalls ?? []);
    assert.deepEqual(streamed.map((call) => call.name), ["get_weather", "get_time"]);
  });

  test(`${model}: image`, async () => {
    const answer = await ask(model, undefined, [user({ text: "What is it?" }, { inlineData: { mimeType: "image/png", data: PIXEL } })]);
    assert.equal(answer.text, "mock: What is it?");
    assert.ok(answer.usageMetadata.promptTokenCount > PICTURE);
  });

  test(`${model}: JSON schema`, async () => {
    for (const schema of [{ responseJsonSchema: VERDICT }, { responseSchema: VERDICT }]) {
      const answer = await ask(model, { responseMimeType: "application/json", ...schema });
      assert.deepEqual(JSON.parse(answer.text), { city: "mock", sunny: true });
    }
  });

  test(`${model}: system, usage`, async () => {
    for (const { usageMetadata: usage } of [await ask(model), (await stream(model)).at(-1)]) {
      assert.deepEqual([usage.promptTokenCount, usage.candidatesTokenCount, usage.totalTokenCount], [9, 3, 12]);
    }
    assert.ok((await ask(model, { systemInstruction: "Be brief." })).usageMetadata.promptTokenCount > 9);
  });

  test(`${model}: thinking`, async () => {
    const config = { maxOutputTokens: 4096, thinkingConfig: { thinkingBudget: 1024, includeThoughts: true }, tools: declare(WEATHER) };
    const answer = await ask(`${model}-thinking`, config);
    const contents = [user({ text: TEXT }), answer.candidates[0].content, results(answer.functionCalls, ["sunny"])];
    const again = await ask(`${model}-thinking`, config, contents);
    assert.deepEqual([thoughts(answer), thoughts(again)], [THOUGHTS, THOUGHTS]);
    assert.match(again.text, /sunny/);
    assert.equal((await stream(`${model}-thinking`, config)).map(thoughts).join(""), THOUGHTS);
  });

  test(`${model}: error`, async () => {
    for (const [fault, status] of [["limited", 429], ["locked", 502], ["down", 503], ["too-long", 400], ["refused", 400]]) {
      await assert.rejects(ask(`${model}-${fault}`), error(status), fault);
    }
  });

  test(`${model}: a stream that breaks throws instead of ending`, async () => {
    for (const fault of ["cut", "erring"]) await assert.rejects(stream(`${model}-${fault}`), Error, fault);
  });

  test(`${model}: an alias fails over to an upstream of another format`, async () => {
    assert.deepEqual([(await ask(`${model}-steady`)).text, said(await stream(`${model}-steady`))], [ECHO, ECHO]);
  });

  test(`${model}: the drop-in prefix and every version of the API`, async () => {
    for (const baseUrl of [URL, `${URL}/genai`]) {
      for (const apiVersion of ["v1", "v1beta", "v1alpha"]) {
        assert.equal((await ask(model, undefined, TEXT, { baseUrl, apiVersion })).text, ECHO);
      }
    }
  });
}

test("tokens are counted, and vectors made", async () => {
  for (const model of ["gemini", "claude"]) assert.equal((await client().models.countTokens({ model, contents: TEXT })).totalTokens, 9);
  const vectors = (await client().models.embedContent({ model: "embed", contents: ["one", "two"] })).embeddings;
  assert.deepEqual([vectors.length, vectors[0].values.length > 8], [2, true]);
});

test("models", async () => {
  const names = (await collect(client().models.list())).map((model) => model.name);
  assert.ok(names.includes("models/gemini") && !names.includes("models/secret"));
});

for (const [what, status, model, options] of [
  ["a wrong key", 401, "gemini", { apiKey: "sk-wrong" }],
  ["a model that the key may not use", 403, "secret", {}],
  ["a model that does not exist", 404, "fsat", {}],
]) {
  test(`${what} is told as such`, async () => {
    await assert.rejects(ask(model, undefined, TEXT, options), error(status));
  });
}
