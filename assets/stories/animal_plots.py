"""Plots about animals: each function tells one story into `s`."""

from world import ANIMALS, animal


def _hero(s, kinds=None):
    """An animal with a name and a home, and the first sentences about it."""
    kind, name = animal(s, kinds=kinds)
    s.put(trait="[kind|curious|brave|clever|cheerful|shy|proud|funny|gentle]")
    s.say(
        "[Once upon a time, there was a [little|small|young|{trait}] {akind} named {aname}. {Ahe} lived {ahome}."
        "|Once upon a time, a [little|{trait}] {akind} named {aname} lived {ahome}."
        "|{aname} was a {trait} little {akind}. {Ahe} lived {ahome}.]"
    )
    return kind, name


def _other(s, hero, kinds=None):
    animal(s, "b", kinds=kinds, not_kinds=[hero[0]], not_named=[hero[1]])


def race(s):
    hero = _hero(s, ["rabbit", "fox", "puppy", "kitten", "squirrel"])
    _other(s, hero, ["turtle", "hedgehog", "frog", "mouse", "lamb"])
    s.say("[{aname} was very fast, and {ahe} told everyone about it.|{aname} was proud, because nobody could run as fast as {ahe} could.]")
    s.paragraph()
    s.say("One day, {aname} met {bakind} named {bname}. [\"You are so slow!\" laughed {aname}.|\"Do you ever get anywhere?\" asked {aname}, and {ahe} laughed.]")
    s.say('"[Let us have a race|I will race you] to the [old oak tree|river|big rock]," said {bname}. [All the animals came to watch.|Everyone was surprised.] "One, two, three, go!" [called the owl|shouted the bear].')
    s.paragraph()
    case = s.pick(["sleep", "eat", "help"])
    if case == "sleep":
        s.say("{aname} ran so fast that soon {ahe} could not see {bname} any more. \"I have a lot of time,\" {ahe} thought. So {ahe} lay down under a tree and fell asleep.")
        s.say("{bname} did not stop. Step by step, {bhe} went on. [{Bhe} went right past {aname}.|{Bhe} went past the tree, very quietly.] When {aname} woke up, {bname} was already there!")
        s.say("[All the animals cheered for {bname}.|\"{bname} is the winner!\" they shouted.] {aname} learned that it is not good to be too proud.")
    elif case == "eat":
        s.say("{aname} was far ahead. Then {ahe} saw some {afood}. \"I can stop and eat,\" {ahe} thought. \"{bname} is so slow.\" {Ahe} ate and ate until {ahe} was so full that {ahe} could not run.")
        s.say("{bname} came by, step by step. [\"Are you coming?\" {bhe} asked with a smile.|{Bhe} did not stop to eat.] And {bname} won the race.")
        s.say('"You are slow, but you do not stop," said {aname}. "That was a good race." [They became friends and shared the {afood}.|After that, {aname} never laughed at {bname} again.]')
    else:
        s.say("{aname} ran very fast. But {ahe} did not look where {ahe} was going, and {ahe} fell into a deep hole. \"Help!\" {ahe} called.")
        s.say("{bname} heard {ahim} and stopped. {Bhe} could have won the race. But {bhe} [pushed a long branch into the hole|got a rope], and {aname} climbed out.")
        s.say("[They went to the end together, side by side, and they both won.|\"Thank you,\" said {aname}. \"You are the real winner.\"] [From that day on, they were best friends.|After that, {aname} was never proud again.]")


