# %% [markdown]
# # Where do I start?
#
# This collection takes you from raw customer touchpoints to a revenue decision: who your customers are, how they travel, where it hurts, what to show to whom, and what a better experience is worth. This page checks your machine, shows what is in the study that is open, and says where to go next.
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
# | If you want to know | open |
# |---|---|
# | what we know of our customers, and how they feel | `01_data_collection` |
# | how they travel, where it hurts, which channels earn their keep | `03_journey_templates` |
#
# The chapters on personas, experiments and revenue are being built; they are not in this version.

# %% [markdown]
# ## Does everything work here?

# %%
import ibis, pandas, sklearn

assert study.tables, "the study has no tables"
assert pandas.__version__ >= "3", "this collection needs pandas 3: run `make setup`"
assert ibis.__version__.startswith("12."), "this collection needs ibis 12: run `make setup`"

# %% [markdown]
# **Keypoints.** A study is a folder of tables that keep a contract. `cx check` says what is wrong with it, `cx report` runs the walk on it. Sections whose tables are missing are left out, and said to be.
