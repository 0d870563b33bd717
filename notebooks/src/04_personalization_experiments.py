# %% [markdown] tags=["needs-exposures"]
# # Whom do we show what, how often, and is it worth it?
#
# An experiment is the one place in this walk where "because" may be said: who met which variant was drawn by lot, so the arms differ in nothing else. That licence is lost as soon as the lot was not carried out as planned, so this chapter begins with the assignment and stops reading where it is broken. Then it asks what changed, for whom, whether choosing by persona is worth its trouble, and how often customers may be written to.
#
# | | |
# |---|---|
# | **Reading time** | 30 minutes, exercises 20 more |
# | **You need** | a study with `exposures`, and `orders` or `touchpoints` to see what followed |
# | **Before this** | `02_persona_clustering`: which kinds of customers are there? |
# | **After this** | `05_revenue_impact`: what is a better experience worth? |

# %% tags=["parameters"]
STUDY = "demo"
EXPERIMENT = ""  # a name; empty: the sound experiment with the most variants
METRIC = "orders"  # what decides, chosen before looking
DAYS = 60  # outcomes are counted for so long after the first exposure

# %% tags=["hide-code"]
import cxlib as cx

study = cx.open_study(STUDY)
trials = cx.experiments.trials(study)
name = trials.pick(EXPERIMENT)
window = trials.window(name, DAYS)
metric = METRIC if study.has("orders") else "visits"

# %% [markdown]
# Personas are made from what was known *before* the experiment began. Personas that had seen its outcome would find effects in it by themselves.

# %%
before = cx.personas.features(study, until=trials.started(name))
personas = cx.personas.fit(before)

# %% tags=["claim", "checked"]
personas.claim()

# %% [markdown] tags=["summary"]
# ## In short

# %% tags=["summary", "checked"]
cx.experiments.summary(study, personas.memberships, name, metric, DAYS)

# %% [markdown]
# ## Which experiments ran, and was the assignment sound?
#
# Before any effect: did the arms get the customers they should have got? An arm that lost customers on the way lost particular ones, the hurried or the annoyed, and every difference afterwards may be theirs. The test is exact for two arms and a chi-square for more; where whole areas were assigned, it counts areas; where the lot was drawn within strata, it looks inside them too.

# %% tags=["claim", "checked"]
trials.claim()

# %% tags=["checked"]
trials

# %% [markdown]
# > **Read this:** `sound` is "no" where so uneven a split has a chance of less than one in a thousand. An experiment in which nothing was changed belongs in this list: it tests the machinery, and should find nothing.
#
# > **How this misleads:** a sound split is no proof of a sound experiment. If those who saw a variant talk to those who did not, or one customer uses two names, the numbers stay even and the effects go wrong.

# %% [markdown]
# ## What did they change?
#
# Each arm against the control of its experiment. The first exposure of a customer decides the arm, whatever was met later, and customers who did nothing count with nothing. What a customer did before the experiment cannot have been changed by it, so it is regressed out (CUPED), which narrows intervals and moves no effect.

# %% tags=["thumbnail"]
every = cx.experiments.overview(study, metric, DAYS)
cx.experiments.plots.overview(every)

# %% tags=["claim", "checked", "product"]
every.claim()

# %% [markdown]
# > **Read this:** blue is "ship", orange "stop", grey "cannot tell". Grey with a wide interval is no evidence that nothing happened: it says that so many customers cannot know.
#
# > **How this misleads:** one metric decides here, named before anybody looked. Whoever looks at ten and reports the best has ten chances to be wrong. Orders need fewer customers than money, where a few large baskets decide; but an arm may bring orders and lose money.

# %% [markdown]
# ## What did the chosen one change?
#
# One experiment, several metrics. Verdicts come from p-values adjusted for all comparisons (Benjamini-Hochberg); each interval stands alone, so that one may leave out zero and its verdict still be "cannot tell".

# %%
result = cx.experiments.analyze(study, name, window=window)
cx.experiments.plots.effects(result)

# %% tags=["claim", "checked"]
result.claim()

# %% tags=["checked"]
result

# %% [markdown]
# > **Read this:** the estimate is in the metric's own unit a customer (money in the smallest unit of its currency), the lift relative to the control. `more` is what an arm needs to find the difference seen so far, if it is real, four times in five.
#
# > **How this misleads:** the effect is that of being *given* the variant, over these days. It is not the effect on those who noticed it, nor that of a year: novelty wears off, habits take time.

# %% [markdown]
# ## Does it work for everybody?
#
# The effect within each persona. A persona is a probability, and an average over those assigned to one mixes others in; the correction (BCH) undoes that. First comes the question whether the effects differ at all, for in a dozen groups some effect always looks special.

# %%
kinds = personas.memberships
inside = cx.experiments.analyze(study, name, metric, window, memberships=kinds).personas
cx.experiments.plots.by_persona(inside)

# %% tags=["claim", "checked"]
inside.claim()

# %% tags=["checked"]
inside

