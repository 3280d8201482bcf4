"""Prices answers with the Python package genai-prices, for tests/it/catalog to compare.

An independent implementation of the same published prices: run once, and again when src/catalog/data.txt is made anew.

    python3 -m venv venv && venv/bin/pip install genai-prices==0.2.1
    venv/bin/python ci/prices.py prices.json > tests/fixtures/prices/cases.jsonl

Left out are prices of units that the catalogue does not count, and those of some thirty models that are not whole pico-USD per token,
which it rounds. `prices.json` is the file that the catalogue was made of. The package's own data are not used, so that the versions are equal.
"""

import json
import random
import sys
from datetime import datetime, timezone
from decimal import ROUND_CEILING, Decimal

from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import Usage, _providers_from_raw

NOW = "2026-11-25T12:00:00Z"
# Peak hours of one provider, the days around changes of prices, and one that is still to come.
TIMES = [NOW, "2026-11-25T02:30:00Z", "2026-11-25T06:00:00Z", "2026-11-25T10:00:00Z", "2026-03-12T23:59:59Z", "2026-03-13T00:00:00Z",
         "2026-10-13T00:00:00Z", "2026-10-14T00:00:00Z", "2026-10-19T00:00:00Z", "2027-01-01T00:00:00Z"]
CONTEXTS = {"standard": None, "batch": {"processing": "batch"}, "flex": {"service_tier": "flex"}, "priority": {"service_tier": "priority"}}

# Ours, and what of theirs it is a part of: their counts include what is special, ours of the input do not include the cache.
THEIRS = {
    "output": "output_tokens", "reasoning": "output_reasoning_tokens", "output_audio": "output_audio_tokens",
    "output_image": "output_image_tokens", "output_video": "output_video_tokens", "citation": "output_citation_tokens",
    "cache_read": "cache_read_tokens", "cache_write_1h": "cache_write_1h_tokens", "cache_read_audio": "cache_audio_read_tokens",
    "cache_read_image": "cache_image_read_tokens", "input_audio": "input_audio_tokens", "input_image": "input_image_tokens",
    "input_video": "input_video_tokens", "web_searches": "web_searches", "file_searches": "storage_searches",
    "characters": "input_characters", "pages": "input_document_pages", "annotated_pages": "input_annotated_document_pages",
}
NEEDS = {
    "cache_read": "cache_read_mtok", "cache_write": "cache_write_mtok", "cache_write_1h": "cache_write_1h_mtok",
    "cache_read_audio": "cache_audio_read_mtok", "cache_read_image": "cache_image_read_mtok", "input_audio": "input_audio_mtok",
    "input_image": "input_image_mtok", "input_video": "input_video_mtok", "output_audio": "output_audio_mtok",
    "output_image": "output_image_mtok", "output_video": "output_video_mtok", "reasoning": "output_reasoning_mtok",
    "citation": "output_citation_mtok", "web_searches": "web_searches_kcount", "file_searches": "storage_searches_kcount",
    "characters": "input_mchars", "pages": "input_document_kpages", "annotated_pages": "input_annotated_document_kpages",
}


def rates(model):
    """Returns every name of a rate that the model has at any time."""
    rows = model["prices"] if isinstance(model["prices"], list) else [{"prices": model["prices"]}]
    return {name for row in rows + model.get("price_variants", []) for name in row["prices"]}


def name(model):
    """Returns a name under which requests know the model."""
    def texts(clause):
        (kind, value), = clause.items()
        if kind in ("or", "and"):
            for inner in value:
                yield from texts(inner)
        elif kind != "regex":
            yield kind != "equals", value
    names = sorted(texts(model["match"]), key=lambda text: text[0])
    return model["id"] if (False, model["id"]) in names or not names else names[0][1]