def small_helper(s):
    big = _hero(s, ["bear", "fox", "owl", "puppy", "pig"])
    _other(s, big, ["mouse", "frog", "bird", "hedgehog"])
    s.paragraph()
    s.say("One day, {aname} [was sleeping in the sun|was looking for {afood}]. A little {bkind} named {bname} bumped into {ahim}. [\"Who is there?\" said {aname} in a loud voice.|{aname} caught {bhim} by the tail.]")
    s.say('"Please do not hurt me," said {bname}. "One day, I will help you." {aname} laughed. "You are so small! How can you help me?" But {ahe} let the little {bkind} go.')
    s.paragraph()
    case = s.pick(["net", "thorn", "ice", "fire"])
    if case == "net":
        s.say("Some days later, {aname} was caught in a net. [{Ahe} pulled and pulled, but {ahe} could not get out.|The more {ahe} pulled, the tighter it became.] \"Help! Help!\" {ahe} called.")
        s.say("{bname} heard {ahim} and came at once. {Bhe} [found the knot and opened it|bit through the rope, one string after another]. Soon {aname} was free.")
    elif case == "thorn":
        s.say("Some days later, {aname} had a thorn in {ahis} foot. [It hurt so much that {ahe} could not walk.|{Ahe} cried and cried.] {Ahe} was too big to pull it out.")
        s.say("{bname} heard {ahim} and came at once. \"Hold still,\" {bhe} said. {Bhe} took the thorn and pulled. Out it came!")
    elif case == "ice":
        s.say("That winter, there was deep snow, and {aname} could not find {ahis} way home. [Everything was white.|The wind was cold.] {Ahe} was very tired.")
        s.say("{bname} saw {ahim} from {bhis} home. \"This way!\" {bhe} called. {Bhe} knew every stone in the forest. {Bhe} sat on {aname}'s head and told {ahim} where to go, and soon they were home.")
    else:
        s.say("Some days later, {aname} was asleep when a fire started in the dry grass. {bname} saw the smoke. [{Bhe} ran as fast as {bhe} could.|There was no time to lose.]")
        s.say('"Wake up! Wake up!" {bhe} shouted into {aname}\'s ear. {aname} jumped up, and they [ran to the river|got away just in time].')
    s.say('["Thank you," said {aname}. "You are small, but you are a great friend."|"I told you that I would help you one day," said {bname}.|"I was wrong," said {aname}. "Even a small friend can be a big help."]')
    s.say("[From that day on, they were best friends.|After that, {aname} and {bname} did everything together.|{aname} never laughed at small animals again.|That night, they ate {afood} together.]")


def winter_food(s):
    hero = _hero(s, ["squirrel", "mouse", "hedgehog", "rabbit"])
    _other(s, hero, ["frog", "bird", "kitten", "duck", "fox"])
    s.say("{Ahis} friend {bname} was {bakind}.")
    s.paragraph()
    s.say("[All summer long|All autumn long|When the leaves turned red], {aname} [worked hard|was very busy]. {Ahe} [carried {afood} home|looked for {afood}] every day. \"[Come and play|Come and sing with me]!\" said {bname}. \"[I cannot|Not now],\" said {aname}. \"Winter is coming. You should look for food, too.\" But {bname} [only laughed|lay in the sun and sang|said, \"I will do it tomorrow\"].")
    s.paragraph()
    s.say("Then the winter came. Snow fell on the forest, and [the pond was covered with ice|the wind was cold]. {aname} was warm and had a lot to eat. But {bname} was hungry. {Bhe} knocked on {aname}'s door. \"[I am so cold|I have nothing to eat],\" {bhe} said. \"[You were right|I should have listened to you].\"")
    s.say("{aname} [thought for a moment|looked at {bhis} cold feet]. \"Come in,\" {ahe} said. \"[There is enough for two|A friend is always welcome here|I have enough {afood} for us both].\"")
    s.paragraph()
    s.say("[All winter, {bname} sang songs and told stories, and {aname} was never bored.|They sat by the fire, and {bname} sang for {aname}.] In the spring, {bname} said, \"This year, I will help you.\" [And {bhe} did.|And they worked side by side, and sang, too.]")


