"""Plots about children: each function tells one story into `s`."""

from world import FOODS, HOUSE_SPOTS, animal, child, family, one_day, opening, place, toy


def ending(s, who="{n}"):
    """A last sentence that fits any happy end."""
    if s.chance(0.6):
        s.say(
            f"[{who} went to bed with a smile.|{who} was very happy.|It was the best day ever.|{who} smiled all the way home."
            f"|{who} never forgot that day.|That night, {who} slept very well.|From that day on, {who} was happy.]"
        )


def lost_toy(s):
    child(s), family(s), toy(s), place(s)
    opening(s)
    s.say("{He} had {ta}. [{He} loved {his} {tplain} very much.|It was {his} favorite toy.|{He} {tdid} every day.|{He} took it everywhere.]")
    s.paragraph()
    in_house = s.chance(0.5)
    spots = s.sample(HOUSE_SPOTS, 3) if in_house else [s.words["pspot1"], s.words["pspot2"], s.words["pspot3"]]
    s.put(day=one_day(s), spot1=spots[0], spot2=spots[1], spot3=spots[2])
    s.put(helper="{his} {m}" if s.chance(0.6) else "{his} [brother|sister|friend]")
    if in_house:
        s.say("{day}, {n} could not find {his} {tplain}.")
    else:
        s.say("{day}, {n} went to {p} with {helper}. There {phas}. {He} played for a long time, and then {he} could not find {his} {tplain}.")
    s.say('[{n} was very sad.|{n} began to cry.|"Where is my {tplain}?" {he} cried.|"Oh no! My {tplain} is gone!" said {n}.]')
    s.say('["Do not worry," said {helper}. "We will find it together."|{Helper} said, "Let us look for it together."|{Helper} came to help. "When did you see it last?"|"I will help you look," said {helper}.]')
    s.paragraph()
    s.say("[First, they looked|They looked] {spot1}, but it was not there. [Then they looked|Next, they looked|After that, they looked] {spot2}, but [they only found an old shoe|they only found a sock|it was not there, either|they saw only dust|there was nothing there].")
    s.say("[At last, {n} looked {spot3}.|Then {n} had an idea. {He} looked {spot3}.|{n} did not give up. {He} looked {spot3}.]")
    s.say('[There it was! The {t} was {spot3}!|And there was the {t}!|"I see it!" {he} shouted. There was the {t}.]')
    s.say('[{n} hugged {his} {tplain} and said, "Thank you for helping me."|"Thank you," said {n}, and {he} gave {helper} a big hug.|{n} jumped up and down. "Thank you so much!" {he} said.]')
    s.say("[After that, {n} always put {his} {tplain} back in its place.|From then on, {n} took good care of {his} {tplain}.|Then {he} {tdid} until it was dark.|]")
    ending(s)


def hurt_animal(s):
    child(s), family(s), place(s), animal(s, kinds=["bird", "rabbit", "kitten", "puppy", "duck", "hedgehog", "squirrel"])
    opening(s)
    s.put(day=one_day(s), trouble="[{ahe} had hurt {ahis} leg|{ahe} was lost and cold|{ahe} was stuck in the mud|{ahe} was caught in a net|{ahe} was all alone and hungry]")
    s.paragraph()
    s.say("{day}, {n} was [walking|playing] {inp} when {he} heard a [small|soft|sad] sound. [{He} looked around.|{He} stopped and listened.|{He} followed the sound.]")
    s.say("{Pspot1}, {he} saw a [little|tiny|small] {akind}. It was a sad {akind}, because {trouble}.")
    s.say('["Poor little {akind}," said {n}. "I will help you."|"Do not be afraid," {n} said softly.|{n} felt sorry for the {akind}. "You need help," {he} said.]')
    s.paragraph()
    s.say("[{n} picked up the {akind} very gently and carried {ahim} home.|{n} put the {akind} in {his} hat and took {ahim} home.|{He} ran home to get {his} {m}, and together they carried the {akind} to the house.]")
    s.say('{His} {m} [gave the {akind} some water and a soft blanket|made a warm bed in a box|washed the {akind} with warm water]. {n} gave {ahim} some {afood}. [The {akind} ate and fell asleep.|"Eat, little one," {he} said.|The {akind} {asound} softly.]')
    s.say('["Can we keep {ahim}?" asked {n}. "Only until {ahe} is well," said {his} {m}.|"{ahe} will be well soon," said {his} {m}.|Every day, {n} took care of the {akind}.]')
    s.paragraph()
    s.say("After [a few days|a week|three days], the {akind} was [well|strong|happy] again. [{n} took {ahim} back to {p}.|It was time to let {ahim} go.]")
    s.say("[The {akind} {asound} as if to say thank you.|The {akind} looked back one more time and then {amoved} away.|The {akind} {amoved} around {n} and {asound}.]")
    s.say("[{n} was a little sad, but {he} was happy that {his} friend was free.|Every morning, the {akind} came to the window to say hello.|After that, {n} often saw the {akind} {inp}, and they stayed friends.|{n} waved and said, \"Come and see me soon!\" And the {akind} did.]")
    ending(s)


