# %% [markdown]
# # What do reviews in four languages say, and what is said when nobody asks?
#
# Portuguese reviews of a marketplace, Romanian reviews of a shop's products, Chinese reviews of hotels, English tweets at airlines: 44,000 texts that nobody can read in an afternoon. This case learns each language from the scores given beside the texts, on this machine, without a download or a dictionary, says how often the words tell pleased from displeased, what the complaints are about, and listens to what is said in public.
#
# | | |
# |---|---|
# | **Reading time** | 30 minutes |
# | **You need** | the public data sets `olist`, `laroseda`, `chn_hotel_reviews`, `airline_tweets`: `cx data fetch NAME` |
# | **Before this** | `01_data_collection`; `01b_voice_of_customer` says how each method works |
# | **Licences of the data** | CC BY-NC-SA 4.0 (Olist, LaRoSeDa; tweets, not verified), none stated (hotels): to learn on, not to earn with |

# %% tags=["parameters"]
REVIEWS = {"olist": "pt", "laroseda": "ro", "chn_hotel_reviews": "zh"}
TWEETS = "airline_tweets"

# %% tags=["hide-code"]
import time

import pandas as pd

import cxlib as cx
from cxlib.rates import Counts

studies = {name: cx.open_study(name) for name in (*REVIEWS, TWEETS)}
tweets = studies[TWEETS]

# %% [markdown] tags=["summary"]
# ## In short

# %% tags=["summary", "hide-code"]
texts = {name: cx.text.comments(study) for name, study in studies.items()}
learnt, seconds = {}, {}
for name, comments in texts.items():
    began = time.process_time()
    learnt[name] = cx.text.sentiment(comments)
    seconds[name] = time.process_time() - began
hourly, why = cx.text.mentions(tweets, every="1 h"), cx.text.reasons(tweets, by="touchpoint")
rows = [found.table().assign(study=name, seconds=seconds[name]) for name, found in learnt.items()]
table = pd.concat(rows, ignore_index=True).sort_values("estimate", ascending=False, ignore_index=True)
ends = [f"{row.estimate:.3f} ({row.language}, {row.low:.3f} to {row.high:.3f})" for row in table.iloc[[-1, 0]].itertuples()]
lines = [f"Of a pleased and a displeased text the words tell which is which with probability {ends[0]} to {ends[1]}."]
lines += [hourly.claim(), why.claim(), cx.text.engagement(tweets).claim().first]
cx.results.Summary((*lines, "Next: have 300 comments of your own read before a share of complaints is reported."))

# %% [markdown]
# ## What is there to read?
#
# E-mail addresses, long numbers and account names are masked before anything else happens. Texts that say the same are counted: a review that is copied a hundred times must not teach and examine at once.

# %%
there = pd.concat([found.table().iloc[[0]].assign(study=name) for name, found in texts.items()])
Counts(there.assign(language=[*REVIEWS.values(), "en"])[["study", "language", "n", "customers", "texts", "longest"]])

# %% tags=["claim"]
texts["olist"].claim()

# %% [markdown]
# > **Read this:** *customers* beside *n*. The reviews are one a customer; two thirds of the tweets come from people who wrote more than one.
#
# > **How this misleads:** the Romanian and Chinese reviews were collected half positive, or two thirds, on purpose. How many are pleased is the collector's choice, so this case never reports it.

# %% [markdown]
# ## Can the words tell who is pleased?
#
# For each language a line through word weights (TF-IDF and logistic regression), in Chinese through runs of one to three characters. It learns from one to two stars against four to five, or from the labels. Every text is judged by a model that saw neither it, nor its like, nor its writer: identical texts lie in one fold. The number is the probability that of two texts, one pleased and one not, the pleased one is told.

# %% tags=["thumbnail"]
fig, ax = cx.figures.figure(height=2.2)
names = [f"{row.study} ({row.language})" for row in table.itertuples()]
cx.figures.dots(ax, names, table["estimate"], table["low"], table["high"])
ax.set_xlabel("of a pleased and a displeased text, the pleased one is told (0.5: by chance)")
ax.set_title("Can the words tell who is pleased?")
said = ", ".join(f"{row.study} {row.estimate:.3f}" for row in table.itertuples())
cx.figures.finish(fig, f"Probability that the words tell a pleased from a displeased text: {said}.")

