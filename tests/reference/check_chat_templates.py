#!/usr/bin/env python3
"""Holds Tuff's chat templates against transformers' apply_chat_template, that is Python's jinja2.

    python check_chat_templates.py goldens [--check]
        What jinja2 makes of the templates of chat_cases.txt into assets/chat/golden.json, which a unit test reads.
        --check makes it anew and compares.
    python check_chat_templates.py compare --library libtuff.so PATH...
        Each PATH is a template (.jinja), a directory of them, a tokenizer_config.json or a GGUF. Each is rendered with
        many chats and options by both; texts and spans of generation marks must be the same, or both refuse.

The templates that models carry: those of the package trl (pip download trl --no-deps; chat_templates/*.jinja in the wheel).
Exit status 1 when anything differs."""

import argparse
import datetime
import json
import pathlib
import sys

import transformers.utils.chat_template_utils as utils

from tuff_chat import ChatTemplate, TuffError
from tuff_tokenizer import open_library

HERE = pathlib.Path(__file__).resolve().parent
CHATS = json.loads((HERE / "chat_conversations.json").read_text(encoding="utf-8"))
GOLDEN = HERE.parents[1] / "assets" / "chat" / "golden.json"
NOW = 1763800000
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


class FixedTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc)


utils.datetime = FixedTime


def merged(spans, size):
    """Spans in order, joined where they touch, as tuff_chat_render gives them."""
    out = []
    for start, end in sorted((a, min(b, size)) for a, b in spans):
        if start >= end:
            continue
        if out and start <= out[-1][1]:
            out[-1][1] = max(out[-1][1], end)
        else:
            out.append([start, end])
    return [tuple(span) for span in out]


def reference(template, messages, **options):
    (text,), (spans,) = utils.render_jinja_template(
        [messages], chat_template=template, return_assistant_tokens_mask=True, **options
    )
    return text, merged(spans, len(text))


# ---- goldens ----

MESSAGES = [
    {"role": "user", "content": "hi <b>"},
    {"role": "assistant", "content": "yo", "reasoning": "a greeting"},
]
VARIABLES = {
    "x": 5,
    "s": "Hello World",
    "l": [1, 2, 3, 4, 5],
    "d": {"b": 1, "a": {"c": [1, 2.5, None, True]}, "items": 7},
    "e": [],
    "n": None,
    "f": 1.5,
    "u": "na\u00efve \u00df \u65e5\u672c \U0001f30b",
    "msgs": MESSAGES,
    "b": True,
    "words": ["b", "A", "c", "a"],
}


def make_goldens():
    cases = []
    for template in (HERE / "chat_cases.txt").read_text(encoding="utf-8")[:-1].split("\n====\n"):
        try:
            text, spans = reference(template, MESSAGES, **VARIABLES)
        except Exception:
            cases.append({"template": template, "fails": True})
            continue
        spans = [len(text[:at].encode()) for span in spans for at in span]
        cases.append({"template": template, "text": text, "spans": spans})
    golden = {"now": NOW, "messages": json.dumps(MESSAGES), "variables": json.dumps(VARIABLES), "cases": cases}
    return json.dumps(golden, ensure_ascii=False, indent=1) + "\n"


# ---- comparison ----


def templates_of(path):
    """(name, template) of a file or a directory."""
    if path.is_dir():
        for file in sorted(path.rglob("*.jinja")) + sorted(path.rglob("tokenizer_config.json")):
            yield from templates_of(file)
    elif path.suffix == ".jinja":
        with open(path, encoding="utf-8", newline="") as file:
            yield path.name, file.read()
    elif path.suffix == ".json":
        template = json.loads(path.read_text(encoding="utf-8")).get("chat_template", [])
        for one in [{"name": "default", "template": template}] if isinstance(template, str) else template:
            yield f"{path.parent.name}:{one['name']}", one["template"]
    else:
        from gguf import GGUFReader

        for key, field in GGUFReader(path).fields.items():
            if key.startswith("tokenizer.chat_template") and not key.endswith("s"):
                yield f"{path.name}:{key}", bytes(field.parts[field.data[0]]).decode()


def compare(library, name, template):
    count = refused = spans = differ = 0
    with ChatTemplate(library, template) as ours:
        for called, messages in CHATS["conversations"].items():
            for options in CHATS["options"]:
                count += 1
                try:
                    expected = reference(template, messages, **TOKENS, **options)
                except Exception as error:
                    expected = f"{type(error).__name__}: {error}"
                try:
                    found = ours.render(messages, now=NOW, **TOKENS, **options)
                except TuffError as error:
                    found = str(error)
                if isinstance(expected, str) and isinstance(found, str):
                    refused += 1
                    continue
                spans += 0 if isinstance(expected, str) else len(expected[1])
                if expected != found:
                    differ += 1
                    if differ == 1:
                        print(f"{name}: chat {called!r}, {options}:\n  expected {expected!r}\n  found    {found!r}")
    print(f"{name:45} {count} renderings, {refused} refused by both, {spans} spans, {differ} differ", flush=True)
    return count, differ


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    goldens = verbs.add_parser("goldens")
    goldens.add_argument("--check", action="store_true")
    against = verbs.add_parser("compare")
    against.add_argument("--library", required=True)
    against.add_argument("paths", nargs="+", type=pathlib.Path)
    args = parser.parse_args()
    if args.verb == "goldens":
        made = make_goldens()
        if args.check:
            same = GOLDEN.read_text(encoding="utf-8") == made
            print("the same" if same else f"{GOLDEN} differs")
            return 0 if same else 1
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(made, encoding="utf-8")
        print(f"{GOLDEN}: {len(json.loads(made)['cases'])} templates")
        return 0
    library = open_library(args.library)
    totals = [compare(library, *one) for path in args.paths for one in templates_of(path)]
    count, differ = sum(c for c, _ in totals), sum(d for _, d in totals)
    print(f"{len(totals)} templates, {count} renderings, {differ} differ")
    return 1 if differ or not totals else 0


if __name__ == "__main__":
    sys.exit(main())
