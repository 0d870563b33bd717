# %% [markdown]
# # What do the passengers of an airport tell it?
#
# San Francisco airport asks its departing passengers once a year: 28,665 of them from 2010 to 2018, nine questionnaires of which no two have the same columns, in four languages, with weights in seven of the years. The data are public, the published net promoter scores are known to the decimal, and everything that goes wrong with surveys in real life has happened to them. This case reads them with the methods of chapter 1 and reproduces what was published.
#
# | | |
# |---|---|
# | **Reading time** | 30 minutes |
# | **You need** | the public data set `sfo_survey` (6 MB): `cx data fetch sfo_survey` |
# | **Before this** | `01_data_collection`; `01b_voice_of_customer` says how each method works |
# | **Licence of the data** | Public Domain Dedication and License (PDDL), City of San Francisco |

# %% tags=["parameters"]
STUDY = "sfo_survey"
YEARS = (2017, 2018)

# %% tags=["hide-code"]
import numpy as np
import pandas as pd

import cxlib as cx
from cxlib.rates import Counts

study = cx.open_study(STUDY)
answers = study.fetch(study.table("surveys"))
flight = answers["flight"].fillna(answers["response_id"])  # passengers of one flight are interviewed together

# %% [markdown] tags=["summary"]
# ## In short

# %% tags=["summary", "hide-code"]
before, after = ((f"{year}-01-01", f"{year + 1}-01-01") for year in YEARS)
recent = answers[(answers["question"] == "nps") & answers["score"].notna()]
net = 100.0 * ((recent["score"] >= 9).astype(int) - (recent["score"] <= 6))
often = np.where(recent["weight"] < 0.8, "airlines asked too often", "the other airlines")
recent = recent.assign(period=recent["year"], touchpoint=often, value=net, person=flight[recent.index])
score = "net promoter score"
weighted = cx.voice.split_frame(recent, who=None, weight="weight", measure=f"The {score}", unit="points")
plain = cx.voice.split_frame(recent, who=None, measure=f"Without weights the {score}", unit="points")
whole = cx.voice.drivers(study, "csat", period=after)
satisfied = cx.voice.scores(study, "csat", by="year")
said = (weighted.claim(), plain.claim(), satisfied.claim(), whole.claim().first)
cx.results.Summary((*said, "Next: ask what changed for passengers of the airlines asked too often, before the airport as a whole."))

# %% [markdown]
# ## Can nine questionnaires be compared?
#
# Every year renamed its columns; 2010 and 2011 have letters instead of names. The reader of this package puts each under one name. A cell is the share of that year's passengers who gave a score, so an empty cell is a question that was not asked, and a pale one a place that few passengers ever see.

# %%
asked = answers.assign(given=answers["score"].notna()).pivot_table("given", "question", "year", aggfunc="mean")
asked = asked.loc[asked.mean(axis=1).sort_values(ascending=False).index]
fig, ax = cx.figures.figure("wide", 6.4)
cx.figures.heat(ax, asked.fillna(0), asked.index, asked.columns.astype(str))
ax.set_title("Passengers who gave a score, %")
fewest, most = asked.min(axis=None), asked.max(axis=None)
alt = f"Share of each year's passengers who scored each of {len(asked)} questions, {fewest:.0%} to {most:.0%}; {asked.isna().sum().sum()} cells were not asked."
cx.figures.finish(fig, alt)

# %% [markdown]
# > **Read this:** the columns, before any row. Likelihood to recommend exists for the last two years only; a trend of it is two points.
#
# > **How this misleads:** the same name is not the same question. Whether the words around it, the order, or the place of the interview changed, no column says.

# %% [markdown]
# ## What do codes that are no scores do to a mean?
#
# A blank is coded 0 in the ratings and 11 in the likelihood to recommend; 6 means never used. The reader turns them into empty scores and keeps in `answer` which it was. Left in by mistake, an 11 is refused, as no net promoter score has it:

