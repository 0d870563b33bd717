# %% [markdown] tags=["needs-touchpoints"]
# # How do customers travel, and where does it hurt?
#
# Every contact of every customer, in order, on one log. From it we count how far customers get, what follows what, where visits end, how people change channel, and which channels stand on the way to a purchase. Each number carries an interval that knows customers come back: fifty folds of customers, not fifty thousand independent clicks.
#
# | | |
# |---|---|
# | **Reading time** | 30 minutes, exercises 20 more |
# | **You need** | a study with `touchpoints`; stages and channels from its `catalog` |
# | **Before this** | `02_persona_clustering`: which kinds of customers are there? |
# | **After this** | `04_personalization_experiments`: what to change, and for whom |

# %% tags=["parameters"]
STUDY = "demo"

# %% tags=["hide-code"]
import cxlib as cx

study = cx.open_study(STUDY)

# %% [markdown] tags=["summary"]
# ## In short

# %% tags=["summary", "checked"]
cx.journeys.summary(study)

# %% [markdown]
# ## How far do customers get?
#
# A funnel over the four stages of a journey. A customer counts at a step if an event of that stage comes *after* their earliest match of the step before; other events may lie between. People are counted, not clicks.

# %%
funnel = cx.journeys.funnel(study)
cx.journeys.plots.funnel(funnel)

# %% tags=["claim", "checked", "marketing", "product"]
funnel.claim()

# %% tags=["checked"]
funnel

# %% [markdown]
# > **Read this:** the bar is the share of everyone who began; the grey figure beside it is the share of the step before. The step that loses the largest share is where a better experience has the most customers to win.
#
# > **How this misleads:** whoever began last week has not had the time to finish, and counts as lost. Somebody who enters at a later stage, straight into a shop for instance, is not in the funnel at all. A loss is not a failure either: many were never going to buy.

# %% [markdown]
# ## What happens first, second, third?
#
# The step matrix: at a customer's first event, second event and so on, which share is where. Each column adds up to all customers; those with no further event stay in *has ended*.

# %% tags=["thumbnail"]
steps = cx.journeys.steps(study, n=10)
cx.journeys.plots.steps(steps)

# %% tags=["claim", "checked", "marketing"]
steps.claim()

# %%
steps

# %% [markdown]
# > **Read this:** the left edge shows how journeys begin; the bottom row how fast they end. A row that stays dark is a touchpoint that customers keep coming back to.
#
# > **How this misleads:** step 5 of a customer with six events and step 5 of one with sixty are different moments of a life. The matrix describes beginnings well and endings badly.

# %% [markdown]
# ## What follows what?
#
# For each touchpoint, where the same customer is seen next, however long that takes. Rows add up to 100 %, the end included.

# %%
transitions = cx.journeys.transitions(study)
cx.journeys.plots.moves(transitions, "What follows what (% of what follows)")

# %% tags=["claim", "checked", "product"]
transitions.claim()

# %%
transitions

# %% [markdown]
# > **Read this:** dark cells on the diagonal are repetitions: browsing, or somebody stuck. Dark cells off it are habits that a journey template should respect rather than fight.
#
# > **How this misleads:** the next event may be a minute or a month away, and a newsletter that happens to arrive in between becomes "what follows". Touchpoints that few customers meet have wide intervals, and cells that rest on too few customers are left blank.

# %% [markdown]
# ## Where do visits end?
#
# A visit is a session: the source's own where it names them, else a run of events without a pause of thirty minutes. Contacts that the company began neither continue nor end one. The exit rate is the share of a touchpoint's events that are the last of their visit.

# %%
drop_off = cx.journeys.drop_off(study)
cx.journeys.plots.drop_off(drop_off, cx.journeys.purchases(study))

# %% tags=["claim", "checked", "product"]
drop_off.claim()

# %%
drop_off

# %% [markdown]
# > **Read this:** compare like with like: one product page with another, one help channel with another. The place with the highest *rate* is seldom the place with the most *losses*; the table behind the figure has both.
#
# > **How this misleads:** an exit is not a failure. People leave the support line because they were helped, and the product page because it is late. What harms them is the subject of the pain points, which need more than an exit rate.

# %% [markdown]
# ## Do customers stay in one channel?
#
# Where the next contact of the same customer takes place, by the channel of this one.

# %%
switches = cx.journeys.switches(study)
cx.journeys.plots.moves(switches, "Which channel comes next (% of next contacts)")

# %% tags=["claim", "checked", "service"]
switches.claim()

# %%
switches

# %% [markdown]
# > **Read this:** the diagonal is staying. A busy cell off the diagonal is a hand-off that will happen whether or not the two teams talk to each other.
#
# > **How this misleads:** a switch is only seen where both channels know who the customer is. Poor identity coverage looks exactly like loyal single-channel customers.

# %% [markdown] tags=["needs-conversion"]
# ## Which channels earn their keep?
#
# Two exact rules divide the conversions that happened. The first-order Markov chain asks which share of conversions would be lost if every visit to a channel led nowhere, $1 - P_{-c}/P$. The Shapley value of the game "conversions of journeys whose channels all lie in a set" splits each conversion equally over the channels it met.

# %%
chain = cx.journeys.markov(study)
split = cx.journeys.shapley(study)
cx.journeys.plots.attribution(chain, split)

# %% tags=["claim", "checked", "marketing", "finance"]
chain.claim()

# %% tags=["checked"]
chain

