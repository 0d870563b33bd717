# %% [markdown]
# # Where do I start?
#
# This collection takes you from raw customer touchpoints to a revenue decision: who your customers are, how they travel, where it hurts, what to show to whom, and what a better experience is worth. Five chapters, each with a question for a title, and one page that puts what they found together for whoever decides. This page checks your machine, shows what is in the study that is open, and says where to go next.
#
# | | |
# |---|---|
# | **Reading time** | 5 minutes |
# | **You need** | nothing but this folder: the demo study comes with it |
# | **After this** | `01_data_collection` |

# %% tags=["parameters"]
STUDY = "demo"

# %% tags=["hide-code"]
import cxlib as cx

study = cx.open_study(STUDY)

# %% [markdown] tags=["summary"]
# ## In short

# %% tags=["summary", "checked"]
cx.collection.contents(study).summary()

# %% [markdown]
# ## What is in this study?
#
# A study is a folder of tables, each a CSV or Parquet file with known columns: the *contract*. At least one table is needed; every section of every notebook says which it needs, and a report leaves out what cannot be computed rather than inventing it.

# %% tags=["checked"]
cx.collection.contents(study)

# %% [markdown]
# > **Read this:** one line a table: how many rows, what one row is, and which of the contract's optional columns came with it. The more ids and times a study has, the further the walk can go.
#
# > **How this misleads:** a full table may still be a poor one. Whether its numbers can be trusted is the next notebook's question.

# %% [markdown]
# ## How do I open my own data?
#
# Put files named after the tables into a folder, say `mine/touchpoints.csv` and `mine/catalog.csv`, with a small `study.yaml` beside them:
#
# ```yaml
# name: mine
# currency: EUR
# money: major          # 12.50 means twelve euros fifty; minor would mean cents
# time_zone: Europe/Rome  # of times that don't say theirs
# conversion: [purchase]
# ```
#
# Then `cx check mine` lists everything that breaks the contract, each with how many rows, three examples and what to do, and `cx report mine` runs the walk. In a notebook, change the parameters cell to `STUDY = "mine"`.

# %%
cx.collection.columns("touchpoints")

# %% [markdown]
# > **Read this:** only `event_id`, `ts`, `touchpoint` and one of the two ids are required in `touchpoints`; the rest opens further sections.

# %% [markdown]
# ## Which way now?
#
# The chapters build on each other, and each can be read alone. What a study has no tables for is left out of its report, and named there.
#
# | If you want to know | open | which needs |
# |---|---|---|
# | what we know of our customers, and how they feel | `01_data_collection` | `touchpoints`, `surveys` |
# | which kinds of customers there are, and whether they are real | `02_persona_clustering` | `touchpoints` |
# | how they travel, where it hurts, which channels earn their keep | `03_journey_templates` | `touchpoints` |
# | what to show to whom, and whether it worked | `04_personalization_experiments` | `exposures` |
# | what a better experience is worth, how sure we are, what next | `05_revenue_impact` | `orders` |
#
# In a hurry? `cx report` puts the summaries of all chapters on one page, with what to do next and what concerns marketing, product, service and finance. Start there, and come here for the why.

# %% [markdown]
# ## Does everything work here?

# %%
import ibis, pandas, sklearn

assert study.tables, "the study has no tables"
assert pandas.__version__ >= "3", "this collection needs pandas 3: run `make setup`"
assert ibis.__version__.startswith("12."), "this collection needs ibis 12: run `make setup`"

# %% [markdown]
# **Keypoints.** A study is a folder of tables that keep a contract. `cx check` says what is wrong with it, `cx report` runs the walk on it and puts its findings on one page. Sections whose tables are missing are left out, and said to be.
