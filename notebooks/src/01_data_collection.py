# %% [markdown]
# # What do we know of our customers, and how do they feel?
#
# Before anything is concluded from data, three questions: how much is there and how fresh, what is wrong with it, and who is missing. Then the customers' own voice: what they answer when they are asked, with intervals that know that some people answer more than once, and with a look at those who never answer.
#
# | | |
# |---|---|
# | **Reading time** | 25 minutes, exercises 15 more |
# | **You need** | a study with `touchpoints`; `surveys` for the second half |
# | **Before this** | `00_start_here` |
# | **After this** | `03_journey_templates`: how customers travel; `01b_voice_of_customer`: behind the scores |

# %% tags=["parameters"]
STUDY = "demo"

# %% tags=["hide-code"]
import cxlib as cx

study = cx.open_study(STUDY)

# %% [markdown] tags=["summary"]
# ## In short

# %% tags=["summary", "checked"]
cx.collection.summary(study)

# %% [markdown]
# ## Does the data keep its contract?
#
# Every table is checked when a study is opened: required columns, types, unique keys, allowed values, plausible times, scores inside their scale, money with a currency. A violation stops the study from opening; what is listed here are warnings, things to know before relying on a number.

# %% tags=["claim", "checked"]
checks = cx.collection.checks(study)
checks.claim()

# %%
checks

# %% [markdown] tags=["needs-touchpoints"]
# ## How much is there, and how fresh is it?
#
# Volume by channel over time. A source that falls silent looks exactly like customers who stopped coming.

# %% tags=["thumbnail"]
quality = cx.collection.quality(study)
cx.collection.plots.volume_lines(quality)

# %% tags=["claim", "checked", "marketing"]
quality.volume.claim()

# %% tags=["checked"]
quality.volume

# %% [markdown]
# > **Read this:** look for a channel that breaks off, begins late, or has a gap of days. *Days silent* counts from the channel's last event to the study's last, so the page reads the same tomorrow as today.
#
# > **How this misleads:** volume is not value. One campaign can double a channel's events and bring nobody; and where many events are anonymous, people whom no link joins to their customer are counted twice.

# %% [markdown] tags=["needs-touchpoints"]
# ## What is wrong with it?
#
# The faults that nearly every export has, each by a rule that stands beside its share: events sent twice, ids that stand for nobody, machines among the visitors, wrong clocks, late arrivals. `01a_identity_and_quality` goes into each, finds where a source fell silent, and says which columns changed their meaning half-way.

# %% tags=["checked"]
quality.faults

# %% tags=["claim", "checked"]
quality.faults.claim()

# %% [markdown]
# > **Read this:** below one per cent a fault is worth a ticket, above five it changes conclusions. Mend it where it arises, not here.
#
# > **How this misleads:** faults are not spread evenly. One per cent of all events can be a third of one touchpoint's. And what never arrived at all cannot be counted.

# %% [markdown] tags=["needs-touchpoints.anonymous_id"]
# ## Who is who?
#
# Most people look around before they sign in. Stated rules link those visits to the customer who signs in later, refuse ids that software made up or too many people share, and never join two customers because of a cookie.

# %% tags=["checked"]
stitched = cx.collection.stitch(study)
stitched

# %% tags=["claim", "checked"]
stitched.claim()

# %% [markdown]
# > **Read this:** the share linked says how far back a customer's journey can be seen. The rest are visitors whom nobody ever recognised: they count as people of their own.
#
# > **How this misleads:** who signs in is loyal, so linked journeys are those of loyal customers. Chapter 1a shows how much the funnel moves when links are missing.

# %% [markdown] tags=["needs-orders.promised_ts"]
# ## Was what was promised delivered?
#
# Orders that came with a status, a promised and a delivered time. Lateness depends on what is compared: by timestamp an order is late a second after the promised moment; by calendar day any hour of that day is in time. Both are shown, because companies quote whichever suits them.

# %%
known = study.has("orders", "status", "promised_ts", "delivered_ts")
promises = cx.collection.promises(study) if known else None
promises

# %% tags=["claim"]
promises.claim() if known else "This study's orders do not say what was promised."

# %% [markdown]
# > **Read this:** the share delivered is of all orders, the shares late are of delivered orders that have both times.
#
# > **How this misleads:** the promised date is a choice of the company's. A shop that promises six weeks is never late.

