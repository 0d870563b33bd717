# %% [markdown] tags=["needs-persons"]
# # Are these personas real?
#
# A deep dive behind `02_persona_clustering`. Clustering always finds clusters. Here the personas are asked the questions that a doubter would ask, each in a way that lets the answer be no. None of them is enough by itself: a continuum can be stable, a wrong model can be sure.
#
# | | |
# |---|---|
# | **Reading time** | 20 minutes, exercises 20 more |
# | **You need** | a study with customers who come back, as for `02_persona_clustering` |
# | **Before this** | `02_persona_clustering`: who the personas are |
# | **After this** | `02b_who_comes_and_goes`: who is new, who moves, and where newcomers belong |

# %% tags=["parameters"]
STUDY = "demo"
KMAX = 8
RESAMPLES = 6

# %% tags=["hide-code"]
import cxlib as cx

study = cx.open_study(STUDY)
features = cx.personas.features(study)
personas = cx.personas.fit(features, kmax=KMAX)
evidence = personas.evidence()

# %% [markdown] tags=["summary"]
# ## In short

# %% tags=["summary", "checked"]
stability = cx.personas.stability(personas, times=RESAMPLES)
residuals = cx.personas.residuals(personas)
claims = evidence.claim(), evidence.foretells(), evidence.agrees(), stability.claim(), residuals.claim()
cx.results.Summary(claims)

# %% [markdown]
# ## Is a further kind worth it?
#
# Each further kind fits better, as every further parameter does. The BIC asks whether it fits better by more than its parameters would by chance, and one kind is among the answers. The second panel asks for more: kinds learnt from everybody's earlier visits must make the *later* visits likelier. A mood or a phase does not.

# %%
cx.personas.plots.evidence(evidence)

# %% tags=["claim", "checked"]
evidence.claim()

# %% [markdown]
# > **Read this:** the ring, and whether the last interval on the right stays clear of zero. If it does not, the kind is dropped.
#
# > **How this misleads:** the number of kinds grows with the number of customers. Two million customers show differences that nobody could act on; look at the size of the gain, not only at its sign.

# %% [markdown]
# ## Does it foretell customers it has never seen?
#
# The mixture is fitted anew to one half of the customers, drawn by lot, and judged by the other half; then the halves change places. A kind that was made up from noise costs likelihood there.

# %%
cx.personas.plots.others(evidence)

# %% tags=["claim", "checked"]
evidence.foretells()

# %% [markdown]
# > **Read this:** the number of kinds at which the gain ends. It should be the number that was kept.
#
# > **How this misleads:** other customers of the same year share its offers, its faults and its seasons. Next year's customers are a harder test, and only next year brings it.

# %% [markdown]
# ## What does the method find where there is one kind?
#
# A world is drawn from the fitted model with *one* kind: the same customers face the same moments, choose what is usual there, and answer as everybody does; each keeps a level of their own, and what was missing stays missing. Then the same method is let loose on it. Below, all tests side by side.

# %% tags=["claim", "checked"]
evidence.null()

# %% tags=["checked"]
evidence

# %% [markdown]
# > **Read this:** the column `null` is the BIC above that of one kind, in the world with one. It should rise from the first row on.
#
# > **How this misleads:** the world is drawn from our own model. Where real customers break it, for instance by two columns that say the same, kinds can still appear that are none: see what is left unexplained, below.

# %% [markdown]
# ## Would k-means have told us the same?
#
# The usual way: shares and means of each customer, logarithms where skewed, categories as columns of zeros and ones, all standardised. It cannot know that a share of three visits is less certain than one of three hundred, and it never answers "one".

# %% tags=["claim", "checked"]
evidence.agrees()

# %% [markdown]
# > **Read this:** agreement is welcome where it occurs. Where it is low, the two differ about *customers*, and the tests above speak for one of them.
#
# > **How this misleads:** two methods can agree because both follow how active customers are. The mixture is kept from that; k-means is not.

# %% [markdown]
# ## Which personas fall apart in resamples?
#
# The personas are fitted again, from fresh starts, to samples of the same customers, and matched with those we have. The Jaccard index says how much of a persona comes back: above .85 it is highly stable, from .6 it is a pattern whose borders move, below .5 it has dissolved.

