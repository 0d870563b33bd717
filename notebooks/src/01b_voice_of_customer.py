# %% [markdown]
# # What do they say, and why?
#
# Chapter 1 gave scores by touchpoint. This page goes behind them: may the answers be trusted, whom do they speak for, why did the score move, what is in the comments, and where does it hurt without anybody asking? Every number has its interval, at thirty answers as at thirty thousand, and what goes together with a low score is never called its cause.
#
# | | |
# |---|---|
# | **Reading time** | 35 minutes, exercises 20 more |
# | **You need** | a study with `surveys`; comments, some of them read by people, for the second half |
# | **Before this** | `01_data_collection` |
# | **After this** | `03_journey_templates`: where it hurts, counted in behaviour |

# %% tags=["parameters"]
STUDY = "demo"

# %% tags=["hide-code"]
import cxlib as cx

study = cx.open_study(STUDY)
question = next(iter(cx.voice.asked(study)), None) if study.has("surveys") else None

# %% [markdown] tags=["summary", "needs-surveys", "needs-answers"]
# ## In short

# %% tags=["summary", "checked"]
cx.collection.heard(study)

# %% [markdown] tags=["needs-surveys", "needs-answers"]
# ## How does the score differ from month to month?
#
# A score that is looked at every month moves every month. The intervals say how much of that is chance, and the comparison is controlled for the number of months: with twelve of them, one outside its 95 % interval is what chance does every other year.

# %%
months = cx.voice.scores(study, question, by="month")
cx.voice.plots.score_dots(months)

# %% tags=["claim", "checked"]
months.claim()

# %% [markdown]
# > **Read this:** the width before the height. On thirty answers the interval of a net promoter score is fifty points wide; a dashboard with an arrow there shows the weather.
#
# > **How this misleads:** months, stages, channels and languages are several looks at the same answers. Each look controls its own false alarms, not those of the others.

# %% [markdown] tags=["needs-surveys", "needs-answers"]
# ## Can the answers be trusted?
#
# People click through (the same answer to everything, or faster than anybody reads), and files mix up scales (1 to 11 for 0 to 10, upside down, nought for "no answer"). Each is looked for by a rule and compared with what honest answers would give by chance. Nothing is removed: the score stands beside the score without.

# %% tags=["checked"]
careless = cx.voice.careless(study)
careless

# %% tags=["claim", "checked"]
careless.claim()

# %% tags=["checked"]
cx.voice.scale_mistakes(study).claim()

# %% [markdown]
# > **Read this:** the last two columns. If they agree, carelessness does not matter to this score, whatever its share.
#
# > **How this misleads:** somebody who is pleased with everything also gives the same answer to everything. That is why the rule asks how much more often it happens than the answers themselves would lead one to expect.

# %% [markdown] tags=["needs-surveys", "needs-touchpoints", "needs-answers"]
# ## Whom do the answers speak for?
#
# Three steps away from "as answered": each customer counted once; weighted so that those who answered stand for everybody in contact with the same region, age, tier and activity; and then, because people alike in all of that may still differ in how they feel, what the score would be if the pleased were two or three times as likely to answer as the displeased, or half, or a third. The last row assumes nothing at all.

# %%
silent = cx.voice.silent(study, question)
cx.voice.plots.silent_dots(silent)

# %% tags=["claim", "checked"]
silent.claim()

# %% tags=["checked"]
silent

# %% [markdown]
# > **Read this:** between the first row and the third lies what weights can mend; between the third and the others what they never can. Which row is right is knowledge about people, not about these data: a short telephone survey of fifty silent customers says more than any model.
#
# > **How this misleads:** a weighted score looks more scientific than a plain one. It is only right if, among customers alike in what is known, those who answer feel like those who do not.

# %% [markdown] tags=["needs-surveys", "needs-answers"]
# ## Why did the score move?
#
# A score changes because other people answered, because people met other touchpoints, or because the same touchpoints were rated differently. The change from the first half of the time to the second (`before=` and `after=` take other periods) is split into exactly these; the parts sum to the change.

# %%
groups = "loyalty_tier" if study.has("customers", "loyalty_tier") else None
moved = cx.voice.split(study, question, who=groups)
cx.voice.plots.split_bars(moved)

# %% tags=["claim", "checked"]
moved.claim()

# %% [markdown]
# > **Read this:** the bar whose interval stays off zero. Only "how rated" is about the experience; the other two are about who was asked where.
#
# > **How this misleads:** it is bookkeeping. It says in which part the change sits, not what brought it about: a touchpoint may be rated lower because it got worse, or because other customers were sent there.