def wants_to_be_other(s):
    hero = _hero(s, ["frog", "duck", "turtle", "hedgehog", "mouse", "pig"])
    wish, model, tried, result, good = s.pick([
        ("fly like a bird", "bird", "{Ahe} climbed on a rock, waved {ahis} legs, and jumped.", "{Ahe} landed in the mud.", "climb and dig"),
        ("run like a horse", "horse", "{Ahe} ran down the hill as fast as {ahe} could.", "{Ahe} rolled all the way down like a ball.", "hide in small places"),
        ("sing like a bird", "bird", "{Ahe} sat on a branch and sang as loud as {ahe} could.", "All the animals put their paws over their ears.", "make everyone laugh"),
        ("be big like a bear", "bear", "{Ahe} ate and ate, and {ahe} stood on {ahis} toes.", "{Ahe} only got a tummy ache.", "go through little holes"),
        ("be quick like a squirrel", "squirrel", "{Ahe} tried to jump from tree to tree.", "{Ahe} fell into a bush.", "find things on the ground"),
    ])  # fmt: skip
    s.put(wish=wish, model=model, good=good)
    s.say("[But {aname} was not happy.|But {aname} did not like to be {aakind}.] {Ahe} wanted to {wish}.")
    s.paragraph()
    s.say("One day, {ahe} tried it. " + tried + " " + result + " [\"Ouch!\" said {aname}.|{aname} was sad.|\"I am good for nothing,\" said {aname}.]")
    s.put(sage="[owl|turtle|goat|crow]")
    s.say('[An old {sage} had seen it all.|A wise old {sage} came by.] "[Why do you want to be someone else|Why do you do that], {aname}?" asked the {sage}.')
    s.say('"I want to {wish}," said {aname}. "[The {model} cannot {good}, but you can|Everyone is good at something. You can {good}]," said the old {sage}.')
    s.paragraph()
    problem = s.pick(["ring", "baby", "key"])
    if problem == "ring":
        s.say("Just then, they heard someone cry. A little [mole|beaver] had lost a shiny ring. [All the animals looked for it, but nobody could find it.|Nobody could get it back.] But {aname} was small and clever, and {ahe} found it under a root.")
    elif problem == "baby":
        s.say("Just then, they heard someone cry. A baby bird was stuck behind a big stone, and nobody could get there. But {aname} [knew a way|was not afraid]. {Ahe} went behind the stone and brought the baby out.")
    else:
        s.say("Just then, the [mole|beaver] came running. The key to the food house was gone! Everyone looked and looked. But it was {aname} who found it in the deep grass.")
    s.say('["Hurray for {aname}!" cried the animals.|Everyone thanked {aname}.] [From that day on, {aname} was happy to be {aakind}.|"It is good to be me," thought {aname}.|{aname} smiled. {Ahe} did not want to be anyone else any more.]')


def lost_baby(s):
    hero = _hero(s, ["duck", "lamb", "kitten", "puppy", "bird", "bear", "fox"])
    _other(s, hero, ["owl", "turtle", "frog", "squirrel", "hedgehog"])
    s.say("[{aname} liked to explore.|{aname} wanted to see the whole world.] \"Do not go too far,\" said {ahis} mother.")
    s.paragraph()
    s.say("One day, {aname} saw [a yellow butterfly|a red leaf in the wind|a shiny bug] and ran after it. [{Ahe} ran over the hill and across the field.|{Ahe} went on and on.] When {ahe} stopped, {ahe} did not know where {ahe} was. \"Mother!\" {ahe} called. [Nobody answered.|But there was only the wind.]")
    s.paragraph()
    s.say("{Aname} met a [cow|goat|horse]. \"Have you seen my mother?\" {ahe} asked. \"No,\" said the big animal. \"[Ask someone at the river|Maybe the old {bkind} can help you].\"")
    s.say("So {aname} went on and met {bakind} named {bname}. \"Have you seen my mother?\" {ahe} asked. \"[What does she look like|What is she like]?\" asked {bname}. \"She is [soft and warm|big and kind], and she is the best mother in the world,\" said {aname}.")
    s.say('{bname} smiled. "I saw a mother who was looking for a little {akind}. She was very worried. Come, I will show you the way."')
    s.paragraph()
    s.say("They went [through the high grass|along the river|under the trees], and there she was! \"Mother!\" cried {aname}, and {ahe} ran to her. [{Ahis} mother kissed {ahim} on the nose.|{Ahis} mother held {ahim} close.] [\"I will not go so far again,\" said {aname}.|\"Next time, we will explore together,\" said {ahis} mother.] [And {bname} came for dinner.|They thanked {bname} and went home together.|]")


def party(s):
    hero = _hero(s)
    _other(s, hero)
    s.say("[It was {aname}'s birthday, but nobody said anything.|It was {aname}'s birthday.]")
    s.paragraph()
    s.say("{aname} went to see {ahis} friend {bname} the {bkind}. \"[Do you want to play|Will you have tea with me]?\" asked {aname}. \"[I am sorry|Not today],\" said {bname}. \"I am very busy.\" And {bhe} closed the door.")
    others = s.sample([k for k in ANIMALS if k not in (s.words["akind"], s.words["bkind"])], 2)
    s.put(c=others[0], d=others[1])
    s.say("{aname} went to see the {c}. The {c} was busy, too. {Ahe} went to see the {d}, but the {d} was not at home. [\"Everyone has forgotten my birthday,\" thought {aname}.|{aname} felt very sad and alone.]")
    s.paragraph()
    s.say("Slowly, {aname} walked home. [It was dark inside.|The house was very quiet.] {Ahe} opened the door. \"Surprise!\" shouted all the animals. {bname} was there with a big cake, the {c} had [flowers|a drum], and the {d} had [balloons|a gift in red paper].")
    s.say('"[We were not too busy|We did not forget you]," said {bname}. "We were making your party!" [{aname} laughed and cried at the same time.|{aname} did not know what to say.] [They ate {afood} and danced until the moon came up.|They sang and danced all night.] [It was the best birthday ever.|"You are the best friends in the world," said {aname}.]')


