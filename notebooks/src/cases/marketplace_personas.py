# %% [markdown]
# # Which kinds of customers does a marketplace have?
#
# Olist sold through Brazilian marketplaces and published what was ordered, paid, delivered and said of it. It is the data set on which customer segmentation is taught most often: recency, frequency, monetary value, k-means, four colours on a slide. This case reproduces what is known of the data, does what is usually done, and asks of whom the result speaks.
#
# | | |
# |---|---|
# | **Reading time** | 25 minutes |
# | **You need** | the public data set `olist` (13 MB): `cx data fetch olist` |
# | **Before this** | `02_persona_clustering`; `02a_are_they_real` says how each check works |
# | **Licence of the data** | CC BY-NC-SA 4.0 (orders, payments, reviews, customers): to learn on, not to earn with |

# %% tags=["parameters"]
STUDY = "olist"
DEALS = 8  # times that the orders are dealt anew

# %% tags=["hide-code"]
import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

import cxlib as cx
from cxlib.rates import Counts

study = cx.open_study(STUDY)
orders = study.fetch(study.table("orders"))
bought = orders[orders["revenue"] > 0].sort_values(["ts", "order_id"])

# %% [markdown] tags=["summary"]
# ## In short

# %% tags=["summary", "hide-code"]
segments = cx.customers.rfm(study)
personas = cx.personas.fit(cx.personas.features(study))
account = cx.customers.lifecycle(study)
promises = cx.collection.promises(study)
lines = [segments.claim(), personas.claim(), account.claim().first, promises.claim()]
cx.results.Summary((*lines, "Next: follow customers and not orders, and ask them what they come for, before anybody draws personas."))

# %% [markdown]
# ## Are these the data that were published?
#
# Known of this sample are 97.01 % of orders delivered; of these 7.94 % later than the estimated timestamp and 6.58 % later than the estimated day; and stars from one to five of 11.4, 3.2, 8.6, 19.3 and 57.5 %.

# %%
promises

# %%
stars = study.fetch(study.table("surveys"))["score"].astype(int)
counts = stars.value_counts().sort_index()
share = cx.stats.wilson(counts, len(stars))
table = {"stars": counts.index, "estimate": share.estimate, "low": share.low, "high": share.high, "n": len(stars)}
Counts(pd.DataFrame(table), shares=("estimate", "low", "high"))

# %% [markdown]
# > **Read this:** the two lines of lateness. The promise is a midnight, so a parcel that comes on the promised day is late by the clock and in time by the calendar.
#
# > **How this misleads:** the files state no time zone. Read in another one, the second figure changes.

# %% [markdown]
# ## How often do customers buy?
#
# Recency, frequency and monetary value, each to be cut into five equal parts. Equal customers get equal scores, so no cut can run through those who bought once. The rules as they are, with their units:

# %%
segments.rules()

# %% tags=["thumbnail"]
cx.customers.plots.rfm(segments)

# %% tags=["claim", "marketing"]
segments.claim()

# %% [markdown]
# Those who bought again are rarer here than they were: orders were drawn for this sample, not customers, so that most second orders were left behind. If all who came back bought twice, so many did before the drawing:

# %%
kept, back = 15_000 / 99_441, int((segments.scores["frequency"] > 1).sum())
both = kept / (2 - kept)  # of the customers with two orders who are seen at all: seen with both
seen = cx.stats.wilson(back, len(segments.scores))
before = [float(end / both / (2 - end / both)) for end in seen[:3]]
print(f"Seen to come back: {100 * float(seen.estimate):.2f} % of {len(segments.scores):,}; before the drawing about {100 * before[0]:.1f} % ({100 * before[1]:.1f} to {100 * before[2]:.1f})")

# %% [markdown]
# > **Read this:** the scores of frequency. Five parts were asked for; what there is to part decides how many there are.
#
# > **How this misleads:** a tool that ranks customers and cuts the ranks makes five parts of anything. Then two customers who both bought once are a *loyal* and a *lost* one, by the order of the rows.

