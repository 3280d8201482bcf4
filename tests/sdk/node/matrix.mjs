// What all of these tests share: where the gateway is, what is asked of it, and the upstreams that every client is run against.
export const URL = process.env.SDK_URL;
export const KEY = "sk-bf-sdk-test";
export const TEXT = "Say hello";
// The mock echoes.
export const ECHO = "mock: Say hello";
export const PARAMETERS = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
export const VERDICT = { type: "object", properties: { city: { type: "string" }, sunny: { type: "boolean" } }, required: ["city", "sunny"], additionalProperties: false };
// What schemas are made of in earnest, and what the mock makes of it.
const place = {
  type: "object",
  properties: { name: { type: "string" }, kind: { type: "string", enum: ["town", "village"] } },
  required: ["name", "kind"],
  additionalProperties: false,
};
export const REPORT = {
  type: "object",
  properties: { place, neighbours: { type: "array", items: place }, note: { anyOf: [{ type: "string" }, { type: "null" }] } },
  required: ["place", "neighbours", "note"],
  additionalProperties: false,
};
export const REPORTED = { place: { name: "mock", kind: "town" }, neighbours: [], note: "mock" };
// What the mock thinks where it is asked to.
export const THOUGHTS = "Let me see.";
export const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
// Tokens that the mock counts for a picture: that many more tell that it arrived.
export const PICTURE = 85;

// Aliases, each of an upstream that speaks one format; `ALIAS-parallel`, `ALIAS-thinking` and `ALIAS-FAULT` are of the same format.
export const UPSTREAMS = ["chat", "claude", "gemini", "bedrock", "cohere", "ollama"];
// What an upstream's format has no words for: a refusal that is a 422 elsewhere is their 400.
export const PLAIN_REFUSAL = ["gemini", "bedrock"];

export const collect = async (stream) => {
  const pieces = [];
  for await (const piece of await stream) pieces.push(piece);
  return pieces;
};
