"""A small text grammar: [a|b|c] picks one, {key} is looked up in the story's words, {Key} the same with a capital."""

import random
import re


class Story:
    """One story in the making: a source of chance, the words its templates may name, and its paragraphs."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self.words = {}
        self._paragraphs = [[]]

    def chance(self, probability):
        return self._random.random() < probability

    def pick(self, choices):
        # random() is the one method whose sequence Python promises to keep.
        return choices[int(self._random.random() * len(choices))]

    def sample(self, choices, count):
        left = list(choices)
        return [left.pop(int(self._random.random() * len(left))) for _ in range(count)]

    def put(self, **words):
        """Adds words; templates among the values are expanded now, so that they stay the same through the story."""
        for key, value in words.items():
            self.words[key] = self.expand(value)

    def expand(self, template):
        text, position = self._alternatives(template, 0, top=True)
        assert position == len(template), template
        return re.sub(r"\{(\w+)\}", self._word, text)

    def _word(self, match):
        key = match.group(1)
        value = self.words[key[0].lower() + key[1:]]
        return value[0].upper() + value[1:] if key[0].isupper() else value

    def _alternatives(self, template, position, top):
        """The text of a picked alternative and where the group ends. A group within is picked as it is met, so
        chance is drawn for alternatives that are not taken, too: adding one does not change the rest."""
        choices, current = [], []
        while position < len(template):
            character = template[position]
            position += 1
            if character == "[":
                text, position = self._alternatives(template, position, top=False)
                current.append(text)
            elif character == "|" and not top:
                choices.append("".join(current))
                current = []
            elif character == "]" and not top:
                choices.append("".join(current))
                return self.pick(choices), position
            else:
                current.append(character)
        assert top, f"a [ is not closed in: {template}"
        return "".join(current), position

    def say(self, *templates):
        """Adds sentences to the paragraph."""
        for template in templates:
            text = self.expand(template).strip()
            if text:
                self._paragraphs[-1].append(_capitals(text))

    def paragraph(self):
        if self._paragraphs[-1]:
            self._paragraphs.append([])

    def text(self):
        return "\n".join(" ".join(p) for p in self._paragraphs if p)


def _capitals(text):
    """Capital letters at sentence starts. After `!"` and `?"` the sentence may go on ("Stop!" she said)."""
    text = re.sub(r'(^"?|[.!?] |\." |[.!?] "|\." ")([a-z])', lambda m: m.group(1) + m.group(2).upper(), text)
    return re.sub(r" +", " ", text)


def a(noun):
    """The noun with its indefinite article."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun
