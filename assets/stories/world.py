"""The people, animals, things and places of the stories, and how a story is given its own."""

from grammar import a

GIRLS = "Lily Anna Mia Ella Zoe Rosa Nora Lucy Maya Ivy Clara Emma Sara Ruby Jane Kate Molly Amy Daisy Tess".split()
BOYS = "Tom Ben Max Sam Leo Finn Jack Tim Noah Hugo Oscar Adam Luke Peter Milo Theo Bill Dan Joe Will".split()

# kind, sound it makes, what it eats, where it lives, how it moves
ANIMALS = {
    "rabbit": ("squeaked", "carrots", "in a warm hole under the hill", "hopped"),
    "fox": ("barked", "berries", "in a den under an old tree", "ran"),
    "bear": ("growled", "honey", "in a dark cave", "walked"),
    "mouse": ("squeaked", "cheese", "in a tiny hole in the wall", "ran"),
    "squirrel": ("chattered", "nuts", "high up in an oak tree", "jumped"),
    "duck": ("quacked", "bread", "by the pond", "swam"),
    "frog": ("croaked", "flies", "in the green pond", "hopped"),
    "owl": ("hooted", "seeds", "in a hollow tree", "flew"),
    "hedgehog": ("snuffled", "apples", "under a pile of leaves", "walked"),
    "turtle": ("hummed", "green leaves", "beside the slow river", "walked"),
    "bird": ("chirped", "seeds", "in a nest in the tall tree", "flew"),
    "kitten": ("meowed", "fish", "in the old barn", "ran"),
    "puppy": ("barked", "bones", "in a little wooden house", "ran"),
    "lamb": ("called", "grass", "on the green hill", "jumped"),
    "pig": ("grunted", "corn", "on a little farm", "ran"),
}
ANIMAL_NAMES = "Pip Coco Rusty Fluffy Spot Buddy Nibbles Hazel Olive Bruno Teddy Pepper Sunny Biscuit Button Clover".split()

COLORS = "red blue green yellow white brown pink orange".split()

# name, what one does with it (base form), the same in the past
TOYS = {
    "ball": ("kick it", "kicked it"),
    "kite": ("fly it", "flew it"),
    "doll": ("dress it", "dressed it"),
    "toy car": ("push it", "pushed it"),
    "toy boat": ("sail it", "sailed it"),
    "drum": ("bang it", "banged it"),
    "teddy bear": ("hug it", "hugged it"),
    "train": ("pull it", "pulled it"),
    "hat": ("wear it", "wore it"),
    "book": ("read it", "read it"),
    "top": ("spin it", "spun it"),
    "truck": ("roll it", "rolled it"),
}

FOODS = ["cookies", "apples", "pancakes", "berries", "sandwiches", "cakes", "plums", "muffins"]

# place: preposition, things one finds there, hiding spots there
PLACES = {
    "the park": ("in", "were swings and a big slide", ["under the bench", "behind the big slide", "in the tall grass"]),
    "the garden": ("in", "were flowers and a little pond", ["behind the roses", "under a bush", "beside the watering can"]),
    "the beach": ("at", "was soft sand and blue water", ["under a towel", "behind a rock", "in the wet sand"]),
    "the forest": ("in", "were tall trees and soft moss", ["behind a tree", "under the leaves", "next to a log"]),
    "the farm": ("on", "were cows and a big red barn", ["in the hay", "behind the barn", "under the cart"]),
    "the yard": ("in", "was a tree and a wooden fence", ["by the fence", "under the tree", "behind the bikes"]),
}
HOUSE_SPOTS = ["under the bed", "behind the sofa", "in the closet", "under the table", "in the laundry basket", "behind the door"]

FAMILY = {"mom": "she", "dad": "he", "grandma": "she", "grandpa": "he"}
TITLES = {"mom": "Mom", "dad": "Dad", "grandma": "Grandma", "grandpa": "Grandpa"}
PRONOUNS = {"he": ("he", "him", "his"), "she": ("she", "her", "her")}