def sharing(s):
    name = child(s)
    child(s, "f", not_named=[name]), toy(s), place(s), family(s)
    s.say("[{n} and {fn} were [best friends|friends|neighbors]. [They played together every day.|They liked to play {inp}.]|Once upon a time, there were two friends named {n} and {fn}. They [liked to play {inp}|played together every day].]")
    s.put(day=one_day(s))
    s.paragraph()
    s.say("{day}, they found {ta} {inp}. [Both of them wanted it.|They both wanted to play with it.]")
    s.say('"[It is mine|I saw it first|I want to {tdo}]!" said {n}. "No, [it is mine|I saw it first|I want to {tdo}]!" said {fn}. [{n} pulled, and {fn} pulled, too.|They pulled and pulled.|They shouted at each other.]')
    outcome = s.pick(["break", "grownup", "alone"])
    if outcome == "break":
        s.say("[Then there was a loud crack.|Suddenly, they heard a crack.] The {tplain} was broken. [Both of them began to cry.|They looked at each other and felt very sad.]")
        s.paragraph()
        s.say('["I am sorry," said {n}. "I am sorry, too," said {fn}.|{n} said, "I am sorry. I should have shared." {fn} said, "Me, too."]')
        s.say("They took the {tplain} to {n}'s {m}. {Mhe} [got some glue and|had some tools and] helped them to fix it. [Soon it was as good as new.|It looked a little funny, but they did not mind.]")
    elif outcome == "grownup":
        s.paragraph()
        s.say('{n}\'s {m} heard the noise and came out. "What is wrong?" {mhe} asked. [They told {mhim} everything.|"We both want the {tplain}," said {fn}.]')
        s.say('"You can take turns," said {mtitle}. "[First {n}, and then {fn}|First {fn}, and then {n}]. [It is more fun to share.|Friends share with each other.]"')
    else:
        s.say("[Then {fn} got angry and went home.|At last, {fn} let go and walked away.] {n} had the {tplain} all to {him}self.")
        s.paragraph()
        s.say("But it was no fun to play alone. [{n} felt sad.|{n} missed {his} friend.] {He} went to {fn}'s house and [knocked on the door|rang the bell].")
        s.say('"I am sorry," {he} said. "[Let us play together.|Do you want to share it with me?]" [{fn} smiled. "Yes!" {fhe} said.|"Yes, I want to," said {fn}, and {fhe} was not angry any more.]')
    s.paragraph()
    s.say("[So they took turns.|After that, they took turns.] First {n} {tdid}, and then {fn} {tdid}. [They laughed and laughed.|They had so much fun.|They played until the sun went down.]")
    s.say("[They learned that sharing is better than fighting.|From that day on, they shared all their toys.|They were best friends again.|Now they knew that a friend is better than a toy.]")


