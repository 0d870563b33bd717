# %% [markdown] tags=["needs-orders"]
# # What is a better experience worth?
#
# From what customers were worth to what they will be worth; from what goes with value to what causes it; and from an effect to a decision, with its payback and the chance that it loses money. Naive, adjusted and identified estimates stand side by side throughout, because in this chapter the naive ones are expensive.
#
# | | |
# |---|---|
# | **Reading time** | 35 minutes, exercises 20 more |
# | **You need** | a study with `orders`; `touchpoints` and `exposures` for the causes |
# | **Before this** | `02_persona_clustering`, and `04_personalization_experiments` for experiments |
# | **After this** | a decision, or an experiment to settle it |

# %% tags=["parameters"]
STUDY = "demo"

# %% tags=["hide-code"]
import cxlib as cx

study = cx.open_study(STUDY)

# %% [markdown] tags=["summary"]
# ## In short

# %% tags=["summary", "checked"]
cx.revenue.summary(study)

# %% [markdown]
# ## What were customers worth?
#
# Orders, revenue and margin of every known customer, buyers or not, over all the study holds; from the margin the cost of each contact is taken off, where the catalog says what one costs. A few customers bring most of it, so the intervals are bootstrapped on the studentised mean, which knows that the mean and its error move together.

# %%
realised = cx.revenue.realised(study)
cx.revenue.plots.realised(realised)

# %% tags=["claim", "checked", "finance"]
realised.claim()

# %% tags=["checked"]
realised

# %% [markdown]
# > **Read this:** the last line is what is left after the contacts are paid for. What stands between it and the profit of the company (advertising, people, rent) is not here.
#
# > **How this misleads:** customers who came in December have had a month, others a year. An average over both describes neither. And contacts of visitors whom nobody recognised are in no customer's costs.

# %% [markdown]
# ## What will they be worth?
#
# How often somebody will buy again follows from how often and how lately they did (BG/NBD), what a purchase brings from what their purchases brought (Gamma-Gamma, or the components of variance where customers differ too much for it). Purchases to come are summed over a year and discounted. Two forecasts need no model: that everybody goes on at their own past rate, and that nobody ever buys again.

# %%
worth = cx.revenue.value(study)
cx.revenue.plots.value(worth)

# %% tags=["claim", "checked", "finance"]
worth.claim()

# %% tags=["checked"]
worth

# %% [markdown]
# > **Read this:** the dot is what a customer who has bought before is expected to bring in the coming year. The bar across is what their past rate would bring if it simply went on.
#
# > **How this misleads:** the model knows no season, no growth and no competitor, and nothing of people who have not bought yet. Its interval holds who happened to be a customer and what the parameters might be; it does not hold that the model is wrong. Hence the next section.

# %% [markdown]
# ## Would the same forecast have been right before?
#
# The same models, fitted on all but the last quarter of the study, against what the same customers did in that quarter. The line is what came. An interval that misses it is reported, not widened.

# %% tags=["thumbnail"]
cx.revenue.plots.check(worth.check)

# %% tags=["claim", "checked"]
worth.check.claim()

# %% tags=["checked"]
worth.check

# %% [markdown]
# > **Read this:** a model earns its keep where it is nearer to the line than the past rate. Totals matter here: for a single customer hardly any forecast beats zero.
#
# > **How this misleads:** one quarter is one trial. A promotion in it, or a holiday, moves everybody at once, and no interval over customers knows of that.

# %% [markdown] tags=["needs-touchpoints"]
# ## Which kinds of customers bring it, and will?
#
# The same two means by persona. Nobody belongs to a persona for certain: each customer counts for each persona by their probability. The personas were told what people buy, so these probabilities know of the orders already; a correction for wrong assignment would correct twice.

# %%
personas = cx.personas.memberships(study)
by_persona = cx.revenue.realised(study, personas)
cx.revenue.plots.realised(by_persona)

# %%
cx.revenue.plots.value(cx.revenue.value(study, personas))

# %% tags=["claim", "checked"]
by_persona.claim()

# %% [markdown]
# > **Read this:** a persona whose interval lies below another's brings less, for whatever reason; in the first figure the cost of serving it is taken off. The second counts only those who have bought, and what they will bring.
#
# > **How this misleads:** the value of a persona is no reason to prefer it. Those who bring little may be those whom the journey fails, and that is a question of causes. The intervals do not hold that the personas themselves were estimated.

# %% [markdown] tags=["needs-touchpoints.queue_min", "needs-touchpoints.outcome=unresolved"]
# ## What does a failure of service cost?
#
# Do customers whose first service contact stayed unresolved buy less afterwards, and because of it? Those who call at bad hours, or without a gold card, are other people. If the chance of staying unresolved depends on nothing but how long the line was, it is as good as drawn by lot among those who waited equally long, and there the difference is an effect.

# %%
bought = cx.revenue.service_failure(study, "bought")
margin = cx.revenue.service_failure(study, "margin")
cx.revenue.plots.ladder(bought, margin)

# %% tags=["claim", "checked", "service", "finance"]
bought.claim()

# %% tags=["checked"]
margin

# %% [markdown]
# > **Read this:** three estimates of one number. The lowest on the page is the one to act on, and it is an effect *if* nothing but chance decides at equal queue. The chance of failure must vary at each length of the queue, or nobody is there to compare with.
#
# > **How this misleads:** an agent who is worse at busy hours is no chance. Nor can this say anything of later contacts: it compares first ones.

