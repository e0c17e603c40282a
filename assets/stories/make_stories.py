#!/usr/bin/env python3
"""Writes the text that the bundled model is trained on: simple stories, made by a grammar from a seed.

    python make_stories.py --characters 30000000 --output stories.txt              what the model is trained on
    python make_stories.py --seed 2 --characters 100000 --output held-out.txt      and measured on
    python make_stories.py --style pirate --characters 240000 --output style.txt   what the demo teaches

Stories are separated by a line <|endoftext|>. The same seed gives the same text. The committed style.txt is the last
line's output; the vocabulary was made from the first 3 million and 80,000 characters (train_tokenizer.py)."""

import argparse
import sys

import animal_plots
import child_plots
import pirate
from grammar import Story

END = "<|endoftext|>"
DEFAULT_CHARACTERS = {"story": 3_000_000, "pirate": 80_000}
PLOTS = {"story": child_plots.PLOTS + animal_plots.PLOTS, "pirate": pirate.PLOTS}


def stories(style, seed):
    """Endless distinct stories; the plots come in rounds, each round in another order."""
    plots, seen, number = PLOTS[style], set(), 0
    order = []
    while True:
        story = Story(f"{style} {seed} {number}")
        if not order:
            order = story.sample(plots, len(plots))
        number += 1
        order.pop()(story)
        text = story.text()
        if text not in seen:
            seen.add(text)
            yield text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", default="story", choices=sorted(PLOTS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--characters", type=int, default=0, help="stop after this many")
    parser.add_argument("--output", help="a file (default: standard output)")
    options = parser.parse_args()
    limit = options.characters or DEFAULT_CHARACTERS[options.style]
    output = open(options.output, "w", encoding="utf-8", newline="\n") if options.output else sys.stdout
    written = 0
    for text in stories(options.style, options.seed):
        written += output.write(f"{text}\n{END}\n")
        if written >= limit:
            break
    if options.output:
        output.close()


if __name__ == "__main__":
    main()
