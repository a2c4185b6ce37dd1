"""Sentences to speak: a grammar of English sentences, and strings of digits.

A grammar maps a symbol to its expansions, in which `{symbol}` stands for an expansion of another
symbol. Words are spelled out, numbers too, so that each word of a text is spoken as it is written.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from wavenet_tf.errors import InputError

Grammar = Mapping[str, Sequence[str]]

# The kinds of text that `draw_sentences` draws.
KINDS = ("sentences", "digit_strings", "digits")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGITS_PER_STRING = (2, 7)
# So many repetitions in a row of earlier sentences end the drawing.
MAX_REPETITIONS = 1000

_SYMBOL = re.compile(r"\{(\w+)\}")
_A_BEFORE_A_VOWEL = re.compile(r"\b([Aa]) (?=[aeiou])")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


_VERBS = """
    admire admired  bring brought  brush brushed  buy bought  carry carried  catch caught
    change changed  check checked  choose chose  clean cleaned  collect collected  count counted
    cover covered  deliver delivered  describe described  destroy destroyed  draw drew
    enjoy enjoyed  examine examined  exchange exchanged  fetch fetched  find found  finish finished
    fix fixed  follow followed  forget forgot  give_away gave_away  grab grabbed  guard guarded
    hide hid  hold held  ignore ignored  join joined  judge judged  keep kept  kick kicked
    leave left  lend lent  lift lifted  lose lost  love loved  measure measured  mention mentioned
    move moved  notice noticed  open opened  order ordered  paint painted  photograph photographed
    pick_up picked_up  polish polished  praise praised  protect protected  pull pulled  push pushed
    reach reached  recognize recognized  remember remembered  repair repaired  replace replaced
    return returned  see saw  sell sold  send sent  share shared  show showed  sketch sketched
    spoil spoiled  steal stole  study studied  throw threw  touch touched  trade traded
    treasure treasured  use used  visit visited  wash washed  watch watched
    weigh weighed  wrap wrapped