# %% [markdown]
# > **Read this:** a panel whose title says "differs" passed the test that one effect fits all. Only there may personas be compared. `uncorrected` shows how much alike misplaced customers make them look.
#
# > **How this misleads:** intervals take for granted how well personas are told apart. And a persona that gains from an arm is not yet a reason to personalise: all of them may gain most from the same one.

# %% [markdown]
# ## Is choosing by persona worth it?
#
# Three policies, each valued as if it had ruled over everybody: the control, the best single arm, and for each persona its own best arm. The arms are chosen on some customers and valued on others, because the best of many looks better than it is on the customers that made it win.

# %%
value = cx.experiments.policy(study, name, metric, kinds, window)
cx.experiments.plots.policy(value)

# %% tags=["claim", "checked", "marketing", "finance"]
value.claim()

# %% tags=["checked"]
value

# %% [markdown]
# > **Read this:** the gap that counts is the second one, from one arm for all to an arm by persona. If it is not clearly above zero, one arm is simpler, cheaper and no worse.
#
# > **How this misleads:** a policy can act only on the persona a customer *seems* to have, so it earns less than one that knew. What it costs to build and keep several variants is not in here: set `worth` to what a customer must bring to pay for it.

# %% [markdown] tags=["needs-orders.margin"]
# ### And in money?
#
# The same policies, chosen and valued anew on margin.

# %% tags=["claim", "checked"]
cx.experiments.policy(study, name, "margin", kinds, window).claim()

# %% [markdown]
# ## How often may we write?
#
# An experiment whose variants are numbers is a dose. Each is set against the lowest, with the share of customers it drives away: what those would have bought later lies outside the window, and rewards whoever writes most.

# %%
doses = cx.experiments.frequency(study, metric=metric)
cx.experiments.plots.dose(doses)

# %% tags=["claim", "checked", "marketing"]
doses.claim()

# %% tags=["checked"]
doses

# %% [markdown]
# > **Read this:** left, what a dose earns against the lowest; right, how many more it makes opt out. `break even` is what an address may be worth before the dose stops paying; put your own figure into `address` and read again.
#
# > **How this misleads:** the best dose for all may be too much for some and too little for others, and only doses that were tried can be compared. The one in between is a guess.

# %% [markdown] tags=["needs-truth"]
# ## Did we find what was planted?
#
# This study is simulated, so the true effects are known: from a company of many times the size, in which everybody's arm was drawn. Below, each sound experiment's intervals against them, on orders, revenue, margin and whether anything was bought.

# %%
metrics = ["orders", "revenue", "margin", "bought"]
days = {"app_nudge": "120 D", "email_frequency": "90 D"}
tables = {
    one: cx.experiments.analyze(study, one, metrics, days.get(one, "60 D"))
    .table()
    .rename(columns={"arm": "variant"})
    .assign(experiment=one)
    for one in trials.sound
}
truth = study.truth("experiments").query("metric in @metrics")
board = cx.stats.scoreboard(tables, lambda one: truth[truth["experiment"] == one])

# %% tags=["claim", "checked"]
board.claim()

# %% tags=["checked"]
board

# %% [markdown]
# > **Read this:** an interval that holds the truth and a verdict that says "cannot tell" are no contradiction. The interval is honest about what so many customers can know; the mean error says how far off the estimates are, most of it on money.

# %% [markdown]
# ## What can this not tell?
#
# - **What was not tried.** A variant nobody met, a dose between two doses, both changes together.
# - **What spills over.** If one customer's variant changes what another sees or hears, arms are not independent. Assign whole areas then, and name them in `cluster`.
# - **Later.** Nothing beyond the window is in any number here.
# - **Who looked when.** Intervals are for one look at the end. Looking every day and stopping at the first good one finds something in every third experiment without effect.
#
# ### Try it yourself
#
# 1. Put the name of another experiment into `EXPERIMENT`. Does its verdict change with `DAYS`?
# 2. Analyse with `pre_period=None`. How much wider are the intervals without the past?
# 3. Plan the next one: `cx.experiments.design(effect=0.01, baseline=0.10)`. How many customers does it take?

# %% [markdown]
# ## Do the numbers agree with each other?
#
# Identities that must hold on any study. If one of these fails, do not believe the page.

# %%
row = trials.table().set_index("experiment").loc[name]
effects = result.table().dropna(subset=["low"])
assert ((effects["low"] <= effects["estimate"]) & (effects["estimate"] <= effects["high"])).all()
assert (result.means.groupby("metric")["n"].sum() <= row["customers"]).all()
assert (effects["q"] >= effects["p"] - 1e-9).all()
assert set(inside.table().get("persona", [])) <= set(kinds.columns)
assert value.arms["customers"].sum() in (0, value.table()["n"].iloc[0])
assert abs(kinds.drop(columns="person").sum(axis=1) - 1).max() < 1e-6

# %% [markdown]
# **Keypoints.** Look at the assignment before any effect. Say "cannot tell" with the number it would take. Ask whether effects differ before asking for whom. Value a policy on customers who did not choose it. Count the ones who leave.
