"""Alba Home, the simulated company: everything that is true about it, as tables one can read.

Alba Home sells things for the house, from a candle to a kitchen, in Romania, Italy and London: on the
web, in an app, in its own stores. It is met in search, on social media and by e-mail, and answers
questions by chat (a bot first), by telephone and in the store. The window is the year 2025.

A customer has a *kind* and an *activity* (one positive number) and no other hidden trait. A kind
bends the common flows between touchpoints; activity sets only how often visits happen. Between
visits pass days, within a visit minutes. After a visit's last touchpoint comes the next visit, or
the end of the window, or the customer has left for good. What a customer does next depends on the
touchpoint, the kind, the *phase* (how many visits since the last purchase), on whether a friction has
just been met, and on what the company tries: that is in `programme`.

Every number here, in `kinds` and in `programme` was invented. A world is a company with its own kinds:

- `demo`: the five of `kinds`.
- `one_kind`: everybody is the average of the five. Activity, journeys, frictions and faults are the demo's.
- `continuum`: one axis from the researcher to the app native, 41 equally likely positions, no gaps.
- `broken`: the demo's kinds, where what estimators assume does not hold (`programme.BROKEN`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cxlib.world import programme
from cxlib.world.kinds import Kind, kinds_of

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

START = np.datetime64("2025-01-01T00:00:00", "us")
DAYS = 365  # visits that start within these days are in the window
CURRENCY = "EUR"
LANGUAGES = ("en", "ro", "it", "zh")
REGIONS = ("Bucharest", "Transylvania", "Lombardy", "Lazio", "London")
AGES = ("18-29", "30-44", "45-59", "60+")
TIERS = ("basic", "silver", "gold")
MOTIVES = ("price", "convenience", "certainty", "touch", "reassurance")
STAGES = ("awareness", "engagement", "transaction", "retention")
CHANNELS = ("search", "social", "email", "web", "app", "store", "call", "chat")
DIMENSIONS = ("information", "ease", "self_service", "personalisation", "communication", "availability")


class Touchpoint(NamedTuple):
    """One row of the catalog, and how it behaves."""

    name: str
    channel: str
    stage: str
    ownership: str  # owned | partner | customer | social
    mode: str  # self_service | assisted
    unit_cost: float  # of one contact, in cents
    by_brand: float  # share of contacts that the company starts
    minutes: float  # mean time to the next touchpoint of the visit
    mood: float  # shift of satisfaction (standard deviations) when asked here


TOUCHPOINTS: tuple[Touchpoint, ...] = tuple(
    Touchpoint(*row)
    for row in [
        # name                     channel   stage          ownership   mode            cost  brand  min  mood
        ("search_ad", "search", "awareness", "owned", "self_service", 42.0, 1.0, 0.6, 0.0),
        ("search_organic", "search", "awareness", "customer", "self_service", 0.0, 0.0, 0.8, 0.0),
        ("search_comparison_site", "search", "awareness", "partner", "self_service", 31.0, 0.0, 2.5, -0.1),
        ("social_ad", "social", "awareness", "owned", "self_service", 18.0, 1.0, 0.5, -0.1),
        ("social_post", "social", "awareness", "social", "self_service", 0.0, 0.0, 1.5, 0.1),
        ("email_newsletter", "email", "awareness", "owned", "self_service", 0.4, 1.0, 1.0, 0.0),
        ("web_category_page", "web", "engagement", "owned", "self_service", 0.9, 0.0, 1.2, 0.0),
        ("web_product_page", "web", "engagement", "owned", "self_service", 0.9, 0.0, 2.0, 0.05),
        ("app_home", "app", "engagement", "owned", "self_service", 0.6, 0.2, 0.6, 0.1),
        ("app_product_page", "app", "engagement", "owned", "self_service", 0.6, 0.0, 1.4, 0.1),
        ("store_visit", "store", "engagement", "owned", "self_service", 140.0, 0.0, 4.0, 0.15),
        ("store_advice", "store", "engagement", "owned", "assisted", 900.0, 0.0, 4.5, 0.4),
        ("chat_bot", "chat", "engagement", "owned", "self_service", 12.0, 0.3, 1.5, -0.25),
        ("chat_agent", "chat", "engagement", "owned", "assisted", 380.0, 0.1, 4.0, 0.1),
        ("call_sales", "call", "engagement", "owned", "assisted", 450.0, 1.0, 4.0, -0.2),
        ("web_cart", "web", "transaction", "owned", "self_service", 1.2, 0.0, 1.8, 0.0),
        ("web_purchase", "web", "transaction", "owned", "self_service", 55.0, 0.0, 2.0, 0.3),
        ("app_cart", "app", "transaction", "owned", "self_service", 0.9, 0.0, 1.0, 0.1),
        ("app_purchase", "app", "transaction", "owned", "self_service", 48.0, 0.0, 1.5, 0.4),
        ("store_purchase", "store", "transaction", "owned", "assisted", 160.0, 0.0, 3.0, 0.4),
        ("email_delivery_notice", "email", "retention", "owned", "self_service", 0.4, 1.0, 2.0, 0.1),
        ("store_parcel_pickup", "store", "retention", "partner", "self_service", 85.0, 0.0, 4.0, 0.1),
        ("call_support", "call", "retention", "owned", "assisted", 620.0, 0.1, 4.0, -0.4),
        ("social_review", "social", "retention", "social", "self_service", 0.0, 0.0, 2.5, 0.2),
        # These are no part of a visit: each comes by itself (see `trials`).
        ("email_offer", "email", "retention", "owned", "self_service", 0.4, 1.0, 1.0, 0.0),
        ("email_unsubscribe", "email", "retention", "owned", "self_service", 0.0, 0.0, 1.0, 0.0),
        ("app_link_card", "app", "engagement", "owned", "self_service", 0.6, 0.0, 1.0, 0.0),
    ]
)
NAMES = tuple(t.name for t in TOUCHPOINTS)
CODE = {name: i for i, name in enumerate(NAMES)}
END = len(NAMES)  # the code of "the visit ends here"
CHANNEL_OF = np.array([CHANNELS.index(t.channel) for t in TOUCHPOINTS])
CONVERSION = ("web_purchase", "app_purchase", "store_purchase")
ALONE = ("email_offer", "email_unsubscribe", "app_link_card")
SERVICE = ("chat_agent", "call_support")  # with a waiting line
ONLINE_PURCHASE = ("web_purchase", "app_purchase")
PAGES = ("web_category_page", "web_product_page", "web_cart", "app_home", "app_product_page", "app_cart")
PRODUCT_PAGES = ("web_product_page", "app_product_page")
ANSWERED = ("chat_agent", "call_support", "store_advice")  # a person answers a question
ASKED = (*ANSWERED, "chat_bot", "call_sales")  # a question was put, so handing on can make one repeat it

# Where the average customer goes next within a visit (weights); `end`: the visit ends.
# A visit has one device: paths from the web to the app (or back) do not exist within it.
FLOWS: dict[str, dict[str, float]] = {
    "search_ad": {"web_category_page": 45, "web_product_page": 33, "end": 22},
    "search_organic": {
        "web_category_page": 38, "web_product_page": 27, "search_comparison_site": 12, "search_ad": 5, "end": 18,
    },
    "search_comparison_site": {"web_product_page": 50, "search_organic": 8, "search_comparison_site": 12, "end": 30},
    "social_ad": {"web_product_page": 30, "social_post": 15, "web_category_page": 15, "end": 40},
    "social_post": {"social_post": 24, "social_ad": 8, "web_product_page": 20, "end": 48},
    "email_newsletter": {"web_category_page": 26, "web_product_page": 28, "end": 46},
    "web_category_page": {
        "web_category_page": 22, "web_product_page": 52, "search_organic": 3, "chat_bot": 4, "end": 19,
    },
    "web_product_page": {
        "web_product_page": 26, "web_category_page": 17, "web_cart": 15, "chat_bot": 6, "chat_agent": 2,
        "search_comparison_site": 4, "call_support": 1, "end": 29,
    },
    "app_home": {"app_product_page": 62, "app_home": 8, "app_cart": 6, "chat_bot": 4, "end": 20},
    "app_product_page": {"app_product_page": 34, "app_home": 14, "app_cart": 16, "chat_bot": 4, "end": 32},
    "store_visit": {"store_visit": 12, "store_advice": 30, "store_purchase": 17, "app_product_page": 6, "end": 35},
    "store_advice": {"store_visit": 16, "store_purchase": 28, "call_support": 2, "end": 54},
    "chat_bot": {"chat_bot": 14, "chat_agent": 30, "call_support": 10, "web_product_page": 16, "end": 30},
    "chat_agent": {"web_product_page": 22, "call_support": 9, "web_cart": 9, "chat_agent": 6, "end": 54},
    "call_sales": {"call_support": 6, "web_product_page": 12, "call_sales": 6, "chat_agent": 3, "end": 73},
    "web_cart": {
        "web_purchase": 40, "web_product_page": 15, "chat_bot": 4, "search_comparison_site": 5, "call_support": 2, "end": 34,
    },
    "web_purchase": {"web_category_page": 7, "chat_bot": 3, "social_post": 4, "end": 86},
    "app_cart": {"app_purchase": 46, "app_product_page": 18, "chat_bot": 3, "end": 33},
    "app_purchase": {"app_home": 10, "social_post": 4, "end": 86},
    "store_purchase": {"store_visit": 8, "store_advice": 4, "social_post": 2, "end": 86},
    "email_delivery_notice": {
        "store_parcel_pickup": 26, "call_support": 8, "chat_bot": 8, "social_review": 9, "web_category_page": 8, "end": 41,
    },
    "store_parcel_pickup": {"store_visit": 18, "call_support": 5, "social_review": 8, "end": 69},
    "call_support": {"call_support": 12, "chat_agent": 6, "web_product_page": 10, "end": 72},
    "social_review": {"social_post": 14, "web_category_page": 8, "end": 78},
    **{name: {"end": 1} for name in ALONE},
}  # fmt: skip

# How a visit begins (weights). The last column is the phase after a purchase on the web or in the app.
PHASES = ("first", "second", "ready", "after")
ENTRY: dict[str, tuple[float, float, float, float]] = {
    "search_ad": (13, 9, 6, 1),
    "search_organic": (15, 11, 8, 2),
    "search_comparison_site": (7, 7, 5, 0.5),
    "social_ad": (9, 6, 4, 2),
    "social_post": (8, 6, 4, 4),
    "email_newsletter": (12, 13, 14, 4),
    "web_category_page": (5, 8, 10, 2),
    "web_product_page": (3, 8, 13, 1),
    "app_home": (9, 10, 11, 6),
    "app_product_page": (2, 4, 7, 1),
    "store_visit": (10, 11, 13, 4),
    "chat_bot": (2, 3, 3, 6),
    "call_sales": (3, 4, 5, 1),
    "web_cart": (0.2, 1, 3, 0.2),
    "app_cart": (0.2, 1, 3, 0.2),
    "email_delivery_notice": (0, 0, 0, 52),
    "store_parcel_pickup": (0, 0, 0, 12),
    "call_support": (3, 2, 2, 8),
    "social_review": (2, 1, 1, 5),
}

# Days between visits: 1 + floor of a Weibull. Its scale is the kind's `days` divided by the activity.
VISIT_SHAPE = 1.15
PARCEL_GAP = (2.0, 3.5)  # shape and scale, for all: from a purchase on the web or in the app to the parcel
ACTIVITY_SHAPE = 2.5  # activity ~ gamma with this shape and mean 1
LONGEST_MINUTES = 25  # of a gap within a visit: time / longest ~ Beta(1, b)
OLD_CUSTOMERS = 0.65  # share known before the window; the others appear on a day of its first 300
FIRST_SEEN_DAYS = 300

# Hours at which visits begin (weights of 6-22 h UTC), for digital entries and for those that need staff.
HOURS = tuple(range(6, 23))
HOUR_DIGITAL = (1, 3, 5, 5, 5, 5, 6, 6, 5, 5, 5, 6, 8, 10, 11, 9, 5)
HOUR_STAFFED = (0, 0, 0, 6, 9, 10, 8, 7, 8, 9, 10, 10, 8, 3, 0, 0, 0)


class Friction(NamedTuple):
    """A touchpoint under a condition; `lost`: share of those who would have gone on that leave instead."""

    name: str
    touchpoints: tuple[str, ...]
    column: str
    condition: str  # as an analyst would write it on `touchpoints`
    lost_mobile: float
    lost_desktop: float
    mood: float  # shift of satisfaction in the surveys after the visit, in standard deviations


FRICTIONS: tuple[Friction, ...] = (
    Friction("slow_page", PAGES, "load_ms", "load_ms > 3000", 0.36, 0.20, -0.5),
    Friction("out_of_stock", PRODUCT_PAGES, "outcome", "outcome == 'out_of_stock'", 0.32, 0.24, -0.4),
    Friction("failing_bot", ("chat_bot",), "outcome", "outcome == 'failed'", 0.40, 0.30, -0.7),
    Friction("repeated_question", ANSWERED, "outcome", "outcome == 'repeated_question'", 0.28, 0.28, -0.9),
    Friction("duplicate_call", ("call_sales",), "outcome", "outcome == 'duplicate'", 0.50, 0.50, -1.0),
)
SLOW_MS = 3000
OUTCOMES = (
    "available",
    "out_of_stock",
    "solved",
    "failed",
    "repeated_question",
    "reached",
    "duplicate",
    "unresolved",
)
DEVICES = ("mobile", "desktop")
LOAD_MS = ((1350.0, 0.62), (900.0, 0.60))  # median and log-sd of a page's load, mobile and desktop
APP_FASTER = 0.75  # an app screen loads in this share of the time
OUT_OF_STOCK = 0.07  # of product pages
BOT_FAILS = (0.34, 0.27)  # mobile, desktop
REPEATED = 0.45  # of contacts handed on from another place where a question was put
DUPLICATE_DAYS = 30  # a sales call within so many days of the last is a duplicate


BASKET_SD = 0.55  # log-sd of an order's value
MARGIN = {"web": 0.31, "app": 0.33, "store": 0.36}  # mean share of the revenue; sd of an order's: 0.04
WORLDS = ("demo", "one_kind", "continuum", "broken")

# How customers were won: weights of CHANNELS for the average customer (bent by taste), and the mean cost in cents.
ACQUIRED = (30, 18, 4, 12, 10, 24, 1, 1)
ACQUISITION_COST = (640.0, 920.0, 150.0, 310.0, 480.0, 780.0, 1450.0, 520.0)
REFERRED, CONSENT = 0.06, 0.86  # shares of customers
SAYS_MOTIVE = 0.3  # share of customers who say what they come for, whatever their kind
# Areas of a region lie from far from a store (-1) to near one (1): the weight of an area, for a kind, is its
# taste for the store to this power.
STORE_NEAR = tuple(np.linspace(-1, 1, programme.AREAS_PER_REGION).tolist())
AREAS = tuple(f"{region} {i + 1:02d}" for region in REGIONS for i in range(programme.AREAS_PER_REGION))

# Surveys: a questionnaire follows some visits, by their last touchpoint: chance, and its first question.
ASK: dict[str, tuple[float, str]] = {
    "web_purchase": (0.45, "nps"), "app_purchase": (0.45, "nps"), "store_purchase": (0.40, "nps"),
    "web_product_page": (0.04, "ces"), "app_product_page": (0.05, "ces"), "app_home": (0.06, "nps"),
    "store_visit": (0.15, "csat"), "store_advice": (0.35, "csat"),
    "chat_bot": (0.40, "ces"), "chat_agent": (0.50, "csat"), "call_support": (0.50, "nps"), "call_sales": (0.25, "csat"),
    "email_delivery_notice": (0.25, "nps"), "store_parcel_pickup": (0.30, "csat"), "web_cart": (0.08, "ces"),
}  # fmt: skip
QUESTIONS = ("nps", "csat", "ces", *DIMENSIONS)
SCALE = {"nps": (0, 10), "csat": (1, 5), "ces": (1, 7)} | dict.fromkeys(DIMENSIONS, (1, 5))
# An answer is a normal variable (mean: the mood, sd 1) cut at these points, lowest answer first.
CUTS: dict[str, tuple[float, ...]] = {
    "nps": (-2.2, -2.0, -1.8, -1.55, -1.3, -1.0, -0.75, -0.3, 0.35, 0.95),
    "csat": (-1.6, -1.0, -0.4, 0.5),
    "ces": (-1.8, -1.3, -0.85, -0.35, 0.2, 0.9),
} | dict.fromkeys(DIMENSIONS, (-1.5, -0.8, -0.1, 0.8))
ITEM_SHIFT = dict(zip(DIMENSIONS, (0.1, 0.2, 0.0, -0.2, -0.1, 0.15), strict=True))
ITEMS_ASKED = 2  # of the six, drawn at random, after the first question
# Log-odds to answer, by the first answer's place on its scale (0 worst to 1 best): both ends speak up, the content most.
ANSWER_ODDS = (-1.1, -1.6, 2.6)  # constant, linear, quadratic
COMMENTS = 0.45  # of answered questionnaires carry a comment
READ = 0.45  # of comments are read by people, who note what they are about

# Faults laid over the clean tables (shares of rows unless said otherwise).
FAULTS: dict[str, float] = {
    "duplicates": 0.010,  # the same event, sent again under another event_id
    "late": 0.020,  # received 2 hours to 3 days after it happened
    "skewed_devices": 0.010,  # devices whose clock is wrong, by up to 5 hours
    "shared_devices": 0.005,  # devices that two customers use
    "junk_ids": 0.008,  # anonymous ids "null", "0", "anonymous", "undefined"
    "bots": 0.003,  # crawlers, per customer; 40-200 pages each
    "second_phone": 0.25,  # customers with a second mobile device
    "second_computer": 0.15,
    "on_the_second": 0.35,  # of their visits
    "signed_in_already": 0.25,  # devices signed in from the first visit
    "sign_in": 0.06,  # chance at each visit, besides at the cart and by a link in an e-mail
}
JUNK = ("null", "0", "anonymous", "undefined")


@dataclass(frozen=True)
class Company:
    """The tables of a world as arrays, ready to draw from. K kinds, 4 phases, 27 touchpoints."""

    world: str
    kinds: tuple[Kind, ...]
    share: Array  # (K,)
    flow: Array  # (K, 4, 27, 28), rows sum to 1; the last column is the visit's end
    entry: Array  # (K, 4, 27)
    days: Array  # (K,)
    instinctive: Array  # (K, 4)
    basket: Array  # (K, 2), log cents: instinctive, considered
    mobile: Array  # (K,)
    mood: Array  # (K,)
    replies: Array  # (K,)
    leaves: Array  # (K,)
    boosts: dict[str, Array]  # by experiment: (K, variants)
    areas: Array  # (K, areas of a region)
    traits: dict[str, tuple[tuple[str, ...], Array]]  # column of `customers`: values, (K, values)
    motives: Array  # (kinds, motives)
    hours: Array  # (2, 17)
    breaks: programme.Breaks


@cache
def company(world: str, fair: bool = False) -> Company:
    """The company under a world's name; `fair`: without what would bias a randomised comparison.

    >>> company("demo").flow.shape
    (5, 4, 27, 28)
    """
    kinds = kinds_of(world)
    taste = np.array([k.channels for k in kinds])[:, CHANNEL_OF]
    flow = np.zeros((END, END + 1))
    for source, targets in FLOWS.items():
        for target, weight in targets.items():
            flow[CODE[source], CODE.get(target, END)] = weight
    transaction = np.array([t.stage == "transaction" for t in TOUCHPOINTS])
    push = np.array([k.push for k in kinds])
    bent = np.repeat(np.repeat(flow[None, None], len(kinds), 0), 4, 1)
    bent[..., :END] *= taste[:, None, None, :]
    bent[..., :END] *= np.where(transaction, push[:, :, None, None], 1.0)
    start = np.zeros((4, END))
    for name, weights in ENTRY.items():
        start[:, CODE[name]] = weights
    entry = start * taste[:, None, :]
    traits = {
        "region": (REGIONS, np.array([k.regions for k in kinds])),
        "age_band": (AGES, np.array([k.ages for k in kinds])),
        "loyalty_tier": (TIERS, np.array([k.tiers for k in kinds])),
        "language": (LANGUAGES, np.array([k.languages for k in kinds])),
        "acquisition_channel": (CHANNELS, np.array([k.channels for k in kinds]) * ACQUIRED),
    }
    hours = np.array([HOUR_DIGITAL, HOUR_STAFFED], float)
    motives = np.array([k.motives for k in kinds])
    breaks = programme.BROKEN if world == "broken" else programme.Breaks()
    breaks = breaks.fair() if fair else breaks
    boosts = {
        e.name: np.tile(e.boost or (1.0,) * len(e.variants), (len(kinds), 1)) for e in programme.EXPERIMENTS
    }
    boosts["home_page"] = np.array([k.home_page for k in kinds])
    boosts["app_nudge"][:, 1] = breaks.nudge_sells
    clustered = boosts[programme.CLUSTERED]
    clustered[:, 0] += breaks.spill_over * (clustered[:, 1:].mean(1) - 1)
    areas = np.array([k.channels[CHANNELS.index("store")] for k in kinds])[:, None] ** np.array(STORE_NEAR)
    share = np.array([k.share for k in kinds])
    return Company(
        world=world,
        kinds=kinds,
        share=share / share.sum(),
        flow=bent / bent.sum(-1, keepdims=True),
        entry=entry / entry.sum(-1, keepdims=True),
        days=np.array([k.days for k in kinds], float),
        instinctive=np.array([k.instinctive for k in kinds]),
        basket=np.log(100 * np.array([k.basket for k in kinds])),
        mobile=np.array([k.mobile for k in kinds]),
        mood=np.array([k.mood for k in kinds]),
        replies=np.array([k.replies for k in kinds]),
        leaves=np.array([k.leaves for k in kinds]),
        boosts=boosts,
        areas=areas / areas.sum(-1, keepdims=True),
        traits={c: (v, p / p.sum(-1, keepdims=True)) for c, (v, p) in traits.items()},
        motives=motives / motives.sum(-1, keepdims=True),
        hours=hours / hours.sum(-1, keepdims=True),
        breaks=breaks,
    )