# %% [markdown]
# > **Read this:** where the two rules agree within their intervals the picture is at least not an accident of the rule. Where they disagree, the data cannot settle it.
#
# > **How this misleads:** neither is causal. A channel that is shown to people who were about to buy anyway gets the credit for it. The honest use is to choose what to *test*, never what to cut.

# %% [markdown]
# ## What does each persona's journey look like?
#
# A journey map puts a whole journey on one wall. A column is a stage. From the top: who is met there, what they meet (in the order in which it is typically first met), how it feels, who never comes further, where visits end, what hurts, and whose the contacts are. The personas are those of the chapter before; a customer counts in each with the probability of belonging to it.

# %%
personas = cx.personas.memberships(study)
maps = cx.journeys.journey_map(study, personas, from_log=True)
cx.journeys.map_plot.journey_map(maps)

# %% tags=["claim", "checked", "marketing"]
maps.claim()

# %% [markdown]
# The persona whose contacts are least like everybody's, and as a table beside everybody:

# %%
cx.journeys.map_plot.journey_map(maps, maps.most_unlike)

# %% tags=["checked"]
maps.of("(all)", maps.most_unlike)

# %% [markdown]
# > **Read this:** the dark marks are everybody. A bar that ends far from its mark is what sets this persona apart: design for that, and leave the rest as it is for all. Read the feeling together with what hurts below it.
#
# > **How this misleads:** a rare touchpoint is met late because it is rare. Feeling is that of those who answered, often asked at one kind of moment only. A visit that ends may have ended well, after a purchase above all. And a map describes what these customers met, not what they would do if they met something else.

# %% [markdown]
# ## Where does it hurt?
#
# A pain point is a touchpoint under a condition that was observed: an outcome, or a page that took more than three seconds. Visits that end there are compared with those that end at the same touchpoint without the condition; the difference must stand out among all conditions tried (at most one in twenty of those named is expected to be chance). They are ranked by how many customers met it times the difference.

# %%
pains = cx.journeys.pain_points(study)
cx.journeys.map_plot.pain_points(pains)

# %% tags=["claim", "checked", "service", "product"]
pains.claim()

# %% tags=["checked"]
pains

# %% [markdown]
# > **Read this:** begin at the top: that is where a repair has the most customers to keep. `burden` is customers times the difference, a common measure for things as unlike as a slow page and a bot that fails.
#
# > **How this misleads:** the condition was not drawn by lot. Whoever is on a slow telephone in a train may have left anyway, and an outcome that *ends* a matter well ends visits too. What is not recorded cannot hurt here. Repair the first, and test it: the next chapter says how.

# %% [markdown] tags=["needs-truth"]
# ## Did we find what was planted?
#
# This study is simulated, so the true shares are known. The truth is that of a clean log of a very large company of the same kind; ours has anonymous visits that were never linked, duplicates and bots on top. The intervals know about chance. They know nothing about faults.

# %%
found = {"funnel": funnel.table(), "steps": steps.table(), "transitions": transitions.table()}
found |= {"switches": switches.table(), "markov": chain.removal_effects()}
board = cx.stats.scoreboard(found, study.truth)

# %% tags=["claim", "checked"]
board.claim()

# %% tags=["checked"]
board

# %% [markdown]
# The maps are not scored by kind: a persona that was found has no name of a kind that was planted, and to match them by the very numbers to be scored would be circular.
#
# > **Read this:** on clean logs the same intervals hold the truth 19 times in 20 (the proof page shows it). What is missing here is the price of imperfect data, above all of visitors who were never recognised: their journeys are cut in two, and the funnel looks leakier than it is.

# %% [markdown]
# ## What can this not tell?
#
# - **Why.** Counts on a log say where, when and how often. The reasons are in what customers say, and in experiments.
# - **Who.** All but the journey maps pool all customers. What fits the average may fit nobody, and a persona is a probability, never a fact about a person.
# - **Unrecognised people.** A person with two ids is two persons.
#
# ### Try it yourself
#
# 1. Write a funnel for one channel: `cx.journeys.funnel(study, ["web_product_page", "web_cart", "web_purchase"])`, with your own touchpoints' names.
# 2. Set `gap="2 h"` in `drop_off`. Which exits were only coffee breaks?
# 3. Leave one channel out of the paths. Do the removal effects of the others add up to more than before? Why may they?

# %% [markdown]
# ## Do the numbers agree with each other?
#
# Identities that must hold on any study. If one of these fails, do not believe the page.

# %%
rows = transitions.table().groupby("source")["estimate"].sum()
assert abs(rows - 1).max() < 1e-9
assert abs(steps.matrix().sum(axis=1) - 1).max() < 1e-9
assert funnel.table()["estimate"].is_monotonic_decreasing
assert switches.total.sum() <= transitions.total.sum()

# %%
met = maps.table().query("measure == 'touchpoint'").groupby(["persona", "stage"])["estimate"].sum()
assert abs(met - 1).max() < 1e-6
assert (pains.table()["low"] <= pains.table()["high"]).all()

# %% tags=["needs-conversion"]
assert abs(chain.table()["estimate"].sum() - chain.conversions) < 1e-6
assert abs(split.table()["estimate"].sum() - split.conversions) < 1e-6

# %% [markdown]
# **Keypoints.** Count people, in order, with an interval that knows they return. Look for losses where many customers are, not where a rate is extreme. Treat attribution, and pain points, as lists of things to test. Draw a map for each persona, and design where it leaves everybody's.