TRAITS = ["kind", "curious", "brave", "clever", "cheerful", "quiet", "funny", "gentle", "shy", "busy"]
WEATHER = ["sunny", "warm", "windy", "cold", "bright", "cloudy"]


def _pronouns(story, prefix, pronoun):
    he, him, his = PRONOUNS[pronoun]
    story.words.update({prefix + "he": he, prefix + "him": him, prefix + "his": his})


def child(story, prefix="", not_named=()):
    """A child: {n} {he} {him} {his} {girl}; with prefix f: {fn} {fhe} and so on."""
    girl = story.chance(0.5)
    name = story.pick([n for n in (GIRLS if girl else BOYS) if n not in not_named])
    story.words.update({prefix + "n": name, prefix + "girl": "girl" if girl else "boy"})
    _pronouns(story, prefix, "she" if girl else "he")
    return name


def family(story, prefix="m"):
    """A grown-up of the family: {m} is 'mom', {mtitle} 'Mom', {mhe} {mhim} {mhis}."""
    who = story.pick(list(FAMILY))
    story.words.update({prefix: who, prefix + "title": TITLES[who]})
    _pronouns(story, prefix, FAMILY[who])


def animal(story, prefix="a", kinds=None, not_kinds=(), not_named=()):
    """An animal: {akind}, {aname}, {asound}, {afood}, {ahome}, {amoved} and its pronouns {ahe} {ahim} {ahis}."""
    kind = story.pick([k for k in (kinds or ANIMALS) if k not in not_kinds])
    sound, food, home, moved = ANIMALS[kind]
    name = story.pick([n for n in ANIMAL_NAMES if n not in not_named])
    words = {"kind": kind, "name": name, "sound": sound, "food": food, "home": home, "moved": moved, "akind": a(kind)}
    story.words.update({prefix + key: value for key, value in words.items()})
    _pronouns(story, prefix, story.pick(["he", "she"]))
    return kind, name


def toy(story, prefix="t"):
    """A toy: {t} 'red ball', {ta} 'a red ball', {tplain} 'ball', {tdo} 'kick it', {tdid} 'kicked it'."""
    name = story.pick(list(TOYS))
    full = story.pick(COLORS) + " " + name
    do, did = TOYS[name]
    story.words.update({prefix: full, prefix + "a": a(full), prefix + "plain": name, prefix + "do": do, prefix + "did": did})


def place(story, prefix="p"):
    """A place: {p} 'the park', {inp} 'in the park', {phas} 'were swings', {pspot1} to {pspot3} hiding spots."""
    name = story.pick(list(PLACES))
    preposition, has, spots = PLACES[name]
    story.words.update({prefix: name, "in" + prefix: f"{preposition} {name}", prefix + "has": has})
    for number, spot in enumerate(story.sample(spots, 3), 1):
        story.words[f"{prefix}spot{number}"] = spot


def opening(story):
    """The first sentences, about the child {n}, who has been chosen before."""
    story.put(trait=story.pick(TRAITS), home="[a small house near the forest|a little white house|a town by the sea|a house on a hill|a village near the river|a big house with a garden|a cottage by the lake]")
    story.say(
        "[Once upon a time, there was a [little|small|young] {girl} named {n}. [{He} lived in {home}.|{He} was very {trait}.|{n} lived in {home} with {his} family.]"
        "|Once upon a time, a {trait} {girl} named {n} lived in {home}."
        "|There was once a {trait} little {girl} called {n}. [{He} lived in {home}.||]"
        "|{n} was a {trait} {girl} who lived in {home}."
        "|{n} was a little {girl}. {He} was [{trait} and full of ideas|very {trait}|{trait}, and everyone liked {him}].]"
    )


def one_day(story):
    """How a day of the story begins, without the full stop of what follows."""
    story.put(weather=story.pick(WEATHER))
    return story.expand(
        "[One day|One morning|One {weather} day|One {weather} morning|One afternoon|On a {weather} day|Last Sunday|One day after lunch]"
    )
