"""The page that compare.py makes of its results."""

import statistics

BESIDE = {"pytorch": "PyTorch", "pytorch-root": "PyTorch of the root", "llama": "llama.cpp", "gemm": "products", "read": "reading"}
BUSY = 0.05


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def rate(values):
    """Median and spread."""
    return f"{number(statistics.median(values))} ({number(min(values))} to {number(max(values))})"


def asked_text(asked):
    return ", ".join(f"{least:g} x {BESIDE[key]}" for key, least in asked.items())


def compared(record):
    """(what Tuff was compared with, its median, the ratio, what is asked of it or None) for each; ratio None: no Tuff."""
    tuff = [m for m in record["measured"] if m["key"] == "tuff"]
    mine = statistics.median(tuff[0]["values"]) if tuff else None
    for m in record["measured"]:
        if m["key"] != "tuff":
            other = statistics.median(m["values"])
            yield m, other, mine / other if mine else None, record["asked"].get(m["key"])


def verdict(ratio, asked):
    if asked is None:
        return "", ""
    return f"{asked:g}", "" if ratio is None else "yes" if ratio >= asked else "no"


def lines(record):
    """A row for a terminal."""
    for m in record["measured"]:
        yield f"{m['who']}: {rate(m['values'])} tok/s" + (f"; {m['note']}" if m["note"] else "")
    for m, _, ratio, asked in compared(record):
        if ratio is not None:
            yield f"{ratio:.2f} x {m['who']}" + (f", asked {asked:g}: {verdict(ratio, asked)[1]}" if asked else "")


def is_to_come(record):
    """Tuff cannot do it yet, and its peers can."""
    return bool(record["measured"]) and any("not yet" in sentence for sentence in record["left_out"])


def rows(record):
    """A row of results as rows of the table: one for each that Tuff is compared with."""
    tuff = next((rate(m["values"]) for m in record["measured"] if m["key"] == "tuff"), "")
    if not tuff:
        tuff = "not yet" if is_to_come(record) else "-"
    title = record["title"] + (" (tiny)" if record["tiny"] else "")
    found = list(compared(record))
    if not found:
        yield f"| {title} | {tuff} | | | | | |"
    for m, _, ratio, asked in found:
        least, met = verdict(ratio, asked)
        yield f"| {title} | {tuff} | {m['who']} | {rate(m['values'])} | {f'{ratio:.2f}' if ratio else ''} | {least} | {met} |"
        title = tuff = ""


def machine_text(m):
    return f"{m['processor']}, {m['threads']} threads ({m['flags']}), {m['memory']}, {m['system']}"


def details(name, record):
    yield f"### {name}"
    yield ""
    rounds = f"{record['rounds']} round" + ("s" if record["rounds"] > 1 else "")
    yield f"{record['title']}. {record['when']}, commit {record['commit']}, {rounds}."
    if record["busy"] > BUSY:
        yield f"**Other programs took {100 * record['busy']:.0f} % of the processors before it began: do not trust these figures.**"
    yield ""
    for m in record["measured"]:
        parts = "; ".join(part for part in (m["version"], m["note"]) if part)
        yield f"- {m['who']}{' (' + parts + ')' if parts else ''}: " + " ".join(number(value) for value in m["values"])
    for sentence in record["left_out"]:
        yield f"- Left out: {sentence}"
    yield ""
    yield "```"
    yield f"python3 scripts/peers/compare.py --row {name} --rounds {record['rounds']}"
    yield from dict.fromkeys(m["command"] for m in record["measured"] if m["command"])
    yield "```"
    yield ""


def make(results, order):
    found = [(name, results["rows"][name]) for name in order if name in results["rows"]]
    versions = dict.fromkeys(m["version"] for _, record in found for m in record["measured"] if m["version"])
    machines = list(dict.fromkeys(machine_text(record["machine"]) for _, record in found))
    text = [
        "# Speed beside others",
        "",
        "Made by `scripts/peers/compare.py` from `docs/performance.json`, never by hand. The programs take turns in one run, for absolute",
        "figures drift and ratios less; each is warm when it is measured. Rates are tokens per second: the median of the rounds and, in",
        "parentheses, the least and the most. The ratio is that of the medians, larger is better; \"asked\" is what the project asks of",
        "itself. Models have random weights. PyTorch is eager, with the best of the settings of its threads that were tried, and with fused",
        "AdamW; bf16 is its autocast. A limit is what the machine allows, by a rate that Tuff measured in the same turn.",
        "",
    ]
    text += [f"Machine: {machine}." for machine in machines]
    text += [f"Programs: {'; '.join(versions)}."]
    text += ["", "| work | Tuff | beside | its rate | ratio | asked | met |", "|---|---:|---|---:|---:|---:|---|"]
    for _, record in found:
        text += rows(record)
    missing = [name for name in order if name not in results["rows"]]
    if missing:
        text += ["", f"Not measured yet: {', '.join(missing)}."]
    text += ["", "## How each was measured", ""]
    text += [
        "WORK is the directory that `--work` names, where compare.py makes the models. In the commands of PyTorch a turn is a line of",
        "standard input.",
        "",
    ]
    for name, record in found:
        text += details(name, record)
    return "\n".join(text)