def usage(dice, names, is_long):
    """Returns an answer's counts, in our words, such as can be."""
    ours = {"input": dice.choice([0, 1, 7, 1234, 98_765]) + (300_001 if is_long else 0), "output": dice.choice([0, 1, 13, 4_321])}
    for count in NEEDS:
        if NEEDS[count] in names and dice.random() < 0.7 or (count in ("cache_read", "reasoning") and dice.random() < 0.5):
            ours[count] = dice.choice([1, 17, 2_048, 50_003])
    # What is a part of something is no more than it.
    for part, whole in (("cache_read_audio", "cache_read"), ("cache_read_image", "cache_read"), ("annotated_pages", "pages")):
        if part in ours:
            ours[whole] = ours.get(whole, 0) + ours[part]
    for cached, kind in (("cache_read_audio", "input_audio"), ("cache_read_image", "input_image")):
        if cached in ours:
            ours[kind] = ours.get(kind, 0) + ours[cached]
    ours["input"] += sum(ours.get(kind, 0) for kind in ("input_audio", "input_image", "input_video"))
    ours["output"] += sum(ours.get(kind, 0) for kind in ("reasoning", "output_audio", "output_image", "output_video", "citation"))
    if "audio_hours" in names:
        ours["audio_ms"] = dice.choice([1, 9_999, 61_500, 3_600_000])
    return {count: value for count, value in ours.items() if value}


def theirs(ours):
    """Returns the same counts in their words."""
    write = ours.get("cache_write", 0) + ours.get("cache_write_1h", 0)
    counts = {their: ours.get(our, 0) for our, their in THEIRS.items()}
    counts["input_tokens"] = ours.get("input", 0) + ours.get("cache_read", 0) + write
    counts["cache_write_tokens"] = write
    if "audio_ms" in ours:
        counts["audio_seconds"] = counts["input_audio_seconds"] = Decimal(ours["audio_ms"]) / 1000
    return Usage(**counts)


def amounts(value):
    """Returns every amount of a price."""
    if isinstance(value, dict):
        return [amount for key, inner in value.items() if key not in ("start", "constraint", "when") for amount in amounts(inner)]
    if isinstance(value, list):
        return [amount for inner in value for amount in amounts(inner)]
    return [Decimal(repr(value))]


def is_told(model):
    """Returns whether the catalogue has the price as it is published: in units that it counts, and in whole pico-USD per unit."""
    prices = [model["prices"], model.get("price_variants", [])]
    return "input_text_messages_kcount" not in rates(model) and all(amount * 10**6 % 1 == 0 for amount in amounts(prices))


def interest(model):
    """Returns how much of a price can go wrong."""
    names = rates(model)
    steps = sum(isinstance(rate, dict) for rate in (model["prices"] if isinstance(model["prices"], dict) else {}).values())
    return len(names) + 3 * isinstance(model["prices"], list) + 2 * len(model.get("price_variants", [])) + 2 * (steps > 0)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        raw = json.load(file)
    snapshot = DataSnapshot(providers=_providers_from_raw(raw), from_auto_update=False)
    dice = random.Random(4)
    for provider in raw:
        models = [model for model in provider["models"] if model["prices"] and is_told(model)]
        # The most telling ones, and some of all.
        models.sort(key=lambda model: (-interest(model), model["id"]))
        chosen = models[:18] + dice.sample(models[18:], min(6, len(models[18:])))
        for model in chosen:
            steps = [step["start"] for rate in str(model["prices"]).split("'start': ")[1:] for step in [{"start": int(rate.split(",")[0])}]]
            for _ in range(2 if interest(model) > 6 else 1):
                tiers = [tier for tier, context in CONTEXTS.items() if context is None or any(
                    variant["when"] == context for variant in model.get("price_variants", []))]
                tier, at = dice.choice(tiers), dice.choice(TIMES) if isinstance(model["prices"], list) or len(tiers) > 1 else NOW
                ours = usage(dice, rates(model), bool(steps) and dice.random() < 0.6)
                price = snapshot.calc(theirs(ours), name(model), provider["id"], None,
                                      datetime.fromisoformat(at).astimezone(timezone.utc), CONTEXTS[tier])
                nano = int((price.total_price * 10**9).to_integral_value(rounding=ROUND_CEILING))
                case = {"vendor": provider["id"], "model": name(model), "at": at, "tier": tier, "usage": ours, "nano": nano}
                print(json.dumps(case, separators=(",", ":")))


main()