# %% [markdown] tags=["needs-surveys.comment"]
# ## Do the words say who is pleased?
#
# Comments come with a score, so the words can be learnt from the scores: in each language by itself, without a download, each comment judged by a model that has seen neither its text nor anything else of its writer. Identical comments stay together; otherwise the model would be tested on what it has learnt by heart.

# %%
comments = cx.text.comments(study)
sentiment = cx.text.sentiment(comments)
cx.text.plots.sentiment_dots(sentiment)

# %% tags=["claim", "checked"]
comments.claim()

# %% tags=["claim", "checked"]
sentiment.claim()

# %% [markdown]
# > **Read this:** one half is guessing, one is perfect. Above .9 a comment without a score can be counted as pleased or not; below .8 a single comment says little, and only many of them together something.
#
# > **How this misleads:** a language with a hundred comments has learnt a hundred comments' words. The next irony, product or dialect is not among them.

# %% [markdown] tags=["needs-surveys.read_aspect"]
# ## How often is each theme spoken of?
#
# People have read a random sample and noted what each comment is about; the rule learnt from them reads the rest. It makes mistakes, and a plain count inherits them. The corrected share uses the sample to undo them, and its interval knows that the sample is small.

# %%
themes = cx.text.themes(comments, read="aspect")
shares = cx.text.prevalence(themes)
cx.text.plots.prevalence_dots(shares)

# %% tags=["claim", "checked"]
shares.claim()

# %% tags=["checked"]
shares

# %% [markdown]
# > **Read this:** where ring and dot lie apart, the rule misses or invents. The interval of the dot is wider than that of the ring because it is honest.
#
# > **How this misleads:** the correction holds as long as the sample read is a random one. Reading the most interesting hundred gives the errors of interesting comments.

# %% [markdown] tags=["needs-surveys.read_effort"]
# ## Does it matter which machine reads?
#
# How many comments speak of effort: counted by a rule learnt from the readings, and by a list of words. The two machines err in opposite directions. The same readings take the errors out of either.

# %%
import pandas as pd

from cxlib.rates import Counts

machines = {"learnt from readings": None, "a list of words": "effort"}
read = {name: cx.text.themes(comments, read="effort", words=words) for name, words in machines.items()}
counted = pd.concat([cx.text.prevalence(one).table().assign(machine=name) for name, one in read.items()])

# %% tags=["checked"]
Counts(counted.set_index(["machine", "theme"]).reset_index(), shares=("estimate", "naive"))

# %% [markdown]
# > **Read this:** *naive*, what each machine counts, against *estimate*, what that becomes. Where two machines count differently, neither count is the share; where their corrected shares agree, it does not matter which one you have.
#
# > **How this misleads:** without readings there is no such estimate, and nobody sees that the count is wrong.

# %% [markdown] tags=["needs-surveys.read_aspect"]
# ## Which themes go with a low score?
#
# For each theme the difference in score between comments that mention it and those that do not: alone, and with all other themes held equal, so that a harmless theme that is only mentioned along with a painful one is not blamed for it.

# %%
effects = cx.text.effects(themes)
cx.text.plots.effect_dots(effects)

# %% tags=["claim", "checked"]
effects.claim()

# %% [markdown]
# > **Read this:** rings far from their dots are themes blamed for the company they keep.
#
# > **How this misleads:** these are associations. Whoever is displeased writes about something, and may have been displeased before. To know what mending a theme would change, mend it for half of the customers first (chapter 4).

# %% [markdown] tags=["needs-surveys.read_aspect", "needs-surveys.read_sentiment"]
# ## What does that sound like?
#
# Complaints about the theme with the lowest score, chosen by a rule and not by taste: of middling length, surely about it, the languages in turn, one a customer, no two that say the same; addresses, numbers, handles and known names masked.

# %% tags=["checked"]
complaints = cx.text.themes(comments, read=["aspect", "sentiment"])
lowest = next(iter(cx.text.effects(complaints).visible()["theme"]), complaints.names[0])
cx.text.quotes(complaints, lowest, n=4)

# %% [markdown]
# > **Read this:** quotes give a number a voice. They are no evidence by themselves; the two sections above are.
#
# > **How this misleads:** a good quote is remembered and its share is not. Never show one without the other.

# %% [markdown] tags=["needs-surveys", "needs-touchpoints", "needs-answers"]
# ## Do what they answer, do and write agree?
#
# Six dimensions of an experience, by stage, each seen by up to three witnesses: what customers *answered*, what their *behaviour* shows (pages that loaded in time, items in stock, questions that need not be put twice), and what they *wrote*. They are put side by side and never averaged, because where they contradict each other is where there is something to learn.