"""
_VERB_FORMS = [verb.replace("_", " ") for verb in _words(_VERBS)]

_UNITS = DIGITS[1:]
_TEENS = _words("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
_TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")

SENTENCES: Grammar = {
    "sentence": _lines("""
        {someone} {past} {the_thing} {where}.
        {someone} {past} {number} {things} {when}.
        {someone} {adverb} {past} {the_thing}.
        {someone} said that {the_thing} was {color}, not {color}.
        {someone} {past} {the_thing}, and {name} {past} {the_thing}.
        {when}, {someone} {past} {the_thing}.
        {name} and {name} will {base} {the_thing} {when_next}.
        {the_thing} is more {quality} than {the_thing}.
        {the_thing} {where} is made of {material}.
        {the_thing} costs {number} {coins}.
        {the_animal} {moved} {way}, and {someone} {reacted}.
        {the_animal} likes {food}, but it never drinks {drink}.
        Did {someone} {base} {the_thing} {when}?
        Did you see {the_animal} {where}?
        Where did {someone} {base} {the_thing}?
        Why is {the_thing} so {adjective}?
        Why does {someone} want to {base} {the_thing}?
        How many {things} can {someone} {base}?
        How much {food} should we buy {when_next}?
        Which {job} will {base} {the_thing}?
        Would you like {food} or {food} with your {drink}?
        Could you please {base} {the_thing} {where}?
        Have you ever been {where} with a {adjective} {job}?
        Please {base} {the_thing} before {clock}.
        Please bring {number} {things} and some {drink}.
        Never {base} a {adjective} {thing} {where}.
        There are {number} {things} {where}.
        There was a {adjective} {thing} {where}.
        If {happening}, we should {base} {the_thing}.
        When {happening}, {someone} {reacted}.
        It is {clock}, and {someone} is {state}.
        Nobody {past} {the_thing}, because it was {adjective}.
        I would rather {base} a {thing} than {base} a {thing}.
        I think that {someone} {past} my {adjective} {thing}.
        In {year}, {someone} {past} {the_thing}.
        Either {name} or {name} has {the_thing}.
        We paid {number} {coins} for {food} and {drink}.
        They {gave} us {number} {things}.
        What a {adjective} {thing} {someone} {past}!
        Room {number} is {where}, next to the {place}.
    """),
    "someone": ("{name}", "the {job}", "the {job}", "the {adjective} {job}", "{pronoun}"),
    "pronoun": ("she", "he", "everybody", "my {relative}", "our {relative}", "their {relative}"),
    "the_thing": (
        "the {thing}",
        "the {adjective} {thing}",
        "a {color} {thing}",
        "this {thing}",
        "that {adjective} {thing}",
        "his {thing}",
        "her {thing}",
        "your {color} {thing}",
    ),
    "the_animal": ("the {animal}", "the {adjective} {animal}", "a {color} {animal}"),
    "name": _words("""
        Adam Alice Anthony Arthur Beth Boyd Carol Charles Chloe Cynthia David Deborah Edith Ethan
        Floyd Frank George Gloria Hannah Harvey Heather Hugh Ian Isabel Jack Joyce Julia Keith
        Laura Leo Lucy Martha Matthew Nora Oliver Owen Paula Peter Philip Rachel Roy Ruth Sarah
        Sean Sophie Theo Thomas Troy Victor Violet Walter Yvonne Zachary Zoe
    """),
    "relative": _words("""
        aunt brother cousin daughter father mother nephew niece sister son uncle neighbor friend
    """),
    "job": _words("""
        actor author baker barber boy butcher carpenter chef child coach cook cowboy dentist
        doctor driver engineer farmer fisherman girl guard judge jeweler king lawyer librarian
        mayor mechanic merchant musician nurse painter pilot plumber poet postman prince queen
        sailor scholar scientist shepherd singer soldier student surgeon tailor teacher thief
        tourist waiter watchman witness writer youth
    """),
    "animal": _words("""
        ape bear beaver bird butterfly camel cat cow deer dog dolphin donkey duck eagle elephant
        falcon fish fox frog giraffe goat goose hawk hedgehog horse jaguar kangaroo lion lizard
        monkey moose mouse otter owl ox oyster panther parrot penguin pig pony puppy rabbit raven
        seal shark sheep snake spider squirrel swan tiger toad turtle whale wolf worm zebra
    """),
    "thing": _words("""
        anchor apron arrow atlas axe badge bag balloon basket bath battery bell bicycle blanket
        boat book bottle bowl box bracelet bridge broom brush bucket button cage camera candle
        canoe car carpet chain chair clock cloth coat coin collar compass computer couch cradle
        crown cup curtain cushion desk diamond door dress drum envelope fan feather fence flag
        flute fork garage glass glove guitar hammer hat helmet hook hose jacket jar jewel jigsaw
        jug kettle key kite knife ladder lamp lantern leash letter lock locket machine magazine
        map mask match mattress medal mirror motor mug nail napkin necklace needle net newspaper
        notebook oven package paddle paper parcel pencil photo piano picture pillow pipe plate
        pocket poem pot puzzle quilt radio rake razor ribbon ring robe rope rug ruler saddle sail
        saw scarf shelf shirt shoe shovel sketch skirt sled soap sofa spoon stove suitcase sweater
        sword table tape telephone television tent thread ticket tool towel toy tractor trophy
        trumpet tub tube umbrella vase vest violin wagon wallet watch wheel whistle window wire
        wreath yacht zipper
    """),
    "things": _words("""
        apples arrows bags balloons baskets beads bells boats books bottles bowls boxes bricks
        brushes buckets buttons cages candles cards chairs clocks cloths coats cups cushions
        doors drums envelopes feathers flags forks glasses gloves guitars hats hooks jars jewels
        keys kites knives ladders lamps leaves letters maps masks matches mirrors nails oranges
        paths pencils photos pictures pillows pipes plates pots puzzles ribbons rings ropes rugs
        shells shelves shirts shoes socks songs spoons stones tables tapes tickets tools towels
        toys trees vases violins watches wheels whistles windows wires wreaths
    """),
    "adjective": _words("""
        ancient awful beautiful big blunt bright broken casual cheap clean clever cold crooked
        curious dangerous dark dirty dusty easy elegant empty enormous familiar famous fancy
        foreign fragile fresh friendly funny gentle gloomy golden handsome heavy hollow huge
        humble jealous jolly large lazy little lonely long loud loyal lucky luxurious mysterious
        narrow new noisy odd old ordinary perfect plain pleasant poor pretty proud pure quick
        quiet rare rich rough round royal rusty sharp shiny short silent silly simple small smooth
        soft sour strange strong sudden tall thick thin tidy tiny tough ugly vague warm
        weary wet wide wild wise wooden worthless wrong young
    """),
    "quality": _words("""
        attractive beautiful common costly dangerous difficult expensive fragile important
        interesting mysterious pleasant popular practical precious reliable serious suitable
        unusual useful valuable
    """),
    "color": _words("""
        amber beige black blue bronze brown crimson gray green ivory orange pink purple red
        scarlet silver turquoise violet white yellow
    """),
    "material": _words("""
        brass bronze clay copper cotton glass gold iron leather marble oak paper plastic rubber
        silk silver steel stone wood wool
    """),
    "food": _words("""
        bacon beans beef bread butter cabbage cake carrots celery cheese cherries chocolate corn
        fish fruit garlic ginger ham honey jam lemons lettuce mushrooms mustard noodles nuts
        olives onions pancakes pasta peaches pears peas pepper pickles pie potatoes pudding rice
        salad salt sausages soup spinach strawberries sugar toast yogurt
    """),
    "drink": _words("beer cider cocoa coffee juice lemonade milk tea water wine"),
    "place": _words("""
        airport bakery bank barn beach bookshop bridge castle cathedral cave chapel church cliff
        corner cottage courtyard factory farm field forest fountain garden gate hall harbor
        highway hill hospital hotel house island jail junction jungle kitchen lake library market
        meadow mill mountain museum office orchard palace park path pool pub river school shop
        shore stable stadium station street studio swamp theater tower tunnel valley village
        warehouse wharf zoo
    """),
    "where": (
        "at the {place}",
        "behind the {place}",
        "beside the {place}",
        "in the {place}",
        "inside the {place}",
        "near the {adjective} {place}",
        "on the other side of the {place}",
        "outside the {place}",
        "under the {thing}",
        "between the {place} and the {place}",
    ),
    "way": (
        "across the {place}",
        "around the {thing}",
        "away from the {place}",
        "over the {thing}",
        "past the {adjective} {place}",
        "through the {place}",
        "toward the {job}",
    ),
    "moved": _words("""
        bounced crawled dashed hurried jumped leaped marched pushed raced ran rushed slid swam
        vanished walked wandered
    """),
    "reacted": (
        *_words("applauded argued coughed cried frowned giggled laughed prayed shivered shouted"),
        *_words("sighed sneezed stared whispered yawned"),
        "began to {base} the {thing}",
        "looked at the {thing}",
        "ran to the {place}",
        "thought about the {thing}",
    ),
    "state": (
        *_words("angry anxious asleep awake busy happy hungry late sad sick thirsty tired"),
        "looking for the {thing}",
        "still {where}",
        "waiting {where}",
        "worried about the {animal}",
    ),
    "happening": (
        "it rains {when_next}",
        "it starts to snow",
        "the {animal} gets away",
        "the {job} comes back",
        "the {thing} falls down",
        "the {thing} is too {adjective}",
        "the weather is {adjective}",
        "you hear the {thing}",
        "{name} agrees with {name}",
    ),
    "adverb": _words("""
        almost always badly calmly carefully cheerfully clearly finally gladly hardly never
        often quickly quietly rarely secretly slowly soon suddenly usually
    """),
    "when": (
        "yesterday",
        "last {day}",
        "last {month}",
        "on {day}",
        "{number} days ago",
        "at {clock}",
        "early in the morning",
        "during the {season}",
    ),
    "when_next": (
        "tomorrow",
        "tonight",
        "next {day}",
        "next {month}",
        "on {day}",
        "at {clock}",
        "in the {season}",
    ),
    "day": _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"),
    "month": _words("""
        January February March April May June July August September October November December
    """),
    "season": _words("spring summer autumn winter"),
    "clock": (
        "half past {hour}",
        "a quarter to {hour}",
        "a quarter past {hour}",
        "{tens} minutes past {hour}",
        "{hour} thirty",
        "noon",
        "midnight",
    ),
    "hour": (*_UNITS, "ten", "eleven", "twelve"),
    "coins": ("cents", "dollars", "pounds", "pennies", "euros"),
    "number": (
        "{small}",
        "{teens}",
        "{tens}",
        "{tens} {units}",
        "{units} hundred",
        "{units} hundred and {tens} {units}",
        "{small} thousand",
    ),
    "small": _UNITS[1:],
    "units": _UNITS,
    "teens": _TEENS,
    "tens": _TENS,
    "year": ("{century} {teens}", "{century} {tens} {units}", "two thousand and {units}"),
    "century": ("sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
    "gave": ("brought", "fetched", "handed", "lent", "sent", "showed", "sold", "threw"),
    "base": tuple(_VERB_FORMS[::2]),
    "past": tuple(_VERB_FORMS[1::2]),
}


def expand(grammar: Grammar, symbol: str, generator: np.random.Generator) -> str:
    """Returns a random expansion of a symbol.

    Args:
        grammar: expansions by symbol.
        symbol: the symbol to expand.
        generator: source of every random choice.

    Example:
    >>> grammar = {"greeting": ["hello {name}"], "name": ["Zoe"]}
    >>> expand(grammar, "greeting", np.random.default_rng(0))
    'hello Zoe'
    """
    expansions = grammar[symbol]
    chosen = expansions[int(generator.integers(len(expansions)))]
    return _SYMBOL.sub(lambda match: expand(grammar, match[1], generator), chosen)


def draw_sentences(kind: str, seed: int) -> Iterator[str]:
    """Yields random texts to speak, always the same ones for a seed.

    Args:
        kind: "sentences" for sentences of the grammar and "digit_strings" for strings of digits,
            each yielded once; "digits" for single digits, ten different ones in each ten.
        seed: non-negative seed of the random choices.

    Raises:
        InputError: if the kind is unknown, or if the grammar has no more sentences.

    Example:
    >>> digit_strings = draw_sentences("digit_strings", seed=0)
    >>> next(digit_strings), next(digit_strings)
    ('six five two three zero zero zero', 'eight six nine')
    """
    if kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}; received {kind!r}")
    generator = np.random.default_rng(seed)
    if kind == "digits":
        while True:
            yield from (DIGITS[digit] for digit in generator.permutation(len(DIGITS)))
    draw = _draw_sentence if kind == "sentences" else _draw_digit_string
    yield from _without_repetitions(draw, generator)


def _draw_sentence(generator: np.random.Generator) -> str:
    text = _A_BEFORE_A_VOWEL.sub(r"\1n ", expand(SENTENCES, "sentence", generator))
    return text[0].upper() + text[1:]


def _draw_digit_string(generator: np.random.Generator) -> str:
    fewest, most = DIGITS_PER_STRING
    num_digits = generator.integers(fewest, most + 1)
    return " ".join(DIGITS[digit] for digit in generator.integers(len(DIGITS), size=num_digits))


def _without_repetitions(draw, generator: np.random.Generator) -> Iterator[str]:
    """Yields each text that `draw` returns once.

    Raises:
        InputError: if it returns earlier texts MAX_REPETITIONS times in a row.
    """
    seen: set[str] = set()
    while True:
        texts = (draw(generator) for _ in range(MAX_REPETITIONS))
        text = next((text for text in texts if text not in seen), None)
        if text is None:
            raise InputError(f"there are too few different texts: {len(seen)} have been drawn")
        seen.add(text)
        yield text