def afraid(s):
    child(s), family(s)
    opening(s)
    case = s.pick(["dark", "thunder", "water", "dog", "monster"])
    s.paragraph()
    if case == "dark":
        s.say("But {n} was afraid of the dark. [At night, {he} hid under {his} blanket.|Every night, {he} asked for a light.]")
        s.say("One night, the light went out. [Everything was black.|{n} could not see a thing.] \"[Help|I am scared]!\" {he} cried.")
        s.say("{His} {m} came into the room and sat on the bed. \"Look out of the window,\" {mhe} said. [{n} looked, and {he} saw hundreds of stars.|Outside, the moon was big and round, and the stars were bright.]")
        s.say('"We can see the stars only when it is dark," said {mtitle}. [{n} looked at the stars for a long time.|They counted the stars together. "One, two, three..."]')
        s.say("[After that, {n} was not afraid of the dark any more.|Now {n} liked the night, because the stars were {his} friends.|Soon {he} fell asleep, and {he} was not afraid.]")
    elif case == "thunder":
        s.say("But {n} was afraid of storms. One night, [there was a big storm|it began to rain very hard]. Boom! went the thunder. {n} [jumped out of bed and ran to {his} {m}|hid under the bed].")
        s.say('"[It is only noise|The thunder cannot hurt you]," said {mtitle}. "It is the clouds [playing the drums|bumping into each other|clapping their hands]. Let us [play, too|clap, too|sing with them]."')
        s.say("[They took two pots and two spoons. Boom! went the thunder. Bang! went {n}.|They sang a loud song together, and each time the thunder came, they clapped.]")
        s.say("[Soon {n} began to laugh.|Soon {n} forgot to be afraid.] [When the storm was over, {n} was almost sad.|After a while, the storm went away, and {n} fell asleep.]")
    elif case == "water":
        s.put(f="[sister|brother|friend]")
        s.say("[It was a hot day, and everyone went to the lake.|One hot day, {n} and {his} family went to the lake.] {His} {f} jumped into the water, but {n} [stayed on the sand|did not want to go in]. {He} was afraid of the water.")
        s.say('"Come in! It is fun!" said {his} {f}. {n} shook {his} head. "[It is too deep|It is too cold|I cannot swim]," {he} said.')
        s.say("{His} {m} took {his} hand. \"We will go one step at a time,\" said {mtitle}. First, {n} put in {his} toes. Then the water came up to {his} knees. [It was cool and nice.|A little fish swam by.]")
        s.say("[Soon {he} was splashing and laughing.|Soon {he} did not want to come out.] \"[Look at me|I did it]!\" {he} shouted. [{mtitle} was very proud.|Everyone clapped.]")
    elif case == "dog":
        s.put(dog="[Max|Rex|Bobo|Duke]", size="[big|huge|very big]")
        s.say("Next door, there was a {size} dog. [He had long teeth and a loud voice.|Every time {n} walked by, he barked.] {n} was afraid of him.")
        s.say("One day, {n}'s ball rolled under the fence. {n} [looked through the fence|stood there and did not know what to do]. The {size} dog [walked over to the ball|picked up the ball with his teeth].")
        s.say("{n} wanted to run away. But the dog [brought the ball to the fence and put it down|pushed the ball back with his nose]. Then he wagged his tail. [He only wanted to play!|\"Woof!\" he said, but it was a friendly woof.]")
        s.say("{n} put {his} hand through the fence, and the dog licked it. [It tickled, and {n} laughed.|{n} laughed.] [After that, they played ball every day.|From that day on, they were friends. \"You are big, but you are kind,\" said {n}.]")
    else:
        s.put(spot="[under the bed|in the closet|behind the curtain]", thing="[an old coat on a chair|a pile of clothes|the cat with a sock on its head|a hat on a broom]")
        s.say("One night, {n} heard a strange noise {spot}. [Scratch, scratch.|Bump, bump.] {He} thought it was a monster.")
        s.say('"{mtitle}! [There is a monster in my room|Come quickly]!" {he} called.')
        s.say("{His} {m} came with a light. \"Let us look together,\" {mhe} said. They [walked slowly and quietly|held hands and looked] {spot}. It was not a monster. It was only {thing}!")
        s.say("[{n} laughed and laughed.|They both laughed.] \"[That is a funny monster|What a silly monster]!\" said {n}. [Then {he} went back to bed and slept until morning.|After that, {he} was not afraid at night.]")
    ending(s)


def learning(s):
    name = child(s)
    child(s, "f", not_named=[name]), family(s)
    opening(s)
    skill, fail, trick, done = s.pick([
        ("ride a bike", "[fell off|fell on the grass|rode into a bush]", "Look ahead and not at your feet", "rode all the way down the street"),
        ("swim", "[swallowed some water|sank like a stone]", "Kick your legs like a frog", "swam all the way across the pool"),
        ("whistle", "[only blew air|made a funny sound]", "Make your lips round and small", "whistled a whole song"),
        ("tie {his} shoes", "[made a big knot|stepped on the laces and fell]", "Make two ears like a rabbit", "tied both shoes"),
        ("climb the tall tree", "[slid down|was too tired]", "Look for a good branch first", "climbed to the very top"),
        ("skate", "[fell on the ice|sat down on the ice]", "Bend your knees a little", "skated all around the pond"),
        ("draw a horse", "[drew something like a dog|broke the pencil]", "Start with a big circle", "drew a beautiful horse"),
        ("bake bread", "[burned the bread|forgot the salt]", "Be slow and watch the oven", "baked a big golden bread"),
        ("jump rope", "[stepped on the rope|got all tangled up]", "Listen to the sound of the rope", "jumped twenty times"),
    ])  # fmt: skip
    s.put(skill=skill, trick=trick, done=done)
    s.paragraph()
    s.say("[More than anything, {n} wanted to {skill}.|{n} wanted to learn how to {skill}.|All of {n}'s friends could {skill}, but {n} could not.]")
    s.say(f"[One day, {{he}} tried.|The first time {{he}} tried, it did not go well.] {{He}} {fail}. [\"This is too hard,\" {{he}} said.|\"I will never learn it!\" {{he}} cried.|{{He}} felt like crying.]")
    s.say(f"{{He}} tried again, but {{he}} {fail} again." if s.chance(0.4) else "")
    s.paragraph()
    helper = s.pick(["{his} {m}", "{his} friend {fn}"])
    s.put(helper=helper)
    s.say('Then {helper} came. "[Do not give up|It takes time|I could not do it at first, either|Everyone falls sometimes]. {trick}," said {helper}.')
    s.say("[{n} took a deep breath and tried again.|So {n} tried again and again.|{n} practiced every day.|Every day after school, {n} practiced.]")
    s.paragraph()
    s.say('[And then, one day, it worked!|And at last, it worked!|After a week, something wonderful happened.] {n} {done}. "[I did it|Look at me|I can do it]!" {he} shouted.')
    s.say("[{Helper} clapped and cheered.|\"I knew you could do it,\" said {helper}.|{Helper} was very proud.] [{n} learned that if you keep trying, you can do hard things.|{n} was glad that {he} had not given up.|Now {n} helps other children to learn it, too.|]")
    ending(s)