# %% [markdown] tags=["needs-surveys", "needs-answers"]
# ## How do customers feel, and about what?
#
# The net promoter score is the share answering 9 or 10 less the share answering 0 to 6, in points from -100 to 100; satisfaction is the share in the top two boxes of a scale of four to eleven steps; anything else is a mean on its own scale. Intervals: Tango's score interval, Wilson's, and t on the logit scale, with customers as clusters, so that somebody who answers five times does not count as five people.

# %%
asked = cx.voice.asked(study)
scores = cx.voice.scores(study, asked[0])
cx.voice.plots.score_dots(scores)

# %% tags=["claim", "checked", "product", "service"]
scores.claim()

# %% tags=["checked"]
scores

# %% [markdown]
# > **Read this:** compare intervals with the line of all answers. The column *q* is a false discovery rate: of the groups marked below *q* = 5 %, about one in twenty is expected to be a false alarm.
#
# > **How this misleads:** people are asked about a touchpoint because they came through it. A low score at the support line says that people with problems call, not that the line makes them unhappy.

# %% [markdown] tags=["needs-surveys", "needs-answers"]
# ## How satisfied are they with a contact?
#
# How the single answers are spread. An average of four may be everybody's four, or fives with a tail of ones; the tail is where customers are lost.

# %%
question = "csat" if "csat" in asked else asked[0]
stars = cx.voice.stars(study, question)
cx.voice.plots.stars_bar(stars)

# %% tags=["claim", "checked", "service"]
stars.claim()

# %% [markdown]
# > **Read this:** the two ends. A high bar at the lowest score next to a high bar at the highest means two different experiences, not one mixed one.
#
# > **How this misleads:** scales have cultures and defaults. Do not compare a company's stars with another's.

# %% [markdown] tags=["needs-surveys", "needs-touchpoints"]
# ## Who answered, and who is silent?
#
# The share of the customers we were in contact with who answered anything, by what else is known of them. Where it differs, the score describes some customers more than others.

# %%
responders = cx.voice.responders(study)
cx.voice.plots.response_dots(responders)

# %% tags=["claim", "checked", "marketing"]
responders.claim()

# %% [markdown]
# > **Read this:** an attribute whose rows lie apart is one by which answers over-represent somebody. Activity nearly always is: regulars answer, passers-by do not.
#
# > **How this misleads:** where the answer to a survey is itself logged as a touchpoint, part of *activity* is response: who answered has an event more, so a difference by activity is overstated. And even where response is equal on everything that is known, the silent may feel differently. That cannot be seen from the answers; it can only be bounded, and `01b_voice_of_customer` does.

# %% [markdown] tags=["needs-truth", "needs-answers"]
# ## Did we find what was planted?
#
# This study is simulated: what everybody would have answered is known. Those who are pleased answer more readily here, as in life, so the score of those who answered is not the score of all.

# %% tags=["checked"]
nps = cx.voice.scores(study, "nps")
cx.stats.score(nps.table(), study.truth("nps")).claim()

# %% tags=["checked"]
cx.stats.score(nps.table(), study.truth("nps"))

# %% [markdown]
# > **Read this:** a difference between estimate and truth much wider than the interval is not bad luck but bias: the silent. No sample size cures it. If everybody had answered, the intervals would hold the truth 19 times in 20, as the proof page shows.

# %% [markdown]
# ## What can this not tell?
#
# - **What the silent feel.** Weights can mend what is known of them, never what is not.
# - **Why.** Scores say where to look. Reasons are in the comments (`01b_voice_of_customer`), and in what happened just before.
# - **Whether a fault matters.** That depends on the question; the later chapters say how much their figures move.
#
# ### Try it yourself
#
# 1. Score another question: `cx.voice.scores(study, "ces")`. Which touchpoint costs customers most effort?
# 2. Break down by another column: `by="stage"`. Does the order of the stages surprise you?
# 3. `cx.voice.nps([10] * 15 + [5] * 15)`: how wide is an interval on thirty answers?

# %% [markdown]
# ## Do the numbers agree with each other?

# %%
volume = cx.collection.quality(study).volume.table() if study.has("touchpoints") else None
if volume is not None:
    assert volume["estimate"].sum() == study.findings.rows["touchpoints"]
asked = cx.voice.asked(study) if study.has("surveys") else []
if asked:
    table = cx.voice.scores(study, asked[0]).table()
    assert table["n"].iloc[1:].sum() <= table["n"].iloc[0]

# %% [markdown]
# **Keypoints.** Look at volume before rates. Say who answered whenever you say a score. An interval protects against chance, never against the people who are not there.