# %% [markdown]
# ## What does k-means find, and of whom?
#
# The usual recipe: the three numbers, logarithms, standardised, k-means, the number of clusters by silhouette. Beside it the same recipe on customers who do not exist: all orders are shuffled and dealt to the customers anew, to each as many as before. Whatever a customer is, it is gone; only orders are left.

# %%
def numbers(some):
    of = some.groupby("customer_id").agg(last=("ts", "max"), orders=("ts", "size"), money=("revenue", "sum"))
    x = np.column_stack([(some["ts"].max() - of["last"]).dt.days, np.log(of["orders"]), np.log(of["money"])])
    return (x - x.mean(axis=0)) / x.std(axis=0)


def silhouettes(x):
    fits = {k: KMeans(k, n_init=3, random_state=0).fit(x) for k in range(3, 8)}
    return {k: silhouette_score(x, fit.labels_, sample_size=2000, random_state=0) for k, fit in fits.items()}


real = pd.Series(silhouettes(numbers(bought)))
rng = np.random.default_rng(0)
people = bought["customer_id"].to_numpy()
dealt = pd.DataFrame([silhouettes(numbers(bought.assign(customer_id=rng.permutation(people)))) for _ in range(DEALS)])

# %%
fig, ax = cx.figures.figure()
ax.fill_between(dealt.columns, dealt.min(), dealt.max(), color=cx.figures.MUTED, alpha=0.35, label="orders dealt anew, lowest to highest")
ax.plot(real.index, real, color=cx.figures.ACCENT, marker="o", label="customers")
ax.set_xlabel("number of clusters")
ax.set_ylabel("silhouette")
ax.set_xticks(real.index)
ax.set_title("Clusters of customers, and of nobody")
ax.legend()
alt = f"Silhouette by number of clusters, highest at {real.idxmax()} for customers and between {dealt.idxmax(axis=1).min()} and {dealt.idxmax(axis=1).max()} where orders were dealt anew."
cx.figures.finish(fig, alt)

# %% tags=["claim", "marketing"]
same, best = int((dealt.idxmax(axis=1) == real.idxmax()).sum()), dealt.max(axis=1)
what = "clusters of orders" if real.max() <= best.max() else "more than orders alone would give"
cx.results.Claim(
    f"K-means finds {real.idxmax()} clusters of customers (silhouette {real.max():.3f}), and as many in {same} of {DEALS} worlds "
    f"of customers who do not exist (silhouette {best.min():.3f} to {best.max():.3f}): they are {what}."
)

# %% [markdown]
# > **Read this:** whether the dots leave the band. Inside it, the clusters are made of when an order was placed and of what it was worth.
#
# > **How this misleads:** such clusters are *stable*. The same orders give the same clusters, sample after sample. Stability says that a result comes again, not of what it is a result.

# %% [markdown]
# ## Does anything last in a customer?
#
# Only those who bought again can tell. If there are kinds, the first and the second order of the same customer are more alike than two orders of two customers. Orders of the same days are one occasion in two parcels, and count for less:

# %%
turns = bought.assign(turn=bought.groupby("customer_id").cumcount(), log=np.log(bought["revenue"].astype(float)))
pairs = turns[turns["turn"] < 2].pivot(index="customer_id", columns="turn", values=["log", "ts"]).dropna()
days = (pd.to_datetime(pairs["ts", 1]) - pd.to_datetime(pairs["ts", 0])).dt.days
rows = []
for what, some in (("all who came back", pairs), ("after 30 days or more", pairs[days >= 30])):
    r, half = np.corrcoef(*some["log"].astype(float).to_numpy().T)[0, 1], 1.96 / np.sqrt(len(some) - 3)
    ends = np.tanh(np.arctanh(r) + np.array([0, -half, half]))  # Fisher 1915
    rows.append((what, *ends, len(some)))
Counts(pd.DataFrame(rows, columns=["customers", "estimate", "low", "high", "n"]).rename(columns={"customers": "who"}), shares=())

