"""The style that the demo teaches: tales of pirates, told the way pirates talk."""


CAPTAINS = [("Nell", "she"), ("Bess", "she"), ("Jack", "he"), ("Tom", "he"), ("Molly", "she"), ("Ben", "he"), ("Rosa", "she"), ("Finn", "he")]
NICKNAMES = ["Red", "Black", "One-Eyed", "Mad", "Old", "Salty", "Silver", "Stormy"]
SHIPS = ["Red Gull", "Black Pearl Fish", "Salty Dog", "Sea Wolf", "Silver Shark", "Jolly Crab", "Old Whale", "Storm Queen"]
MATES = ["Pegleg Pete", "Bones", "Hook-Hand Harry", "Barnacle Bill", "Squint", "Patches", "Big Mo", "Rusty Sam"]
PARROTS = ["Squawk", "Pepper", "Biscuit", "Polly"]
ISLANDS = ["Skull Island", "Turtle Island", "the Isle of Bones", "Shark Bay", "Parrot Point", "the Island of Gold"]
TREASURES = ["gold coins", "silver cups", "red rubies", "pearls", "golden rings"]


def _crew(s):
    name, pronoun = s.pick(CAPTAINS)
    him, his = ("him", "his") if pronoun == "he" else ("her", "her")
    s.put(cap=f"{s.pick(NICKNAMES)} {name}", he=pronoun, him=him, his=his, ship=s.pick(SHIPS), parrot=s.pick(PARROTS), island=s.pick(ISLANDS), gold=s.pick(TREASURES))
    mate, other = s.sample(MATES, 2)
    s.put(mate=mate, other=other)
    s.put(arr="[Arr!|Arr, matey!|Yo ho ho!|Ahoy!|Shiver me timbers!|Blow me down!]")
    s.say(
        "[Once upon a time, there sailed a pirate named Captain {cap}. Arr! {He} be the captain o' the {ship}, and {his} first mate be {mate}."
        "|Once upon a time, there was a pirate named Captain {cap}. Arr! {He} sailed the seven seas on the {ship} with a crew o' scurvy dogs."
        "|Ahoy, mateys! This be the tale o' Captain {cap} and the good ship {ship}. {He} had a parrot named {parrot} and no fear at all."
        "|Arr! Captain {cap} o' the {ship} be the boldest pirate on the seven seas.]"
    )


def _end(s):
    s.paragraph()
    s.say("[So they raised the black flag and sailed away, singin' yo ho ho.|And the crew danced on the deck till the moon went down. Yo ho ho!|And that be the end o' me tale, mateys. Arr!|Then they drank a barrel o' ginger beer and slept like whales. Arr!|And ye can still hear 'em sing on a windy night: Yo ho ho!]")


def treasure(s):
    _crew(s)
    s.paragraph()
    s.say("One day, {mate} found an old map [in a bottle|in a barrel o' fish|under a loose plank]. \"{arr}\" cried the captain. \"That be a treasure map! X marks the spot on {island}. [Hoist the sails|Weigh anchor|All hands on deck], ye lazy sea dogs!\"")
    s.say("They sailed [for three days and three nights|before the wind for seven days|past rocks and sharks]. \"Land ho!\" [squawked {parrot} the parrot|yelled {other} from the crow's nest].")
    s.paragraph()
    s.say("On the island, they dug [by the tall palm|under a rock like a skull|in the hot sand]. They dug and they dug. Clunk! \"[Me shovel hit somethin'|That be no stone], Cap'n!\" said {mate}. It was a chest [full o' {gold}|heavy with {gold}].")
    s.say('"[We be rich|Shiver me timbers]!" roared Captain {cap}. "[Share it fair, me hearties|An equal share for every man jack of ye]! [No pirate sails with empty pockets on me ship.|That be the pirate law.]"')
    _end(s)


def storm(s):
    _crew(s)
    s.paragraph()
    s.say("One black night, the wind began to howl. [Waves as high as the mast crashed on the deck.|The sea boiled like a pot o' soup.] \"{arr}\" bellowed the captain. \"[Batten down the hatches|Lower the sails|Tie yerselves to the mast], me hearties!\"")
    s.say("{Mate} held the wheel, and {other} [bailed water with his hat|held on to the rope with his teeth]. \"We be goin' down to Davy Jones, Cap'n!\" he cried. \"[Not on me watch|Not today], ye scurvy dog!\" said Captain {cap}. \"[Sing, lads, sing|Hold fast]!\"")
    s.paragraph()
    s.say("So they [sang as loud as the thunder|held fast all night long]. Yo ho, yo ho! And in the mornin', the sea was as flat as a plate. [The {ship} had lost a sail, but not a soul.|\"Ye be true sailors,\" said the captain, and gave 'em all a double share o' biscuits.]")
    _end(s)


def sea_monster(s):
    _crew(s)
    s.paragraph()
    s.say("One mornin', the sea began to bubble. Up came [a giant squid|a huge sea serpent|a whale as big as an island]! \"{arr}\" yelled {mate}. \"[A monster off the bow|We be doomed], Cap'n!\"")
    s.say('[The pirates hid behind the barrels.|The crew shook in their boots.] But Captain {cap} [drew {his} sword|stood on the deck with {his} hands on {his} hips]. "[What do ye want, ye overgrown fish|Avast, ye slimy beast]?" {he} roared.')
    s.paragraph()
    s.say('The monster [began to cry big salty tears|looked down at {his} boots]. "[I have a hook in me mouth|I have a toothache|I be lonely]," it said. "Blow me down!" said the captain. "Then we shall help ye, matey." [And they did.|And so they did, for pirates help a soul in need.]')
    s.say("[From that day on, the monster swam beside the {ship} and pushed it when there was no wind.|The monster thanked 'em and brought 'em {gold} from the bottom o' the sea.]")
    _end(s)