# %%
cx.personas.plots.stability(stability)

# %% tags=["claim", "checked"]
stability.claim()

# %% tags=["checked"]
stability

# %% [markdown]
# > **Read this:** the weakest persona first. Do not build on one that dissolves, and do not name it.
#
# > **How this misleads:** stable is not real. Cut one cloud through the middle, and the same two halves come back every time. That is why the number of kinds is not chosen by stability.

# %% [markdown]
# ## What do the personas leave unexplained?
#
# Within a persona, features of different blocks should no longer go together. Where they do, something is missing: two columns that say the same thing, or a difference between customers that no persona stands for. All pairs are tested at once, and the false discoveries among them are held to one in twenty.

# %%
cx.personas.plots.residuals(residuals)

# %% tags=["claim", "checked"]
residuals.claim()

# %% tags=["checked"]
residuals

# %% [markdown]
# > **Read this:** coloured pairs. If one of them is the same fact twice, such as a region and its language, leave one out and fit again; the number of kinds may fall.
#
# > **How this misleads:** with many customers a correlation of a few hundredths is found beyond doubt, and matters to nobody. Judge its size.

# %% [markdown]
# ## Kinds, or a continuum?
#
# Customers may differ by degree, along one axis, and a mixture would cut that axis into slices. So an axis without gaps is fitted to the same features: every taste and every mean may rise or fall along it, and where it explains more for its parameters, there are no kinds to be found.

# %% tags=["claim", "checked"]
evidence.degrees()

# %% [markdown]
# > **Read this:** the row `one axis` of the table above. Where its BIC is the smallest, use the axis itself, as a number a customer, and call the personas what they are: slices.
#
# > **How this misleads:** only one axis is tried. Customers spread over two axes without gaps would look like kinds to this test.

# %% [markdown] tags=["needs-truth"]
# ## Did we find what was planted?
#
# This study is simulated, and the number of kinds and their true sizes are known.

# %% tags=["needs-truth", "checked"]
planted = cx.personas.planted(study)
sizes = personas.table()[["persona", "estimate", "low", "high", "n"]]
sizes.join(planted, how="outer").round(3)

# %% [markdown] tags=["needs-truth"]
# > **Read this:** the number of rows, and whether the intervals hold the planted sizes, which are set beside them from the largest to the smallest.
#
# > **How this misleads:** sizes can fit by chance. Whether *customers* are put where they belong is measured outside this notebook, on worlds whose truth is known person by person (`benchmarks/personas.py`); there, stated probabilities of the middling kind prove a little too sure, the more so the fewer customers there are to learn from.

# %% [markdown]
# ## What can this not tell?
#
# - **Whether they matter.** Real personas may want the same. That is what an experiment by persona is for (chapter 4).
# - **What was not recorded.** Kinds that differ in nothing we have are one kind to us.
# - **Two axes.** A continuum of more than one dimension is not among the rivals.
#
# ### Try it yourself
#
# 1. Give a column twice: `extra` with the customers' region under another name. What do the residuals say, and how many kinds are found?
# 2. Ask for one kind more, `cx.personas.fit(features, k=personas.k + 1)`, and let `stability` judge it. Which persona dissolves?
# 3. A company whose customers differ by degree only: `cx.open_study(cx.world.simulate(2000, world="continuum").tables)`. What does the verdict say, and what do the resamples say?
# 4. Raise `RESAMPLES` to 50 for a page you would sign.

# %% [markdown]
# ## Do the numbers agree with each other?

# %%
table = evidence.table()
assert table.loc[table["kinds"] == personas.k, "bic"].item() == 0
assert stability.table()["estimate"].between(0, 1).all()
assert sum(stability.picked.values()) == RESAMPLES
assert residuals.table()["estimate"].abs().max() <= 1 or residuals.table().empty

# %% [markdown]
# **Keypoints.** Ask each test for a no. Later visits and other customers are the strictest judges. Stable is not real. Look at what is left over before you believe what was found.