# %%
shown = table.assign(seconds=table["seconds"].apply("{:.1f}".format))
Counts(shown[["study", "language", "estimate", "low", "high", "n", "customers", "seconds"]], shares=())

# %% tags=["claim"]
learnt["olist"].claim()

# %% [markdown]
# > **Read this:** the CPU-seconds too. Eleven thousand to fifteen thousand texts are learnt five times over in a few seconds on one processor, so it can be done anew every night.
#
# > **How this misleads:** the middle is left out. Three stars, and texts that praise and complain, are what a reader finds hard as well; on them the probability is worth less than this number says.

# %% [markdown]
# ## Which words decide?
#
# The words that more of the displeased writers use than of the pleased ones. People are counted, not words: somebody who writes *terrible* five times counts once. A word that fewer than ten people use is not shown.

# %%
ends = {}
for name, found in texts.items():
    low, high = found.frame["place"] <= 0.25, found.frame["place"] >= 0.75
    ends[name] = {side: cx.text.telling(found, rows, 10) for side, rows in (("displeased", low), ("pleased", high))}
spoken = {name: {side: ", ".join(words.table()["word"]) for side, words in both.items()} for name, both in ends.items()}
Counts(pd.DataFrame(spoken).T.rename_axis("study").reset_index())

# %% tags=["claim"]
ends["olist"]["displeased"].claim()

# %% [markdown]
# > **Read this:** what is missing as much as what is there. *Não recebi*, "I have not received", leads the Portuguese complaints: late parcels, not bad goods. The Chinese pairs are pieces of words: 不错 is "not bad", 很差 "very poor", and 携程 the agency that sold the room.
#
# > **How this misleads:** a small word such as *no* or *until* leads nearly every list. It carries a complaint, and names no cause.

# %% [markdown]
# ## What do the Portuguese reviews speak of?
#
# Nobody has read a sample of them for themes, so a codebook has to do: a few stems a theme. What follows is what the codebook counts, with its own errors in it.

# %%
CODEBOOK = {
    "not received": ["não recebi", "nao recebi", "não chegou", "nao chegou", "não foi entregue", "ainda não", "até agora", "até hoje"],
    "late": ["atras", "demor", "fora do prazo", "prazo não"],
    "wrong or incomplete": ["errad", "trocad", "faltou", "faltando", "incomplet", "outro produto", "só recebi", "so recebi"],
    "broken or poor": ["defeit", "quebrad", "danificad", "qualidade ruim", "péssima qualidade", "não funciona", "estragad"],
    "no answer": ["não respond", "nao respond", "sem resposta", "não retorn", "ninguém", "contato"],
    "fast": ["rápid", "rapid", "antes do prazo", "antes da data"],
}
themes = cx.text.themes(texts["olist"], read=None, words={name: {"pt": words} for name, words in CODEBOOK.items()})
shares = cx.text.prevalence(themes)
cx.text.plots.prevalence_dots(shares)

# %% tags=["claim"]
shares.claim()

# %% [markdown]
# The orders know something that the codebook does not: whether the parcel came after its promised day. A theme that means what its name says should be found more often there.

# %%
orders = studies["olist"].fetch(studies["olist"].table("orders").select("order_id", "late"))
known = themes.frame[["order_id"]].merge(orders, on="order_id", how="left")["late"]
known = known.map({True: "after the promised day", False: "in time"}, na_action="ignore")
dated = themes.only(known.notna())
dated.frame["parcel"] = known.dropna().to_numpy()
by_parcel = cx.text.prevalence(dated, by="parcel")
Counts(by_parcel.table().query("group != '(all)'")[["theme", "group", "estimate", "low", "high", "n", "customers", "count"]])

# %% [markdown]
# > **Read this:** the rows *late* and *fast* against *broken or poor*. The first two turn with the parcel, the last hardly does: the codebook reads something.
#
# > **How this misleads:** only what the stems catch is counted, and nobody knows what they miss. With 300 comments read by people, `cx.text.prevalence` takes the errors out and says how sure it is.

# %% [markdown]
# ## What goes with few stars?
#
# A complaint seldom comes alone. The difference in the score that goes with each theme, alone and with the others held still:

# %%
scored = cx.text.effects(themes)
cx.text.plots.effect_dots(scored)