def rainy_day(s):
    name = child(s)
    child(s, "f", not_named=[name]), family(s), place(s)
    opening(s)
    s.put(plan="[have a picnic {inp}|fly a kite {inp}|play {inp}|ride {his} bike to {p}]", idea="[{fn}|{mtitle}]")
    inside, stuff = s.pick([("tent", "blankets"), ("boat", "boxes"), ("castle", "pillows"), ("train", "chairs")])
    s.put(inside=inside, fort=f"a {inside} out of {stuff}")
    s.paragraph()
    s.say("One day, {n} and {fn} wanted to {plan}. [They were very excited.|They packed their bags.|{n} put on {his} shoes.] But when they opened the door, [drops of rain began to fall|it was raining|they saw big dark clouds, and then it rained].")
    s.say('["Oh no!" said {n}. "Now we cannot go."|"It is not fair," said {n}.|{n} was very sad. {He} looked out of the window.|"The rain has spoiled our day," said {n}.]')
    s.paragraph()
    s.say('Then {idea} had an idea. "We can [make|build] {fort}," {idea} said.')
    s.say("They [worked hard|got everything they needed], and soon they had {fort}. [They sat inside and told stories.|They ate their sandwiches in it.|They pretended to be far away.] [The rain went pitter, patter on the roof.|It was warm and cozy in the {inside}.|]")
    s.say("[{n}'s {m} gave them hot milk and cookies.|{n}'s {m} brought them some warm soup.|{n}'s {m} came to play with them, too.|]")
    s.paragraph()
    s.say("[After a while, the rain stopped.|In the evening, the sun came out.] [They ran outside and saw a big rainbow.|They went out and jumped in all the puddles. Splash!|There was a beautiful rainbow in the sky.]")
    s.say('["Rainy days are fun, too," said {n}.|"I hope it rains tomorrow," said {n}, and everyone laughed.|{n} was not sad about the rain any more.|"That was better than our plan," said {fn}.]')
    ending(s)


def broken_thing(s):
    child(s), family(s)
    thing, what = s.pick([("vase", "{his} {m}'s favorite vase"), ("cup", "a beautiful blue cup"), ("window", "the kitchen window"), ("lamp", "the big lamp"), ("plate", "{his} {m}'s best plate")])
    opening(s)
    s.put(thing=thing, what=what)
    s.paragraph()
    s.say("[One day, {n} was playing with {his} ball in the house.|One day, {n} was running and jumping in the house.|One afternoon, {n} pretended to be a big airplane and ran through the house.] [{His} {m} had told {him} not to do that.|{He} knew that {he} should not do it, but it was fun.]")
    s.say("Crash! {He} hit {what}, and it broke [into many pieces|into little pieces].")
    hides = s.chance(0.65)
    if hides:
        hide = "hid the pieces under the sofa|put the pieces in a box and hid it"
        if thing == "window":
            hide = "ran to {his} room and closed the door|hid in {his} bed"
        s.say(f'{{n}} was scared. "{{mtitle}} will be angry," {{he}} thought. So {{he}} [{hide}].')
        s.paragraph()
        s.say('Soon {his} {m} came home. "Who broke the {thing}?" {mhe} asked. [{n} looked at {his} feet.|{n} did not say anything.] "[It was the cat|It was the wind|I do not know]," {he} said. But {he} felt bad. {His} tummy hurt.')
        s.say('At last, [{n} could not keep the secret any more|{n} began to cry]. "I broke it," {he} said. "I am sorry."')
    else:
        s.say('{n} was scared, but {he} knew what to do. {He} went to {his} {m} and said, "I broke the {thing}. I am very sorry."')
    s.paragraph()
    s.say("{His} {m} [gave {him} a hug|sat down next to {him}|took {his} hand]. \"[Thank you for telling the truth|I am glad that you told me the truth|It was brave to tell me the truth],\" {mhe} said. \"[A {thing} is only a thing|Everyone makes mistakes|We can get a new {thing}].\"")
    repair = "|They fixed it with some glue." if thing not in ("window", "lamp") else ""
    s.say("[Together, they cleaned up the pieces.|{n} helped to sweep the floor." + repair + "]")
    s.say("[{n} felt much better.|{n} felt as light as a feather.] [After that, {he} always told the truth.|And from then on, {he} played ball outside.|{He} learned that it is always best to tell the truth.]")