# %%
recommend = answers[(answers["question"] == "nps") & (answers["year"] == YEARS[-1])]
try:
    cx.voice.nps(recommend["score"].fillna(11))
except ValueError as refused:
    print(refused)
else:
    raise AssertionError("an 11 must be refused")

# %% [markdown]
# A 0 or a 6 among scores of 1 to 5 is less visible. These are the eight questions whose mean it would have moved most, in steps of the scale:

# %%
rated = answers[answers["scale_max"] == 5]
coded = rated["score"].fillna(rated["answer"].map({"blank": 0, "never used": 6, "don't know": 6}))
means = rated.assign(right=rated["score"], coded=coded).groupby("question")[["right", "coded"]].mean()
means = means.assign(moved=means["coded"] - means["right"], n=rated.groupby("question").size())
Counts(means.nlargest(8, "moved").reset_index(), shares=())

# %% [markdown]
# > **Read this:** the column *moved*. A place gains by being avoided, as those who never used it count as more than outstanding.
#
# > **How this misleads:** the error looks like good news, and it is largest where fewest people have an opinion.

# %% [markdown]
# ## Would they recommend the airport?
#
# As answered, and weighted. In the files a passenger's weight is a matter of the airline alone, so that each airline counts as much as it does in the airport's traffic. Published are 39.8 and 40.4 for 2017, 31.0 and 35.1 for 2018. The third row has the same score with an interval that knows one thing more: passengers of one flight are interviewed together, and share its delay.

# %%
rows = []
for year in YEARS:
    one = answers[(answers["question"] == "nps") & (answers["year"] == year)]
    flights = flight[one.index]
    for how, weights, clusters in (
        ("as answered", None, None), ("weighted", one["weight"], None), ("weighted, by flight", one["weight"], flights)
    ):
        found = cx.voice.nps(one["score"], weights=weights, clusters=clusters).table()
        rows.append(found.assign(year=str(year), how=how))
both = pd.concat(rows)[["year", "how", "estimate", "low", "high", "n", "promoters", "detractors"]]
Counts(both, shares=("promoters", "detractors"))

# %% [markdown]
# > **Read this:** the two differences. Weighting hardly matters in one year and moves the score by four points in the next: something happened to those who are weighted down.
#
# > **How this misleads:** thirteen passengers of one flight are not thirteen witnesses. With flights as clusters an interval is up to nine points wide, and a fall of five is no more than such a survey can see. Two years are no trend either: one May against another differs by weather, building works and whoever flew that week.

# %% [markdown]
# ## What does weighting change, and where does the fall sit?
#
# Some airlines are asked too often: they have far more interviews than their part of the traffic, and so a weight below .8. The change of the score is split between these and the others, here in the place of touchpoints; first without weights. The clusters are the flights.

# %%
cx.voice.plots.split_bars(plain)

# %% tags=["claim"]
plain.claim()

# %%
groups = recent.groupby(["year", "touchpoint"])
sums = groups.agg(n=("score", "size"), weight=("weight", "sum"))
parts = sums / sums.groupby("year").transform("sum")
table = pd.DataFrame([cx.voice.nps(part["score"], clusters=part["person"]).table().iloc[0] for _, part in groups], index=sums.index)
table = table.assign(interviews=parts["n"], traffic=parts["weight"])[["estimate", "low", "high", "n", "interviews", "traffic"]]
Counts(table.rename_axis(["year", "airlines"]).reset_index().astype({"year": str}), shares=("interviews", "traffic"))

# %% [markdown]
# And with the weights:

# %% tags=["claim", "service"]
weighted.claim()

# %% [markdown]
# > **Read this:** the two groups in the table. Where one group of airlines falls by more than the other, a survey that interviews it too often reports its fall as the airport's.
#
# > **How this misleads:** the weight says which airlines, not why. And weights correct for what they know; who refuses an interview, and who has no time for one, they do not know.