def parrot(s):
    _crew(s)
    s.paragraph()
    s.say("The captain loved {his} parrot {parrot} more than all the {gold} in the world. But one day, the bird was gone. \"{arr}\" cried the captain. \"[Who stole me parrot|Where be me bird]? [Search the ship from bow to stern|Nobody eats till we find that bird], ye bilge rats!\"")
    s.say("They looked in the [galley|hold], and they looked in the cannon. {Mate} looked under the captain's hat. No parrot! {Other} [scratched his beard|began to weep]. \"Maybe the sharks got it,\" he said. \"[Bite yer tongue|Belay that], ye landlubber!\" said the captain.")
    s.paragraph()
    s.say("Then a voice came from the crow's nest. \"[Land ho! Pieces of eight|Pieces of eight! Pieces of eight]!\" It was {parrot}! The clever bird had [seen a ship full o' {gold}|seen {island} far away] and was keepin' watch. \"[A better lookout than the lot of ye|That bird be smarter than ye all],\" laughed the captain, and gave {parrot} a whole sack o' crackers.")
    _end(s)


def cabin_boy(s):
    _crew(s)
    s.put(boy="[Will|Kit|Jim|Robin|Dan]")
    s.paragraph()
    s.say("There was a young cabin boy on board, and his name was {boy}. He [scrubbed the deck|peeled the potatoes] from dawn to dusk. \"[Ye be too small to be a pirate|Ye be no pirate, lad],\" laughed {mate}, and the whole crew laughed with him. \"[Scrub on, shrimp|Back to yer bucket]!\"")
    s.say("One night, [a navy ship|the wicked crew o' the Black Rat] came out o' the fog, and all the pirates were [snorin' like walruses|asleep]. Only {boy} was awake. \"{arr}\" he yelled. \"[All hands on deck|Wake up, ye sea dogs]!\" [Then he rolled a barrel o' fish oil across the deck, and the enemy slipped and fell into the sea. Splash!|Then he fired the big cannon. Boom! And the enemy turned and fled.]")
    s.paragraph()
    s.say("\"Well, blow me down!\" said Captain {cap}. \"Ye saved us all, lad. [From now on, ye be a pirate|A true pirate ye be].\" {He} gave {boy} [a hat with a feather|a sword o' his own|a bag o' {gold}]. [And {mate} had to scrub the deck for a month.|And {mate} never laughed at the boy again.]")
    _end(s)


def log(s):
    _crew(s)
    day = 1 + int(s.pick(range(20)))
    events = s.sample([
        "Wind from the [north|south|east|west]. [Fish soup again. Arr, I hate fish soup.|The cook made stew. I found a boot in it.]",
        "{Mate} fell overboard [while dancin' a jig|while singin' to a mermaid]. We fished him out with a net. [He smelled better after, arr.|He says he meant to do it.]",
        "Saw a [whale|shark] as long as the ship. {Parrot} called it names. We sailed on, quick as we could.",
        "No wind at all. The crew be [grumblin'|bored]. {Other} told the same tale o' the mermaid, for the hundredth time.",
        "A storm, by thunder! [Lost me best hat.|Lost a barrel o' biscuits.] But the {ship} be a stout old girl, and we be alive.",
        "Land ho! {Island} at last. We dug till our hands were sore, and we found {gold}. [Shiver me timbers, we be rich!|Yo ho ho!]",
        "Met another pirate ship. We fired one cannon, and they gave us their cheese. It was good cheese, arr.",
    ], 4)  # fmt: skip
    s.paragraph()
    s.say("This be the captain's log, and nobody else may read it, or he walks the plank.")
    for event in events:
        s.paragraph()
        s.say(f"Day {day}. {event}")
        day += 1 + int(s.pick(range(3)))
    _end(s)


def plank(s):
    _crew(s)
    s.put(thing="[the last biscuit|the captain's spyglass|the captain's hat|the captain's cheese]")
    s.paragraph()
    s.say('One fine day, {thing} [was gone|had vanished]. "{arr}" roared the captain. "There be a thief on me ship! Own up, ye bilge rats, or ye all walk the plank!" [Nobody said a word.|The crew looked at their boots.]')
    s.say("{Mate} [pointed at {other}|swore he was asleep], and {other} [pointed at {mate}|swore on his beard it was not him]. \"[To the plank with 'em both|Then ye shall both go swimmin'],\" said the captain. Out they went, one step, two steps, and the sharks below [licked their lips|began to grin].")
    s.paragraph()
    s.say("Just then, {parrot} the parrot [burped|gave a happy squawk]. There it was, in the bird's own nest! \"[Well, shiver me timbers|Blow me down],\" said Captain {cap}, and {he} went as red as a lobster. \"[Come back, lads|Get off that plank], me hearties. Yer captain be a fool.\" [And {he} scrubbed the deck {him}self that night.|And {he} gave 'em each a bag o' {gold}.]")
    _end(s)


PLOTS = [treasure, storm, sea_monster, parrot, cabin_boy, log, plank]