def birthday_gift(s):
    child(s), family(s)
    opening(s)
    gift, steps, bad = s.pick([
        ("a cake", "[{He} took eggs, milk, and flour. {He} mixed them in a big bowl.|{He} mixed flour and milk and put in some sugar.]", "[the cake came out flat|the cake was burned on one side|the cake leaned to one side]"),
        ("a picture", "[{He} took {his} paints and a big sheet of paper.|{He} painted a house, a tree, and a big sun.]", "[a drop of water fell on the picture|the cat walked over the picture with wet paws]"),
        ("a necklace", "[{He} found pretty shells and put them on a string.|{He} put red and blue beads on a string.]", "[the string broke, and everything rolled across the floor|there were too few beads]"),
        ("a card", "[{He} cut a big heart out of red paper.|{He} took paper, glue, and some dry flowers.]", "[the paper tore in the middle|the glue got all over the table]"),
        ("a scarf", "[{He} took soft wool and two needles.|{He} worked on it every evening.]", "[the scarf had a big hole in it|one end was much wider than the other]"),
    ])  # fmt: skip
    s.put(gift=gift, plain=gift.split(" ", 1)[1])
    s.paragraph()
    s.say("[Soon it was {his} {m}'s birthday.|Tomorrow was {his} {m}'s birthday.|It was almost {his} {m}'s birthday.] {n} wanted to give {mhim} something special, but {he} had no money. [\"What can I do?\" {he} thought.|{He} thought for a long time.]")
    s.say('Then {he} had an idea. "I will make {gift}!" {he} said.')
    s.say(steps)
    s.say(f"But then, {bad}. [{{n}} was very sad.|\"Oh no!\" said {{n}}. \"It is not good any more.\"] [{{He}} almost threw it away.|]")
    s.say("[But {he} had no time to make a new one.|But {he} did {his} best to fix it.]")
    s.paragraph()
    s.say('[On the birthday|The next day], {n} gave {his} {m} the {plain}. "It is not perfect," {he} said [softly|in a small voice]. {His} {m} looked at it, and {mhis} eyes [were bright|filled with happy tears].')
    s.say('"[It is the best present of all|I love it|It is beautiful], because [you made it with love|it comes from you]," said {mtitle}. {Mhe} [gave {n} a big kiss|hugged {n} for a long time].')
    ending(s)


def planting(s):
    child(s), family(s)
    opening(s)
    s.put(outcome=s.pick([
        "a little apple tree with three red apples", "a sunflower that was taller than {his} {m}",
        "a whole basket of sweet carrots", "a pumpkin so big that {he} could sit on it",
        "more beans than {he} could count", "a plant full of sweet strawberries",
    ]))  # fmt: skip
    s.paragraph()
    s.say("[One spring day|One day in spring], {his} {m} gave {him} a [tiny|small|little] seed. \"What is it?\" asked {n}. \"[Put it in the ground, and you will see|It will be a surprise],\" said {mtitle}.")
    s.say("{n} made a hole in the [garden|ground], put in the seed, and gave it some water. [Then {he} sat down and waited.|\"Grow, little seed,\" {he} said.] [But nothing happened.|The next morning, there was nothing to see.]")
    s.say('["It does not work," said {n}. "You must be patient," said {his} {m}.|{n} wanted to dig it up. "Wait," said {his} {m}. "It is working under the ground."]')
    s.paragraph()
    s.say("[Every day, {n} gave it water.|Every day, {n} watered it and sang it a song.] The sun shone, and the rain fell. One morning, there was a little green leaf! [{n} danced around it.|\"It is growing!\" shouted {n}.]")
    s.say("[It grew and grew.|The plant grew taller each week.] [When the wind was strong, {n} tied it to a stick.|When the snails came, {n} carried them away.|]")
    s.paragraph()
    s.say("At the end of the summer, {n} had {outcome}.")
    s.say("[All {his} friends came to see it.|{n} was very proud.] [\"Good things take time,\" said {mtitle}.|{n} was glad that {he} had waited.|{n} kept one seed for the next spring.]")