# %% [markdown] tags=["needs-exposures.experiment=app_nudge", "needs-touchpoints.touchpoint=app_link_card"]
# ## What is an omnichannel customer worth?
#
# Customers who link their card to the app differ in margin from others, and the app does not have to be the reason: it may be the loyal who link. A nudge drawn by lot makes some link who would not have. What it changed in margin, over what it changed in linking, is the effect on those it moved.

# %%
linked = cx.revenue.adoption(study, "app_nudge", "app_link_card")
cx.revenue.plots.ladder(linked)

# %% tags=["claim", "checked", "marketing", "finance"]
linked.claim()

# %% tags=["checked"]
linked.rungs[-1].claim()

# %% [markdown]
# > **Read this:** the naive difference is what a slide would show. The identified interval is wide because only those count whom the nudge moved; it is the price of knowing.
#
# > **How this misleads:** it is right only if the nudge works through linking alone. A nudge with a voucher in it sells by itself. And who is moved by a nudge may not be who comes by a campaign.

# %% [markdown] tags=["needs-touchpoints.touchpoint=app_link_card", "needs-customers.region"]
# ### Did the regions say the same?
#
# The offer to link came to one region after the other. Each region's change since the month before, less the change of the regions that were still waiting: a second design, with other weaknesses.

# %%
offers = {"London": "2025-03-15", "Lombardy": "2025-04-15", "Lazio": "2025-05-15"}
offers |= {"Bucharest": "2025-06-15", "Transylvania": "2025-07-15"}
panel = cx.revenue.monthly(study, offers)
regions = cx.revenue.rollout(panel, outcome="margin", known="known", unit=realised.unit)
cx.revenue.plots.rollout(regions)

# %% tags=["claim", "checked", "marketing"]
regions.claim()

# %% [markdown]
# > **Read this:** the grey points come before the offer and should lie around zero. If they do not, the regions were on their way apart already, and the blue points mean nothing.
#
# > **How this misleads:** this is the effect of the *offer* on everybody in the region, not of linking on those who link. With five regions, one local event is enough to be taken for it.

# %% [markdown] tags=["needs-touchpoints.queue_min", "needs-touchpoints.outcome=unresolved"]
# ## What should we do next?
#
# One thing to do, worked out: a second line at busy hours that resolves half of the first contacts that now stay unresolved. What it earns is the effect above, drawn as often as its interval says; how many it reaches is known to a quarter; the costs are those you type in. Change them.

# %%
cases = cx.revenue.failures(study)
reach = cases.a_month("failed") / 2
plan = cx.revenue.scenario(
    margin.rungs[-1], (0.8 * reach, 1.25 * reach), name="A second line at busy hours",
    avoided=True, months=24, once=500, monthly=20, spread=3,
)  # fmt: skip
cx.revenue.plots.scenario(plan)

# %% tags=["claim", "checked", "finance", "service"]
plan.claim()

# %% tags=["checked"]
plan

# %% [markdown]
# > **Read this:** "cannot tell" is an answer. What learning more is worth is the most that any further study of this one question can be worth: if an experiment costs more, decide without it.
#
# > **How this misleads:** gains after the horizon, a better name, and the competitor who does it too are not in it. Whoever types the costs decides the verdict as much as the data do.

# %% [markdown] tags=["needs-truth"]
# ## Did we find what was planted?
#
# This study is simulated: what a customer was worth, what a failure costs and what linking brings are known. The truth is that of a very large company with a clean log; the intervals know about chance, not about visitors who were never recognised.

# %%
found = {"value": realised.table().rename(columns={"persona": "kind"})}
found |= {"service_failure": bought.rungs[-1].table(), "adoption": linked.rungs[-1].table()}
found = {name: table.assign(measure=table.get("measure", "effect")) for name, table in found.items()}
found["rollout"] = regions.table().query("measure == 'effect'")
which = {"value": "kind == '(all)'"}
board = cx.stats.scoreboard(found, lambda name: study.truth(name).query(which.get(name, "measure == 'effect'")))

# %% tags=["claim", "checked"]
board.claim()

# %% tags=["checked"]
board

# %% [markdown]
# ## What can this not tell?
#
# - **The profit of the company.** Margin net of contacts is not profit.
# - **What a persona would be worth if it were treated otherwise.** Values by persona describe; only designs identify.
# - **Shocks.** Every interval here is over customers. A year that is unlike the last is outside of all of them.
# - **Figures from elsewhere.** Most numbers quoted in this field are intentions, correlations or a vendor's own; `data/evidence.csv` lists the usual ones with what they really support.
#
# ### Try it yourself
#
# 1. Ask `value` for `holdout="60 D"`. Does the verdict on the model change?
# 2. In the scenario, double `once`. At which cost does the verdict turn?
# 3. Give `service_failure` the outcome `orders`. Is the ladder steeper or flatter than that of `bought`?

# %% [markdown]
# ## Do the numbers agree with each other?
#
# Identities that must hold on any study. If one of these fails, do not believe the page.

# %%
table = realised.table().set_index("measure")["estimate"]
assert "net" not in table or abs(table["margin"] - table["contact_cost"] - table["net"]) < 1e-6
assert worth.check.table().query("method == 'zero'")["estimate"].eq(0).all()
assert (worth.table()["low"] <= worth.table()["estimate"]).all()

# %% [markdown]
# **Keypoints.** Describe value with intervals that know its long tail. Try a forecast on what has happened, beside forecasts that need no model, and report its misses. What goes with value is not what causes it: look for chance, a nudge drawn by lot, or a roll-out in steps. Decide with the whole range, and know what knowing more is worth.