# %% [markdown]
# ## Which places go with the whole?
#
# Each passenger rates a dozen places and the airport as a whole. Correlation would credit every place with what goes along with it; relative weights (Johnson 2000) share out what the places have in common. Most passengers never used most places, so every pair of questions rests on those who rated both.

# %% tags=["thumbnail"]
cx.voice.plots.driver_dots(whole)

# %% tags=["claim", "service"]
whole.claim()

# %% [markdown]
# The year before is another sample of other people. What holds in both is worth more than what is significant in one:

# %%
earlier = cx.voice.drivers(study, "csat", period=before).table().set_index("item")["estimate"]
later = whole.table().set_index("item")["estimate"]
agreement = earlier.corr(later.reindex(earlier.index), method="spearman")
top = sorted(set(earlier.nlargest(5).index) & set(later.nlargest(5).index))
print(f"Rank correlation of the weights {agreement:.2f}; among the first five in both years: {', '.join(top)}")

# %% [markdown]
# > **Read this:** what is low and goes with the whole, in the second colour: that is where a change *might* be worth trying first.
#
# > **How this misleads:** these are associations. A passenger in a good mood rates restaurants and airport alike, and no weight can take that apart. To know, change one boarding area's restaurants and compare it with the others before and after.

# %% [markdown]
# ## Do four languages say the same?
#
# The interview is held in English, Spanish, Chinese or Japanese, both years together:

# %%
languages = cx.voice.scores(study, "nps", by="language")
cx.voice.plots.score_dots(languages)

# %% tags=["claim"]
languages.claim()

# %% [markdown]
# > **Read this:** the number of interviews before the score. Two dozen in one language are an anecdote with an interval around it.
#
# > **How this misleads:** a scale is used differently in different places. Answers near the middle are a habit in some, the ends in others (Harzing 2006), so a lower score need not be a worse experience. Within a language, over time, that habit cancels.

# %% [markdown]
# ## What became better, and what worse, in nine years?
#
# A line through each item's yearly means, in steps of its five-step scale in ten years. Years differ by more than sampling would make them, so the intervals are widened to the scatter around the line (Birge 1932), and the false discovery rate is held over all items.

# %%
def trend(item):
    years = cx.voice.scores(study, item, by="year").table().iloc[1:]
    x, y = years["year"].astype(float) / 10, years["estimate"]
    w = (3.92 / (years["high"] - years["low"])) ** 2
    off, spread = x - np.average(x, weights=w), (w * (x - np.average(x, weights=w)) ** 2).sum()
    slope = (w * off * y).sum() / spread
    left = y - np.average(y, weights=w) - slope * off
    scatter = max(1.0, (w * left**2).sum() / (len(years) - 2)) ** 0.5
    return {"item": item, "estimate": slope, "se": scatter / spread**0.5, "years": len(years), "n": years["n"].sum()}


items = [name for name in asked.index[asked.notna().sum(axis=1) >= 5] if name not in ("csat", "nps")]
trends = pd.DataFrame([trend(item) for item in items])

# %%
from scipy.stats import t

reach = t.ppf(0.975, trends["years"] - 2) * trends["se"]
trends = trends.assign(low=trends["estimate"] - reach, high=trends["estimate"] + reach)
trends["q"] = cx.stats.benjamini_hochberg(2 * t.sf(abs(trends["estimate"] / trends["se"]), trends["years"] - 2))
trends = trends.sort_values("estimate", ascending=False, ignore_index=True)

# %% tags=["hide-code"]
fig, ax = cx.figures.figure(height=6.2)
colours = [cx.figures.ACCENT if q < 0.05 else cx.figures.MUTED for q in trends["q"]]
cx.figures.dots(ax, trends["item"], trends["estimate"], trends["low"], trends["high"], colours, 0)
ax.set_xlabel("change in ten years, steps of five (grey: within chance)")
ax.set_title("What became better")
best, worst = trends.iloc[0], trends.iloc[-1]
cx.figures.finish(fig, f"Change of {len(trends)} items in ten years, from {worst['item']} {worst['estimate']:+.2f} to {best['item']} {best['estimate']:+.2f} steps.")