def lost_in_forest(s):
    child(s), family(s), animal(s, kinds=["rabbit", "owl", "fox", "squirrel", "hedgehog", "bird"])
    opening(s)
    s.paragraph()
    s.say("One day, {n} went for a walk in the forest with {his} {m}. [{He} saw [a pretty butterfly|a blue bird|a little stream] and followed it.|{He} found some sweet berries. {He} picked one, and another one, and another one.|{He} saw a beautiful flower, and then another one, and another one.] [{He} did not look where {he} was going.|{He} went deeper and deeper into the forest.]")
    s.say('When {he} looked up, {he} did not see {his} {m}. [{He} was lost.|All the trees looked the same.] "{mtitle}! Where are you?" {he} called. [Nobody answered.|Only the wind answered.] {n} sat down and began to cry.')
    s.paragraph()
    s.say('Just then, {aakind} came out from behind a tree. "Why are you crying?" asked the {akind}. "I am lost," said {n}. "I want to go home."')
    s.say('"[I know this forest well|I know the way|I live here, and I know every tree]," said the {akind}. "[Follow me|Come with me]!" [The {akind} {amoved} ahead, and {n} followed.|{n} dried {his} eyes and followed the {akind}.]')
    s.say("They went [over a hill and across a little bridge|past a big rock and along a stream|under the tall trees and around a pond]. [At last, {n} saw the road.|Soon {n} heard a voice. \"{n}! {n}!\" It was {his} {m}.]")
    s.paragraph()
    s.say('{n} ran into {his} {m}\'s arms. ["I was so worried," said {mtitle}.|"I will never run off again," said {n}.|"{Aakind} helped me," said {n}.]')
    s.say("[{n} turned around to say thank you, but the {akind} was gone.|{n} waved to the {akind}. \"Thank you, my friend!\"] [The next day, {n} left some {afood} under the tree.|From then on, {n} always stayed close to {his} {m} in the forest.]")
    ending(s)


def too_much(s):
    child(s), family(s)
    s.put(food=s.pick(FOODS))
    opening(s)
    s.say("[{n} loved to eat {food}.|Most of all, {n} liked {food}.]")
    s.paragraph()
    s.say('One day, {his} {m} [made|brought home] a big plate of {food}. "You can have two," said {mtitle}. "[The rest is for the party|We will share the rest with your friends|Keep some for your sister]."')
    s.say("{n} ate two. They were so good! Then {his} {m} went [out into the garden|to the shop|to answer the door]. [\"I will eat just one more,\" {n} thought.|{n} looked at the plate. \"One more will be fine,\" {he} said.] {He} ate one, and then another one, and another one. Soon the plate was empty.")
    s.paragraph()
    s.say("[Then {his} tummy began to hurt.|\"Oh, my tummy!\" cried {n}.] [{He} had to lie down.|{He} lay down on the floor.] {His} {m} came back and saw the empty plate. [\"Did you eat all the {food}?\" {mhe} asked.|\"Where are all the {food}?\" {mhe} asked.]")
    s.say('"Yes," said {n}. "I am sorry. [I could not stop|They were so good|I should have listened to you]." {mtitle} [gave {him} some tea|put a warm blanket on {him}].')
    s.paragraph()
    s.say("The next day, {n} felt better. {He} [helped {his} {m} to make new {food}|went to the kitchen and made new {food} with {his} {m}]. This time, [{he} ate only two and gave the rest to {his} friends|{he} shared them with everyone]. [They tasted even better that way.|{He} learned that too much of a good thing is not good.|Everyone was happy.]")


def sandcastle(s):
    name = child(s)
    child(s, "f", not_named=[name])
    what, where, stuff, enemy, result = s.pick([
        ("a sandcastle", "at the beach", "[wet sand and shells|sand and little stones]", "a big wave came", "washed it away"),
        ("a snowman", "in the yard", "[three big balls of snow|lots of snow]", "the sun came out", "melted its head"),
        ("a tree house", "in the old oak tree", "[boards and nails|some old boards]", "a strong wind came", "blew down the roof"),
        ("a tower", "in the living room", "[blocks of every color|all the blocks]", "the dog ran in", "knocked it over"),
        ("a dam", "in the little stream", "[stones and mud|sticks and stones]", "a lot of rain fell", "broke it"),
    ])  # fmt: skip
    s.put(what=what, where=where, enemy=enemy, result=result, plain=what.split(" ", 1)[1])
    s.say("[One day, {n} and {fn} wanted to build {what} {where}.|{n} and {fn} were good friends. One day, they decided to build {what} {where}.]")
    s.say(f"They used {stuff}. [They worked all morning.|They worked very hard.|It took a long time.] [It was the biggest {{plain}} they had ever seen.|At last, it was finished. It was beautiful.]")
    s.paragraph()
    s.say('[But then {enemy} and {result}.|Suddenly, {enemy} and {result}.] ["Oh no!" cried {n}. "All our work is gone!"|{n} was very sad. "We did all that work for nothing," {he} said.|{n} wanted to go home.]')
    s.say('["We can build it again," said {fn}. "And this time, we will make it stronger."|But {fn} said, "We know how to do it now. The next one will be better."|{fn} laughed. "That was funny!" {fhe} said. "Let us build a new one."]')
    s.paragraph()
    s.say("So they started again. [They found a better place.|They asked their friends to help.|They made it wider at the bottom.] [They worked together and sang a song.|{n} did one side, and {fn} did the other side.]")
    s.say("[The new {plain} was even better than the first one.|This time, it stayed.|When it was done, it was twice as big.] [\"We make a good team,\" said {n}.|They were very proud.|They put a little flag on the top.|Everyone came to look at it.]")


