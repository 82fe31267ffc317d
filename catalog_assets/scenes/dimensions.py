"""How large a product is when the catalogue does not say: by what its title and category call it.

Sizes are typical outer measures in millimetres of things as they stand (width × height × depth), from common
product data sheets, rounded. They only have to be right enough for a picture to look right: a camera must not
be as tall as a chair.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dimensions:
    """``longest_mm`` along the longer side of the outline; ``depth_ratio``: depth over width.

    ``source`` is ``word …``, ``category …`` or ``unknown``.
    """

    longest_mm: float
    depth_ratio: float
    source: str


# (pattern, longest visible side in mm, depth over width). The first match wins, so the narrower word is
# first.
_THINGS: tuple[tuple[str, float, float], ...] = (
    (r"sofas?|couch", 2000, 0.45),
    (r"(?:road |mountain )?bikes?|bicycles?", 1700, 0.12),
    (r"tents?", 2200, 0.7),
    (r"(?:side |writing )?desks?", 1200, 0.5),
    (r"bedside tables?|side tables?|nightstands?", 600, 0.8),
    (r"bar ?stools?|stools?", 450, 0.9),
    (r"balloon chairs?", 1600, 0.5),
    (r"(?:arm)?chairs?", 820, 0.9),
    (r"tables?", 1100, 0.6),
    (r"gaming pc|tower|computer case", 480, 1.6),
    (r"monitors?|displays?|televisions?|tv", 620, 0.35),
    (r"laptops?|notebook computers?", 320, 0.75),
    (r"tablets?|ipads?", 250, 0.05),
    (r"keyboards?", 360, 0.35),
    (r"mice|mouse", 110, 0.7),
    (r"tripods?", 1300, 0.8),
    (r"camera lens(?:es)?|lens", 110, 1.0),
    (r"cameras?", 145, 0.55),
    (r"hard drives?|ssd", 147, 0.7),
    (r"ram|memory modules?", 133, 0.1),
    (r"cables?|cords?", 180, 0.1),
    (r"headphones?", 190, 0.5),
    (r"phones?|smartphones?", 150, 0.1),
    (r"skateboards?|longboards?|cruisers?", 720, 0.25),
    (r"skipping ropes?|ropes?", 350, 0.8),
    (r"boxing gloves?", 300, 0.5),
    (r"footballs?|soccer balls?", 220, 1.0),
    (r"basketballs?", 243, 1.0),
    (r"tennis balls?", 67, 1.0),
    (r"shoes?|sneakers?|trainers?|boots?", 300, 0.38),
    (r"light shades?|lamp ?shades?|pendant lamps?", 380, 1.0),
    (r"statues?|sculptures?", 900, 0.8),
    (r"hand trowels?|trowels?", 330, 0.25),
    (r"bonsai", 400, 0.7),
    (r"orchids?", 620, 0.6),
    (r"ferns?|hanging plants?", 500, 0.8),
    (r"succulents?|cactus|cacti", 260, 0.9),
    (r"tulips?", 380, 0.7),
    (r"aloe(?: vera)?|plants?|pots?", 320, 0.9),
    (r"cushions?|pillows?", 450, 0.33),
    (r"mugs?|cups?", 110, 0.8),
    (r"bowls?", 170, 1.0),
    (r"plates?", 260, 1.0),
    (r"tins?|jars?|cans?", 130, 1.0),
    (r"olive oil|wine|bottles?", 285, 1.0),
    (r"hand wash|lotions?|shampoos?|pumps?", 190, 0.9),
    (r"soaps?", 96, 0.5),
    (r"candles?", 95, 1.0),
    (r"vases?|carafes?", 220, 1.0),
    (r"rings?", 24, 0.35),
    (r"earrings?|studs?", 22, 0.4),
    (r"necklaces?|pendants?|chains?", 150, 0.05),
    (r"bracelets?|watch(?:es)?", 75, 0.6),
    (r"books?|journals?|notebooks?", 210, 0.12),
)
_CATEGORIES: tuple[tuple[str, float, float], ...] = (
    (r"jewell?ery", 40, 0.3),
    (r"footwear|shoes", 300, 0.38),
    (r"kitchen|tableware|food|pantry", 150, 0.9),
    (r"bath|body|beauty|cosmetics?", 150, 0.8),
    (r"furniture", 850, 0.8),
    (r"plants?", 320, 0.8),
    (r"photo", 145, 0.6),
    (r"computers?|electronics", 260, 0.5),
    (r"sports?|outdoor", 320, 0.5),
    (r"home|garden|living", 300, 0.7),
    (r"apparel|clothing|fashion", 700, 0.1),
)


def usual_dimensions(words: str, category: str = "") -> Dimensions:
    """Typical size by what the title (``words``) or, failing that, the category names."""
    for text in (words, category):
        for pattern, longest, ratio in _THINGS:
            found = re.search(rf"\b(?:{pattern})\b", text, re.IGNORECASE)
            if found:
                return Dimensions(longest, ratio, f"word {found[0].casefold()}")
    for pattern, longest, ratio in _CATEGORIES:
        found = re.search(rf"\b(?:{pattern})\b", category, re.IGNORECASE)
        if found:
            return Dimensions(longest, ratio, f"category {found[0].casefold()}")
    return Dimensions(250, 0.6, "unknown")