def boat_trip(s):
    hero = _hero(s, ["mouse", "frog", "hedgehog", "squirrel", "kitten", "puppy"])
    _other(s, hero, ["rabbit", "duck", "turtle", "pig", "lamb"])
    s.put(boat="[a big leaf|an old shoe|a wooden box|half a nut shell|an old pot]", sea="[the pond|the lake|the river]", land="[an island|the other side|the little island]")
    s.say("{Ahe} and {ahis} friend {bname} the {bkind} wanted to [see the world|have an adventure].")
    s.paragraph()
    s.say('"We need a boat," said {aname}. They found {boat} and put it in the water. [They took some {afood} with them.|{bname} brought a stick to steer with.] "[Off we go|Here we go]!" they called, and they sailed across {sea}.')
    case = s.pick(["wind", "hole", "fish"])
    s.paragraph()
    if case == "wind":
        s.say("[At first, the water was calm.|The sun was shining.] But then a strong wind came, and the waves grew higher and higher. \"Hold on!\" cried {aname}. [The boat went up and down.|The boat turned around and around.]")
        s.say("{bname} [took off {bhis} scarf and made a sail|held up a leaf like a sail]. The wind blew into it, and the boat flew over the water to {land}.")
    elif case == "hole":
        s.say("In the middle of {sea}, {aname} felt that {ahis} feet were wet. There was a hole in the boat! \"We are sinking!\" cried {bname}.")
        s.say("\"Quick!\" said {aname}. {Ahe} [put {ahis} foot into the hole|put some mud into the hole], and {bname} threw the water out. [They worked as fast as they could.|It was hard work.] At last, they came to {land}.")
    else:
        s.say("Suddenly, something bumped into the boat. It was a big silver fish! [{bname} hid behind {aname}.|They were very afraid.] \"Are you going to eat us?\" asked {aname}.")
        s.say('"No," said the fish. "I am only bored. Where are you going?" They told the fish, and it pushed the boat all the way to {land}.')
    s.paragraph()
    s.say("[There they found sweet berries and warm sand.|There they found a tree full of ripe plums.] They [ate and rested|played all day], and in the evening, they sailed home. [\"That was a real adventure,\" said {bname}.|\"Tomorrow, we will go even further,\" said {aname}.|\"The world is big,\" said {aname}, \"but home is best.\"]")


def star_wish(s):
    hero = _hero(s)
    _other(s, hero)
    s.put(light="[a little star|a bright star]")
    s.paragraph()
    s.say("One night, {aname} looked at the sky and saw {light} fall. It fell down, down, down, behind the hill. [\"It must be hurt,\" thought {aname}.|\"I must find it,\" said {aname}.] {Ahe} woke up {ahis} friend {bname} the {bkind}, and together they went to look.")
    s.say("They found the star in the grass. It was small and very pale. \"I fell down,\" said the star, \"and now I do not know how to get home.\"")
    s.paragraph()
    s.say('"We will help you," said {aname}. First, [{bname} threw it up as high as {bhe} could, but it fell down again|they put it on the highest branch of a tree, but that was not high enough|they asked the wind, but the wind was asleep].')
    s.say("[Then they climbed to the top of the hill.|Then {aname} had an idea.] They asked all the animals to [stand on each other's shoulders|sing the star's song]. [Up and up it went.|The star began to shine.] And [at last|then], the star [jumped back into the sky|rose up to its place in the sky].")
    s.paragraph()
    s.say('"Thank you!" called the star. "[I will shine for you every night|I will always watch over you]." [And when you look up at night, you can still see it.|{aname} and {bname} waved until they fell asleep.|Since then, {aname} has never been afraid of the dark.]')


PLOTS = [race, small_helper, winter_food, wants_to_be_other, lost_baby, party, boat_trip, star_wish]