# %% [markdown]
# > **Read this:** the correlation of what two orders of a customer are worth, and the width of its interval.
#
# > **How this misleads:** a lasting level of spending is one axis, more or less of the same. It is no evidence of kinds, and those who came back are not those who did not.

# %% [markdown]
# ## Are there personas?
#
# The verdict is *cannot tell* wherever nearly all are buyers and hardly any came back, whatever the fit of a mixture. Among those who came back nothing is hidden by that, but they are few:

# %% tags=["claim", "product"]
personas.claim()

# %%
again = segments.scores.loc[segments.scores["frequency"] > 1, "person"]
tables = {name: study.fetch(study.table(name)) for name in ("orders", "touchpoints", "surveys", "customers")}
tables = {name: some[some["customer_id"].isin(again)].dropna(axis=1, how="all") for name, some in tables.items()}
few = cx.open_study(tables, conversion=["purchase"], currency="BRL", money="minor")
returned = cx.personas.fit(cx.personas.features(few))
returned.claim()

# %% tags=["claim"]
needed = returned.evidence().needed or len(again)
cx.results.Claim(
    f"{needed:,} customers who bought more than once would be needed, of whom there are {len(again):,} here: at their share of "
    f"{100 * float(seen.estimate):.1f} %, about {round(needed / float(seen.estimate), -3):,.0f} customers in a sample drawn like this one."
)

# %% [markdown]
# > **Read this:** the number needed is of customers *who came back*. More customers who bought once add nothing to it.
#
# > **How this misleads:** it is the number for two kinds of equal size whose tastes differ by a factor of two. Finer kinds need more.

# %% [markdown]
# ## Who comes and who goes?
#
# Customers accounted for like stock: a customer is current for 90 days after the last contact of their own, which here is an order or a review.

# %% tags=["claim", "marketing"]
account.claim()

# %% [markdown]
# > **Read this:** new against returned. A rate of lapsing is only news where coming back is possible.
#
# > **How this misleads:** growth by new customers hides that nobody stays, until there are no more new ones.

# %% [markdown]
# ## What can this not tell?
#
# - **Motives.** Nobody was asked why they came. Price, hurry, a present: an order looks the same.
# - **Journeys.** The record begins with the purchase. What was searched, compared and left in the basket is in no file.
# - **Who is one person.** `customer_unique_id` is the marketplace's own guess. One person with two accounts bought once, twice.
# - **Who came back.** The sample was drawn by order. Recency and frequency are those of the drawing as much as of the customers.
# - **Who is treated unfairly.** No age and no sex is known, so whether segments go with them cannot be checked; the state of Brazil a parcel goes to is all there is.
#
# ### Try it yourself
#
# 1. Ask for three parts, `cx.customers.rfm(study, parts=3)`. Which rules change, and which cannot?
# 2. Leave frequency out of `numbers`. Do the clusters change, and does the band?
# 3. Force personas: `cx.personas.fit(cx.personas.features(study), k=4).cards()`. What are they called, and what are the names made of?

# %% [markdown]
# ## Do the numbers agree with each other, and with what was published?

# %%
known = promises.table()["estimate"].mul(100).round(2).tolist()
assert known == [97.01, 7.94, 6.58]
assert (100 * share.estimate).round(1).tolist() == [11.4, 3.2, 8.6, 19.3, 57.5]
assert len(orders) == 15_000
scores = segments.scores
assert scores.groupby(["recency", "frequency"])["segment"].nunique().max() == 1
assert abs(segments.table()["revenue_share"].sum() - 1) < 1e-9
stock = account.table()
assert (stock["opening"] + stock["new"] + stock["returned"] - stock["lapsed"] - stock["closing"]).abs().max() < 1e-6
assert personas.evidence().verdict == returned.evidence().verdict == "cannot tell"

# %% [markdown]
# **Keypoints.** Count how many came back before anything else. A customer seen once is an occasion. Deal the orders anew: what stays was never of customers. Cut points have units, and equal customers equal scores. *Cannot tell* is an answer, and says what to collect.
