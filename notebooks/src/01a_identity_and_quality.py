# %% [markdown]
# # Who is who, and can I sign for these data?
#
# Chapter 1 said how much there is and how customers feel. This page goes behind it: which events are at fault and by which rule, where a source fell silent, which columns changed their meaning half-way, who the anonymous visitors are, which merges were refused, and how much the figures of the later chapters depend on all that. The box above is what somebody can put a name under.
#
# | | |
# |---|---|
# | **Reading time** | 30 minutes, exercises 20 more |
# | **You need** | a study with `touchpoints`; anonymous ids and times of arrival make it worth while |
# | **Before this** | `01_data_collection` |
# | **After this** | `02_persona_clustering`, `03_journey_templates` |

# %% tags=["parameters"]
STUDY = "demo"

# %% tags=["hide-code"]
import cxlib as cx

study = cx.open_study(STUDY)

# %% [markdown] tags=["summary", "needs-touchpoints"]
# ## In short

# %% tags=["summary", "checked"]
cx.collection.state(study)

# %% [markdown] tags=["needs-touchpoints"]
# ## Which events are at fault?
#
# Five faults, each found by a rule that is stated beside its share, so that somebody else can disagree with the rule instead of with the number. An event may have several. Customers are what is sampled: a device with a wrong clock spoils all of its events at once.

# %%
quality = cx.collection.quality(study)
cx.collection.plots.fault_dots(quality.faults)

# %% tags=["claim", "checked"]
quality.faults.claim()

# %% tags=["checked"]
quality.faults

# %% [markdown]
# > **Read this:** the rule before the share. A wrong clock is told from lateness because *all* of a device's events are off by the same time; what arrived before it happened can only be a clock.
#
# > **How this misleads:** a device that sent a single event late may have a wrong clock or a bad connection; it counts as late. A machine that is slow, or shows a new id on each page, is a visitor here as everywhere.

# %% [markdown] tags=["needs-touchpoints"]
# ## Where did a source fall silent, or shout?
#
# A gap is a run of days without an event where at least ten customers were due; a burst is a day with more than twice the usual, far beyond its spread. What is usual is the median of the days around, and of the same weekday in the weeks around, so that Sundays are compared with Sundays.

# %% tags=["checked"]
quality.gaps

# %% tags=["claim", "checked"]
quality.gaps.claim()

# %% [markdown]
# > **Read this:** every row is a question for whoever runs that source: a release, an outage, a campaign, a public holiday?
#
# > **How this misleads:** a source that lost half of its events every day from the start has neither gaps nor bursts. What never arrived leaves no trace in what did.

# %% [markdown] tags=["needs-touchpoints"]
# ## Did a column change its meaning half-way?
#
# Every column of every dated table, compared between the first and the second half of the study's time: the class whose share moved most, by how much, and the false discovery rate *q* over all columns. A new release, a renamed campaign, a question asked of other people: all of them look like a change of customers.

# %%
cx.collection.plots.drift_dots(quality.drift)

# %% tags=["claim", "checked"]
quality.drift.claim()

# %%
quality.drift

# %% [markdown]
# > **Read this:** the distance, not the *q*. With many customers everything differs beyond chance; five points of share is where one begins to ask.
#
# > **How this misleads:** customers change too. A shop that grows has newer customers in its second half, and everything that goes with being new drifts along.

# %% [markdown] tags=["needs-touchpoints"]
# ## Whose are the events?
#
# A known customer's, an anonymous id's that a sign-in links to one, or nobody's that is known. By channel, because a till knows nobody and an app everybody.

# %%
cx.collection.plots.identity_bars(quality.identity)

# %% tags=["claim", "checked"]
quality.identity.claim()

# %% [markdown]
# > **Read this:** the last colour. Those events are somebody's journey cut into pieces: each piece looks like a visitor who came once and left.
#
# > **How this misleads:** the linked are not a sample of all. Who signs in is loyal, so a study of linked journeys is a study of loyal customers.

# %% [markdown] tags=["needs-touchpoints.anonymous_id"]
# ## Who is who?
#
# Links by stated rules only, nothing guessed. Values that software writes where it knows no id (`null`, `0`, `anonymous`) link nobody; an id with more owners than a household links nobody; on a device that two people share, an anonymous event goes to whoever signs in near it, and to nobody where that is contested; and only e-mail addresses, cards and the like make two customers one person. A cookie never does: half a per cent of shared devices would otherwise merge strangers by the thousand.

# %%
stitched = cx.collection.stitch(study)
stitched

# %% tags=["claim", "checked"]
stitched.claim()