# %% tags=["claim", "product"]
clear = trends[trends["q"] < 0.05]
up, down = clear[clear["estimate"] > 0], clear[clear["estimate"] < 0]
first = clear.loc[clear["estimate"].abs().idxmax()]
cx.results.Claim(
    f"Of {len(trends)} items {len(up)} rose and {len(down)} fell by more than chance would do (false discovery "
    f"rate 5 %); farthest {cx.results.nice(first['item'])}, by {first['estimate']:.2f} steps in ten years "
    f"({first['low']:.2f} to {first['high']:.2f})."
)

# %% [markdown]
# The airport as a whole:

# %% tags=["claim"]
satisfied.claim()

# %% [markdown]
# > **Read this:** items that rose while their neighbours did not. When all rise together, the mood or the interviewer changed, not the places.
#
# > **How this misleads:** nine different samples, and 2011 and 2012 without weights. A terminal that closed takes its discontented passengers out of the mean.

# %% [markdown]
# ## Were the answers given with care?
#
# A passenger at a gate with a plane to catch may tick one column from top to bottom. Content passengers tick alike too; so the share of straight lines is compared with what attentive passengers of these opinions would give.

# %%
cx.voice.careless(study, "csat")

# %% tags=["claim"]
cx.voice.careless(study, "csat").claim()

# %% [markdown]
# Was a question answered on another scale in one of the languages, as far as answers can tell?

# %% tags=["claim"]
cx.voice.scale_mistakes(study, by="language").claim()

# %% [markdown]
# > **Read this:** the score with and without them. If it hardly moves, there is no decision to take.
#
# > **How this misleads:** deleting straight lines deletes the most content passengers first, and the score falls for the wrong reason.

# %% [markdown]
# ## What can this not tell?
#
# - **What the same passenger thought a year later.** Every year is a new sample; nobody can be followed.
# - **How wide every interval should be.** Flights are the clusters for the net promoter score and its split; in the other sections passengers are, and these intervals are somewhat too narrow.
# - **Why anything moved.** The split says where a change sits. What happened at the airport in those twelve months is in no column.
# - **What those feel who were not asked.** Arriving passengers, and all who came to the gate at the last minute.
# - **When in the year.** The surveys before 2016 state no usable date; their `ts` is the first of January, and `dated` says so.
#
# ### Try it yourself
#
# 1. Which places go with the *likelihood to recommend*: `cx.voice.drivers(study, "nps", period=after)`. Are they the same?
# 2. Split the change of `nps` by language: `cx.voice.split(study, "nps", before, after, who="language")`. Who came to be interviewed in 2018 who was not before?
# 3. Rake the answers of 2018 to the languages of 2017: `cx.voice.rake`. How far does the score move, and how much does the interval widen?

# %% [markdown]
# ## Do the numbers agree with each other, and with what was published?

# %%
published = {("2017", "as answered"): 39.8, ("2017", "weighted"): 40.4, ("2018", "as answered"): 31.0, ("2018", "weighted"): 35.1}
ours = both.set_index(["year", "how"])["estimate"].round(1).to_dict()
assert {key: ours[key] for key in published} == published
assert both.groupby("year")["n"].first().loc[["2017", "2018"]].tolist() == [2746, 2650]
assert answers["response_id"].nunique() == 28665
for how, change in (("as answered", plain), ("weighted", weighted)):
    ends = both[both["how"] == how].set_index("year")["estimate"]
    assert abs(change.parts()["estimate"].sum() - (ends["2018"] - ends["2017"])) < 1e-6
assert abs(whole.table()["estimate"].sum() - whole.r2) < 1e-6
assert agreement > 0.5

# %% [markdown]
# **Keypoints.** Put the questionnaires side by side before the scores. Codes are no scores. Ask who is weighted down, and what became of them. What goes with the whole is where to try something, not what to expect from it.
