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
# > **Read this:** the table has a row a block; `features.table()` is the whole card. What *tells* makes the personas; what *describes* (activity, recency, hours) only says later what they are like. `outcome` marks features that buying is part of: they must not be used to explain who buys.
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

# %% [markdown]
# > **Read this:** the ring marks the number of kinds kept. `02a_are_they_real` goes on doubting: what the method finds in a world with one kind, whether k-means would agree, and which personas fall apart in resamples.
#
# > **How this misleads:** the blocks are taken as independent given the kind. Two columns that say the same thing twice, such as a region and its language, look like a kind. Leave one of them out.

# %% [markdown]
# ## Who are they?
#
# One card a persona, to be hung up. The grey lines are the average of all customers; what they wrote comes from `01b_voice_of_customer`, masked.

# %% tags=["thumbnail"]
noted = cx.text.noted(study, "aspect", "sentiment")
themes = cx.text.themes(cx.text.comments(study), read=["aspect", "sentiment"]) if noted else None
cards = personas.cards(said=themes.frame, themes=themes.mentions()) if noted else personas.cards()
cx.personas.plots.cards(cards)

# %% tags=["claim", "checked", "marketing", "product"]
cards.claim()

# %% [markdown]
# > **Read this:** "53±5 | 20 %" is the share here with its interval, and among all. A theme is one that its writers bring up more than others do; where there is none, the one they bring up most. The quote is chosen by rule, not by taste.
#
# > **How this misleads:** a card shows an average of many customers. Nobody is one. And names come from the fit: rename a persona once you have met a few of its customers, by what they want rather than what they click.

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
# ## How do we recognise one in two questions?
#
# On the telephone nobody computes a likelihood. These are the two yes/no questions a persona, to be asked or looked up, that tell most; a missing answer is a no. They are judged on customers they were not learnt from, each counted by the probability of belonging.

# %%
recognised = cx.personas.recognise(personas)
recognised

# %% tags=["claim", "checked", "service"]
recognised.claim()

# %% [markdown]
# > **Read this:** *estimate* is how many of those named belong to the persona, *base* how many would if anybody were named; *finds* is how much of the persona is found. A machine need not ask: `personas.score(study)` gives every customer a probability for each persona, on the engine, and `personas.place(features)` says "uncertain" where it is (`02b_who_comes_and_goes`).
#
# > **How this misleads:** a rule with two questions puts many where they do not belong. It is for how to begin a conversation, not for what to offer or to refuse.

# %% [markdown] tags=["needs-touchpoints"]
# ## Do they differ in what they were not told by?
#
# Personas differ in their own features because they were made so. Do they also differ in how often they answer what the company sends (else, in how many of their visits fall on a weekend)? Those put into the wrong persona blur the difference; the correction takes that out, within bands of activity, as active customers are told apart better.

# %%
outcome = "response" if "response" in features.profile else "weekend"
values = features.profile[["person", outcome, "visits"]]
corrected = cx.stats.correct(values, personas.memberships, strata="visits")

# %% tags=["checked"]
corrected

# %% tags=["claim", "checked"]
corrected.claim()

# %% [markdown]
# > **Read this:** *uncorrected* is the plain mean of those assigned, where wrong assignment pulls the personas together. The intervals know that assignment errs.
#
# > **How this misleads:** it is no effect: whether writing to them more would pay, chapter 4 tests. And an answer can be how a visit begins, which the personas were told by; to be strict, fit with `until=` and look at what comes later.

# %% [markdown]
# ## May we use these?
#
# Age, sex, health and the like are left out of the mixture. That does not keep them out of the personas: what customers do may give them away. So each sensitive attribute that is known is guessed from the persona, and compared with guessing without.

# %%
proxies = cx.personas.proxies(personas, study)
proxies

# %% tags=["claim", "checked"]
proxies.claim()

# %% [markdown]
# > **Read this:** the first row of an attribute is what the personas give away, the others what each block would give away alone. Where the gain is clear, treating personas unlike treats ages or sexes unlike: have somebody decide whether that is wanted, and leave out the block it comes through if it is not.
#
# > **How this misleads:** an attribute that is not in the data cannot be checked, and may be given away all the same.

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
# - **Forever.** Kinds are learnt in one period. Who moves, who leaves and whether the kinds themselves change: `02b_who_comes_and_goes`.
# - **Causes.** That a persona spends more says nothing about what would make it spend more still.
#
# ### Try it yourself
#
# 1. Fit the personas on the first half of the period with `until=`, then `predict_proba` with the features of the second half. Who changed?
# 2. Force `k=2` and look at the cards. Which difference goes first?
# 3. Give a column of your own as `extra=`. Does the number of kinds change? And with `sensitive=()`, does it?

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
lines = cards.table().set_index("about")
assert abs(lines.loc[["size"], "estimate"].sum() - 1) < 1e-9
assert recognised.table()[["estimate", "finds", "base"]].stack().between(0, 1).all()

# %% [markdown]
# **Keypoints.** Condition on activity. Ask whether there is one kind before asking which. A kind must show at other times. Carry probabilities, not labels. Know what a persona gives away before you use it.