def cannot_sleep(s):
    child(s), family(s)
    opening(s)
    s.paragraph()
    s.say("One night, {n} could not sleep. [{He} turned to the left, and {he} turned to the right.|{He} counted to one hundred, but it did not help.] [The room was too quiet.|The bed was too warm.|{His} eyes would not close.]")
    s.say('{He} got up and went to {his} {m}. "I cannot sleep," {he} said.')
    s.paragraph()
    way = s.pick(["walk", "song", "story", "milk"])
    if way == "walk":
        s.say('"Come," said {mtitle}. "We will see who else is awake." They went out into the garden. [An owl hooted in the tree.|A hedgehog walked through the grass.|A little mouse ran across the path.] [The moon shone on the flowers.|The stars were very bright.]')
        s.say('"The night is full of small things," said {mtitle}. They sat on the bench and listened. [Soon {n}\'s head was on {his} {m}\'s shoulder.|After a while, {n} gave a big yawn.]')
    elif way == "song":
        s.say("{His} {m} sat down by the bed and began to sing. [It was a song about a boat on a quiet sea.|It was a song about a lamb on a hill.|It was a song about the moon.] {n} closed {his} eyes. [The voice was warm and low.|The song was slow and soft.]")
        s.say("[Before the song was over, {n} was asleep.|When the song ended, {n} did not hear it, because {he} was asleep.]")
    elif way == "story":
        s.say('"Once there was a [bear|rabbit|little star] that could not sleep," said {mtitle}. "It asked the river for help, and the river said, hush. It asked the wind for help, and the wind said, hush. So it lay down and listened to the river and the wind."')
        s.say("{n} listened, too. [Hush, said the wind outside.|Outside, the wind said, hush.] [{n} smiled and closed {his} eyes.|Soon {his} eyes were closed.]")
    else:
        s.say("{His} {m} made some warm milk with honey. They sat in the kitchen together. [\"What was the best thing today?\" asked {mtitle}.|\"What are you thinking about?\" asked {mtitle}.] {n} [told {mhim} about the games at school|told {mhim} about a big blue butterfly|told {mhim} all about the day].")
        s.say("[The milk was sweet and warm.|{n} drank all the milk.] [Soon {n} began to yawn.|Then {his} eyes became heavy.] {His} {m} carried {him} back to bed.")
    s.paragraph()
    s.say('["Good night, {n}," whispered {mtitle}.|{mtitle} turned off the light and smiled.|{n} dreamed of the moon and the stars.|{n} slept until the sun came up.]')


def strange_sound(s):
    name = child(s)
    child(s, "f", not_named=[name]), animal(s, kinds=["kitten", "puppy", "bird", "mouse", "duck", "squirrel"])
    opening(s)
    s.put(box="[an old box|a big basket|a wooden chest|a brown bag]", where="[in the attic|by the door|under the stairs|behind the shed|in the old barn]")
    s.put(container=s.words["box"].split()[-1])
    s.paragraph()
    s.say("One day, {n} and {his} friend {fn} found {box} {where}. [It was closed.|There was no name on it.] Then they heard a sound from inside. [Scratch, scratch.|Tap, tap, tap.|Bump!]")
    s.say('"[What is that|Did you hear that]?" whispered {n}. "[Maybe it is a ghost|Maybe it is a monster|Maybe it is a treasure]," said {fn}. [They took a step back.|They held hands.]')
    s.say('"[We must look|I want to know]," said {n}. {He} [opened it very slowly|counted to three and opened it].')
    s.paragraph()
    s.say("Out came {aakind}! [It was small and soft.|It had big bright eyes.] The {akind} looked at them and {asound}. [The children laughed.|\"It is not a monster!\" said {fn}.]")
    s.say('["You must be hungry," said {n}, and {he} gave {ahim} some {afood}.|They gave {ahim} some water and some {afood}.] ["How did you get in there?" asked {fn}.|The {akind} ate everything.]')
    s.say("[They named {ahim} {aname}.|\"We will call you {aname},\" said {n}.] [{aname} stayed with {n} and slept on {his} bed.|After that, {aname} came to play with them every day.|{aname} liked the {container} so much that {ahe} slept in it every night.]")
    ending(s)