# %% tags=["claim", "service"]
scored.claim()

# %% [markdown]
# > **Read this:** where the two marks part. What falls towards zero was mentioned together with something worse.
#
# > **How this misleads:** these are associations between what people write and what they tick at the same minute, and the codebook's misses leak from one theme into the next.

# %% [markdown]
# ## When were the airlines spoken about more than usual?
#
# People an hour, each airline on a scale of its own, against its usual number at that hour. A burst is beyond what chance does, over all hours of all airlines.

# %%
cx.text.plots.mention_ridges(hourly)

# %% tags=["claim", "marketing"]
hourly.claim()

# %% [markdown]
# What were they speaking of in the largest burst? The words that more people used then than at any other time:

# %%
burst, said = hourly.bursts().iloc[0], texts[TWEETS].frame
inside = (said["touchpoint"] == burst["touchpoint"]) & said["ts"].between(burst["ts"], burst["until"])
cx.text.telling(texts[TWEETS], inside, 6)

# %% [markdown]
# > **Read this:** the words. "Our fleet's on fleek" was a joke of the airline's own account that afternoon, and customers repeated it by the dozen. A burst is attention, not trouble.
#
# > **How this misleads:** American's bars leap on 22 February because the collection began to hold its tweets then, not because anybody began to tweet. No statistic can see that; only somebody who knows the source can.

# %% [markdown]
# ## What are the complaints about?
#
# People have labelled each complaint with one reason. Triangles mark where an airline lies above or below the others by more than chance.

# %%
cx.text.plots.reason_dots(why)

# %% tags=["claim", "service"]
why.claim()

# %% [markdown]
# > **Read this:** a column, for what an airline is told most; then the triangles, for what it is told more than the others.
#
# > **How this misleads:** shares sum to one, so an airline with few late flights has more of everything else. And the label *Can't Tell* is the third most frequent reason: the readers were unsure too.

# %% [markdown]
# ## What gets passed on?
#
# One tweet in twenty is retweeted at all. The difference in that share by what a text has, with the other features held still, and (rings) taken alone.

# %%
passed = cx.text.engagement(tweets)
cx.text.plots.engagement_dots(passed)

# %% tags=["claim", "marketing"]
passed.claim()

# %% [markdown]
# > **Read this:** rings far from their dots. A feature that seems to matter and does not, once the others are held still, is a passenger of another one.
#
# > **How this misleads:** how many followers a writer has is not in the data, and it decides most of it. What goes with being passed on need not bring it about.

# %% [markdown]
# ## What can this not tell?
#
# - **How satisfied anybody's customers are.** Who reviews, and who tweets at an airline, chose to.
# - **Anything about Italian.** No real Italian texts are among the data of this project. Italian is in the simulated demo only, made from a bank of phrases, and that proves nothing about Italians.
# - **Whether the Romanian model works on Romanian tweets.** Words mean other things in other places: learn anew where the texts are new.
# - **Irony.** "Great, another delay" is pleased by its words.
#
# ### Try it yourself
#
# 1. Add a theme of your own to the codebook, and look whether it turns with the parcel.
# 2. Count in days: `cx.text.mentions(tweets, every="1 D")`. Which burst appears, which one goes?
# 3. Weigh each reason by the labellers' confidence: `cx.text.reasons(tweets, weight="reason_confidence")`.

# %% [markdown]
# ## Do the numbers agree with each other?

# %%
least = {"olist": 0.965, "laroseda": 0.970, "chn_hotel_reviews": 0.950}
found = table.set_index("study")["estimate"]
assert all(found[name] >= value for name, value in least.items()), found.to_dict()
again = cx.text.sentiment(texts["olist"]).frame["positive"]
assert again.equals(learnt["olist"].frame["positive"])
in_all = why.table().query("touchpoint == '(all)'")["estimate"]
assert abs(in_all.sum() - 1) < 1e-9
late = by_parcel.table().query("theme == 'late'").set_index("group")
assert late.loc["after the promised day", "low"] > late.loc["in time", "high"]
assert not said["comment"].str.contains(r"(?<!\w)@\w\w").any()

# %% [markdown]
# **Keypoints.** The scores beside the texts are the dictionary. Identical texts in one fold. Count people, not words or posts. A codebook counts; only reading says how wrong.