# %% tags=["checked"]
stitched.audit

# %% [markdown]
# > **Read this:** the refusals. A merge that was refused wrongly cuts one journey in two; one that was made wrongly hands somebody's orders to a stranger. The second is worse, and cannot be seen afterwards.
#
# > **How this misleads:** precision is bought with the visitors whom nobody ever recognised. No rule can link them, and the display says how many they are.

# %% [markdown] tags=["needs-touchpoints.anonymous_id", "needs-conversion"]
# ## How much do the later figures depend on it?
#
# The same figure, computed again with a part of the links withheld: what would the report have said if fewer customers had signed in? The ids withheld at 50 % are among those withheld at 25 %, so the line is not noise.

# %% tags=["needs-conversion"]
def bought(some):
    last = cx.journeys.funnel(some).table().iloc[-1]
    return last["estimate"], last["low"], last["high"]


coverage = cx.collection.coverage(study, {"share of persons who get to the last stage": bought})
cx.collection.plots.coverage_lines(coverage)

# %% tags=["claim", "checked"]
coverage.claim()

# %%
coverage

# %% [markdown]
# > **Read this:** a flat line is a figure that does not care who is who. A steep one should never be compared between companies, or between years with different log-in rates.
#
# > **How this misleads:** the line ends where the links do. With *more* sign-ins than there were it would go on, in the direction it has, and nobody knows how far.

# %% [markdown] tags=["needs-touchpoints.anonymous_id", "needs-conversion"]
# ## What does mending change?
#
# The same figure on the study as it came, without second copies, machines and placeholder ids, and then with the links as well.

# %%
cleaned = cx.collection.cleaned(study)
both = cx.collection.stitch(cleaned).applied()
steps = {"as it came": study, "cleaned": cleaned, "cleaned and stitched": both}
mended = {name: bought(some) for name, some in steps.items()}

# %%
import pandas as pd

pd.DataFrame(mended, index=["estimate", "low", "high"]).T.round(3)

# %% [markdown]
# > **Read this:** if the three agree, the faults are a matter of hygiene. Where they do not, say which one a report stands on.
#
# > **How this misleads:** agreement of three figures says nothing about a fourth. A rate per visit cares about machines, a rate per customer hardly does.

# %% [markdown] tags=["needs-truth"]
# ## Did we find what was planted?
#
# A fresh company of 1,000 customers, drawn here and now, with every fault known event by event: how many of those found are at fault, and how many of those at fault were found?

# %% tags=["needs-truth"]
world = cx.world.simulate(1000, seed=1)
company = cx.open_study(world.tables, currency="EUR", conversion=study.settings.conversion)
flags = company.fetch(cx.collection.faults(company).flags)
planted = world.planted["events"].merge(flags, on="event_id", how="left")

# %% tags=["needs-truth"]
pairs = {"duplicate": "again_", "junk_id": "junk_", "bot": "bot_", "clock_skew": "clock_", "late": "late_"}
for fault, flag in pairs.items():
    found, there = planted[flag].eq(True), planted["fault"] == fault
    print(f"{fault:<11} planted {there.sum():>5,}, found {(found & there).sum():>5,}, flagged {found.sum():>5,}")

# %% [markdown]
# > **Read this:** *flagged* counts an event under every fault it has, *planted* only under its first one: a late second copy is a duplicate there, and both here.

# %% [markdown]
# ## What can this not tell?
#
# - **What never arrived.** Blocked trackers, refused consent, an outage that nobody noticed.
# - **Whether a link is true.** Two people who share a password are one customer, here and everywhere.
# - **Why a column drifted.** The company's release notes are a better source than its data.
#
# ### Try it yourself
#
# 1. Refuse every shared device: `cx.collection.stitch(study, cap=1)`. What does the audit say, and how many anonymous events lose their person?
# 2. Add your own placeholder: `cx.collection.stitch(study, banned=["test"])`.
# 3. Add a figure of yours to the sensitivity: the number of persons, say, from `cx.collection.stitch(some).persons`.

# %% [markdown]
# ## Do the numbers agree with each other?

# %%
if study.has("touchpoints"):
    whose = quality.identity.table()
    assert (whose.groupby("channel")["estimate"].sum().round(9) == 1).all()
    assert quality.faults.table()["estimate"].between(0, 1).all()
if study.has("touchpoints", "anonymous_id"):
    assert stitched.persons <= stitched.unlinked

# %% [markdown]
# **Keypoints.** State the rule before the share. Refuse a merge you cannot defend. Say on which version of the data a figure stands, and how far it moves on the others.