def new_friend(s):
    name = child(s)
    child(s, "f", not_named=[name]), toy(s), place(s)
    s.say("[{fn} was new in town.|{fn} had just moved to a new town.|{fn} was a new {fgirl} at the school.] {Fhe} did not know anyone. [{Fhe} missed {fhis} old friends.|Every day, {fhe} played alone.|{Fhe} sat alone at lunch.]")
    s.paragraph()
    s.say("One day, {fn} went to {p}. There {phas}. [The other children played together|All the children were laughing and running], but {fn} [sat by {fhim}self|only watched|was too shy to ask].")
    s.say("A {girl} named {n} saw {fhim}. [\"{Fhe} looks sad,\" thought {n}.|{n} remembered how it was to be alone.] {He} took {his} {t} and went over.")
    s.say('"Hello, I am {n}," {he} said. "[This is my {tplain}. Do you want to play with me|Do you want to {tdo} with me|Do you want to play]?" [{fn} looked up and smiled.|{fn} was surprised. "Yes, I do," {fhe} said.]')
    s.paragraph()
    s.say("[They played all afternoon.|They played until it was time to go home.] [{fn} knew a funny game, and soon all the children wanted to play it.|{fn} could run very fast, and {n} could jump very high.|{fn} told a funny joke, and {n} laughed so much that {he} fell over.]")
    s.say('["See you tomorrow!" said {n}.|"Will you come again tomorrow?" asked {n}. "Yes!" said {fn}.] [{fn} ran home. "I have a friend!" {fhe} told {fhis} mom.|From that day on, {fn} was not alone any more.|Now {fn} was happy in the new town.]')


def tidy_room(s):
    child(s), family(s), toy(s)
    opening(s)
    s.say("But {his} room was [always a mess|never tidy]. There were toys on the floor, socks on the lamp, and [crumbs in the bed|books under the rug].")
    s.paragraph()
    s.say('"Please clean your room," said {his} {m}. "[Later|Tomorrow|I am too busy now]," said {n}. {He} said it [every day|the next day, too].')
    s.put(guest="{n}'s [friend|uncle|aunt]")
    s.say("One day, {guest} [came to the door|called]. \"We are going to [the beach|the circus|the fair]! Bring your {tplain}!\" {n} ran to {his} room to get {his} {t}. But {he} could not find it.")
    s.say("{He} looked under the clothes. {He} looked under the books. [Toys flew through the air.|The mess became even bigger.] \"Where is it?\" {he} cried. [\"We cannot wait any more,\" said the others, and they left.|When {he} came out, everyone was gone.]")
    s.paragraph()
    s.say("{n} sat down on the floor and [cried|was very sad]. Then {he} stood up and began to clean. {He} put the books on the shelf and the socks in the basket. And there, under the very last shirt, was the {t}!")
    s.say("[{n}'s {m} looked in. \"What a nice room!\" {mhe} said.|\"It looks like a new room,\" said {mtitle}.] [The next time, {n} was ready first.|After that, {n} put everything in its place each evening.|{n} was surprised how big {his} room was.]")


def kind_deed(s):
    child(s), family(s), place(s)
    s.put(person="[an old man|an old woman]")
    pronoun = ("he", "him", "his") if "man" == s.words["person"].split()[-1] else ("she", "her", "her")
    s.put(ohe=pronoun[0], ohim=pronoun[1], ohis=pronoun[2], other="the " + s.words["person"].split(" ", 1)[1], treat="[an ice cream|a big red apple|a new book|a cookie|a balloon]")
    opening(s)
    s.paragraph()
    s.say("[One day, {n} got a coin from {his} {m}.|{n} had a shiny coin.] {He} wanted to buy {treat}. [{He} ran down the street with the coin in {his} hand.|{He} was very happy and sang a little song.]")
    problem = s.pick(["had a heavy bag", "looked cold and hungry", "had dropped all {ohis} apples"])
    s.say("On the way, {he} saw {person}. {Ohe} " + problem + ". [People walked by and did not look.|Nobody stopped.]")
    s.paragraph()
    if "bag" in problem:
        s.say('"May I help you?" asked {n}. {He} took one side of the bag, and they carried it together. It was a long way up the hill, and when they got there, [the shop was closed|it was too late to go to the shop].')
    elif "hungry" in problem:
        s.say('{n} looked at {his} coin. {He} thought about {treat}. Then {he} went into the bakery and bought a warm bread. "This is for you," {he} said.')
    else:
        s.say('"I will help you," said {n}. {He} crawled under a cart and picked up the apples, one by one. [It took a long time.|{His} knees got dirty, but {he} did not mind.] The last apple had rolled into the street, and {n} gave {his} coin to buy a new one.')
    s.say('["You have a good heart," said {other}.|{Other} smiled. "Thank you, my child," {ohe} said.|"What a kind {girl} you are," said {other}.]')
    s.paragraph()
    s.say("{n} went home without {treat}, but {he} [felt warm inside|was not sad at all]. [When {he} told {his} {m}, {mhe} was very proud.|The next day, there was a little gift at {his} door. It was from {other}.|From then on, {other} always waved to {him}.]")
    ending(s)


PLOTS = [
    lost_toy, hurt_animal, sharing, afraid, learning, rainy_day, broken_thing, birthday_gift, planting, lost_in_forest,
    too_much, sandcastle, cannot_sleep, strange_sound, new_friend, tidy_room, kind_deed,
]  # fmt: skip