# %%
noted = cx.text.noted(study, "aspect", "sentiment")
said = cx.text.themes(cx.text.comments(study), ["aspect", "sentiment"]).mentions() if noted else None
scorecard = cx.voice.scorecard(study, themes=said)
cx.voice.plots.scorecard_grid(scorecard)

# %% tags=["claim", "checked"]
scorecard.claim()

# %% [markdown]
# > **Read this:** cells where one mark stands left and another right. Behaviour fine and answers poor: you measure the wrong behaviour, or people arrive annoyed. Answers fine and behaviour poor: those who left were not asked.
#
# > **How this misleads:** the three have different units of "good". A mark at 90 % of one witness is not the same as a mark at 90 % of another; only their disagreement means something.

# %% [markdown] tags=["needs-surveys", "needs-touchpoints"]
# ## Where does it hurt, and nobody asks?
#
# Contacts in trouble (the visit ends after a failure or a slow page, or the customer turns at once to somebody on the staff), beside how many of the touchpoint's contacts are asked about.

# %%
unasked = cx.voice.unasked(study)
cx.voice.plots.unasked_dots(unasked)

# %% tags=["claim", "checked"]
unasked.claim()

# %% [markdown]
# > **Read this:** the corner of much trouble and few questions. A survey there is worth more than a longer survey elsewhere.
#
# > **How this misleads:** trouble is read off behaviour, so it is a sign and no proof: some leave because they have what they came for.

# %% [markdown] tags=["needs-truth", "needs-answers"]
# ## Did we find what was planted?
#
# This study is simulated, and what everybody asked would have answered is known. The pleased and the very displeased answer more readily here, as in life.

# %% tags=["checked"]
truth = study.truth("nps").set_index("touchpoint")["truth"]["(all)"]
views = silent.table()[["view", "estimate", "low", "high"]]
views.sort_values("estimate", ascending=False).assign(truth=truth).round(1)

# %% [markdown]
# > **Read this:** no plain or weighted row holds the truth; no sample size would cure that. It lies between two rows of the sensitivity table: so much more readily do the pleased answer here.
#
# The comments too: a fresh company of 2,000 customers, with what each comment was made to be about. Of the shares of twelve themes (six aspects, praised or complained of), how many intervals hold the planted one, corrected and as the rule counts?

# %% tags=["needs-truth"]
world = cx.world.simulate(2000, seed=1)
company = cx.open_study({"surveys": world.tables["surveys"]})
read = cx.text.themes(cx.text.comments(company), read=["aspect", "sentiment"])
found = cx.text.prevalence(read).table()
made = world.planted["comments"]
planted = found["theme"].map((made["aspect"] + ": " + made["sentiment"]).value_counts(normalize=True))

# %% tags=["needs-truth"]
for name, low, high in (("corrected", "low", "high"), ("the rule's count", "naive_low", "naive_high")):
    held = found[low].le(planted) & planted.le(found[high])
    print(f"{name:<16} {held.sum():>2} of {len(held)} intervals hold the planted share")

# %% [markdown]
# ## What can this not tell?
#
# - **What the silent feel.** It can be weighted, it can be bounded, it cannot be known without asking them.
# - **What a touchpoint does to the whole score.** Ratings that go together may have the same customer behind them. A change tried at one place, on customers drawn by lot, would tell.
# - **What nobody writes.** Comments are the angriest and the kindest; the middle does not write.
# - **Irony**, and any language with too few comments: then the table says so instead of guessing.
#
# ### Try it yourself
#
# 1. Split the change by `who="region"` instead of the tier. Does "who answered" grow?
# 2. Which comments name something that can be acted on? `cx.text.themes(comments, read="actionable")`; then a codebook of your own: `words={"parcel": {"en": ["parcel", "deliver"]}}`.
# 3. `cx.voice.nps([10] * 15 + [5] * 15)`, then ten times as many: how much narrower is the interval?

# %% [markdown]
# ## Do the numbers agree with each other?

# %%
if question:
    moved = cx.voice.split(study, question)
    assert abs(moved.parts()["estimate"].sum() - moved.table()["estimate"].head(1).sum()) < 1e-9
    whole = cx.voice.scores(study, question, by="month").table()
    assert whole["n"].iloc[1:].sum() == whole["n"].iloc[0]

# %% [markdown]
# **Keypoints.** Width before height. Say whom a score speaks for, and how far it could be off. Count what a machine reads only with its errors counted too. What goes together is not yet a cause.
