"""Nonsense sentences of 6 to 12 words for speaker recognition; training and test words differ.

Those of `draw_talk` have small words between, and the words of Speech Commands among them: what a
listener hears when people talk.
"""

import numpy as np

from kws.data.protocols import V2_WORDS

SHORTEST, LONGEST = 6, 12  # words
TRAINING = """
    above across afternoon almost animal apple autumn bake balance basket because before begin
    beneath better borrow bottle branch bread bridge bright bring brother butter button candle
    careful carry castle chapter cheese cherry clever cloud coffee collar cottage country cousin
    crowd dance daughter decide different dinner doctor dollar dream during early earth engine
    enough evening example family famous father feather fence finger finish flower forest forget
    fresh garden gentle giant ginger glass golden gather green ground hammer harbor heavy helpful
    hidden history honest hundred husband imagine island january jacket journey kitchen ladder
    language laugh lemon letter library listen little machine market meadow measure middle minute
    mirror monday money morning mountain museum narrow nature neither nephew number ocean often
    orange painter paper
"""
TESTING = """
    address always answer april artist attic balloon barrel beautiful bicycle blanket blossom
    boundary breakfast bucket building calendar camera captain careless carpet ceiling century
    chicken chimney chocolate circle circus clothes college color concert corner cotton courage
    cover cricket cupboard curtain december dentist desert distance drawer eagle easy elbow elephant
    empty engineer envelope february field fifteen flavor friday future gallery glacier goose
    grammar guitar handle holiday hospital hungry ice insect jungle kettle knowledge lantern leather
    lesson lighthouse lizard lonely magazine marble medicine melody message midnight music needle
    neighbor notice october office onion opposite parcel parrot pencil pepper picture pillow
"""
SMALL = """
    a about all an and are as at be been but by can could did do does for from get had has have he
    her him his how i if in into is it its just like may me more most much my of or our out said say
    she so some than that the their them then there these they this to was we were what when which
    who will with would you your
"""
WORDS = {"training": tuple(TRAINING.split()), "testing": tuple(TESTING.split())}


def draw_sentence(rng: np.random.Generator, split: str) -> str:
    """6 to 12 words of `split` ("training" or "testing"), perhaps with a comma, and a full stop."""
    words = list(rng.choice(WORDS[split], size=rng.integers(SHORTEST, LONGEST + 1)))
    if rng.random() < 0.5:
        words[len(words) // 2] += ","
    return " ".join(words) + "."


def draw_talk(rng: np.random.Generator) -> str:
    """As `draw_sentence` for training, of all words: one in five is of Speech Commands."""
    said = []
    for _ in range(rng.integers(SHORTEST, LONGEST + 1)):
        said += [rng.choice(SMALL.split()) for _ in range(rng.integers(3))]
        said.append(rng.choice(V2_WORDS if rng.random() < 0.2 else WORDS["training"]))
    if rng.random() < 0.5:
        said[len(said) // 2] += ","
    return " ".join(said) + "."
