#!/usr/bin/env python3
"""Trains the bundled model's vocabulary, a byte-level BPE of 1024 tokens, on the generated stories and style.txt.

    pip install tokenizers
    python train_tokenizer.py --output tokenizer.json"""

import argparse
import itertools

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from make_stories import DEFAULT_CHARACTERS, END, stories


def texts(style, seed, characters):
    for text in stories(style, seed):
        yield text
        characters -= len(text)
        if characters <= 0:
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default="tokenizer.json")
    parser.add_argument("--size", type=int, default=1024)
    options = parser.parse_args()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=options.size,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    # The style counts four times, so that its words are not all cut to letters.
    corpus = [texts("story", 1, DEFAULT_CHARACTERS["story"])]
    corpus += [texts("pirate", 1, DEFAULT_CHARACTERS["pirate"]) for _ in range(4)]
    tokenizer.train_from_iterator(itertools.chain(*corpus), trainer)
    tokenizer.save(options.output)
    print(f"{options.output}: {tokenizer.get_vocab_size()} tokens")


if __name__ == "__main__":
    main()
