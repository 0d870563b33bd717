# %% [markdown] tags=["needs-persons"]
# # Which kinds of customers are there, and are they real?
#
# Personas are easy to make and hard to make true. Any clustering finds clusters, in noise too. Here a kind is a *disposition*: given the same moment, it chooses otherwise, and it does so again later. How often somebody comes is left out on purpose: activity makes counts, shares and recency move together, and most clusterings find nothing else.
#
# | | |
# |---|---|
# | **Reading time** | 30 minutes, exercises 20 more |
# | **You need** | a study with customers who come back: `touchpoints` best, `orders` and `surveys` help |
# | **Before this** | `01_data_collection`: is the data good enough to count on? |
# | **After this** | `03_journey_templates`: how do they travel, and where does it hurt? |

# %% tags=["parameters"]
STUDY = "demo"
KMAX = 8

# %% tags=["hide-code"]
import cxlib as cx

study = cx.open_study(STUDY)
features = cx.personas.features(study)
personas = cx.personas.fit(features, kmax=KMAX)
evidence = personas.evidence()

# %% [markdown] tags=["summary"]
# ## In short

# %% tags=["summary", "checked"]
cx.personas.summary(personas)

# %% [markdown]
# ## What do we know of each customer?
#
# The feature card. Features come in blocks, and each block has the likelihood of what it is: choices given the moment they were made in, values and answers with a level of the person's own, attributes as categories. A missing answer stays missing.

# %% tags=["claim", "checked"]
features.claim()

# %%
features

# %% [markdown]
# > **Read this:** the table has a row a block; `features.table()` is the whole card. `outcome` marks features that buying is part of. Personas built on them describe buyers well, and must not be used to explain who buys.
#
# > **How this misleads:** customers whom nobody recognised are not here at all. And a declared attribute is what somebody once typed into a form.

# %% [markdown]
# ## How many kinds are there, and how do we know?
#
# Four tests, and each may say no. A further kind must be worth its parameters (BIC, one kind allowed). It must foretell *later* visits from earlier ones, because a phase passes and a kind stays. Kinds must explain more than one axis without gaps, because a mixture cuts any continuum into slices. And where one kind is found, two planted ones must have been found.

# %%
cx.personas.plots.evidence(evidence)

# %% tags=["claim", "checked"]
evidence.claim()

# %% tags=["checked"]
evidence

# %% [markdown]
# > **Read this:** the ring marks the number of kinds kept. The column `null` is the same method on the same customers with every choice reshuffled among those who stood before it: above zero, so it finds no kinds in noise.
#
# > **How this misleads:** the blocks are taken as independent given the kind. Two columns that say the same thing twice, such as a region and its language, look like a kind. Leave one of them out.

# %% [markdown]
# ## Who are they?
#
# One card a persona: how large, how active and valuable against the average (the grey line), how visits begin, and what sets it apart.

# %% tags=["thumbnail"]
cards = personas.cards()
cx.personas.plots.cards(cards)

# %% tags=["claim", "checked", "marketing", "product"]
cards.claim()

# %% [markdown]
# > **Read this:** "more" and "less than others" come from the fit, so do the names. Rename a persona once you have met a few of its customers; a name that says what they want is better than one that says what they click.
#
# > **How this misleads:** a card shows an average of many customers. Nobody is one.

# %% [markdown]
# ## How large is each kind?
#
# Shares of customers as mixing proportions. Counting those assigned would be wrong: the well recognisable kinds would lend customers to the others, or borrow them.

# %%
cx.personas.plots.sizes(personas)

# %% tags=["checked"]
personas

# %% [markdown]
# > **Read this:** `customers` are those assigned, `error` is how many of them are expected to belong elsewhere.
#
# > **How this misleads:** the interval knows chance and wrong assignment. It does not know that the features could have been others.

# %% [markdown]
# ## How do we recognise them?
#
# Every customer has a probability for each persona, and so has a customer who comes tomorrow: `predict_proba` takes the features of other customers, or of another period. Later chapters take these probabilities, never a hard label.

# %%
sure = personas.memberships.set_index("person").max(axis=1)
sure.describe(percentiles=[0.1, 0.5]).to_frame("probability of the likeliest persona").round(2)

# %% [markdown] tags=["needs-truth"]
# ## Did we find what was planted?
#
# This study is simulated. Who is of which kind stays hidden, as it would be; only the true sizes are known, without the names we gave. So sizes are compared from the largest to the smallest.

# %% tags=["checked"]
found = personas.table().sort_values("estimate", ascending=False, ignore_index=True)
planted = cx.personas.planted(study)
found[["persona", "estimate", "low", "high", "n"]].join(planted, how="outer").round(3)

# %% [markdown]
# > **Read this:** the right number of kinds of about the right sizes is necessary, not sufficient: the sizes could fit by chance. Whether *customers* are put where they belong is tested outside this notebook, on worlds whose truth is known person by person.

# %% [markdown]
# ## What can this not tell?
#
# - **Why.** A kind is what customers do again and again. Motives have to be asked for.
# - **Forever.** Kinds are learnt in one period. Fit again, and see who moves: `features(study, since=..., until=...)`.
# - **Causes.** That a persona spends more says nothing about what would make it spend more still.
#
# ### Try it yourself
#
# 1. Fit the personas on the first half of the period with `until=`, then `predict_proba` with the features of the second half. Who changed?
# 2. Force `k=2` and look at the cards. Which difference goes first?
# 3. Give a column of your own as `extra=`. Does the number of kinds change?

# %% [markdown]
# ## Do the numbers agree with each other?
#
# Identities that must hold on any study. If one of these fails, do not believe the page.

# %%
probability = personas.memberships.drop(columns="person")
assert abs(probability.sum(axis=1) - 1).max() < 1e-9
assert list(probability) == list(personas.labels)
assert len(set(personas.labels)) == personas.k
assert abs(personas.table()["estimate"].sum() - 1) < 1e-9
again = personas.predict_proba(features).drop(columns="person")
assert abs(again - probability).max(axis=None) < 1e-9

# %% [markdown]
# **Keypoints.** Condition on activity. Ask whether there is one kind before asking which. A kind must show at other times. Carry probabilities, not labels.
