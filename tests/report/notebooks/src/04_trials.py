# %% [markdown] tags=["needs-exposures"]
# # What should we show to whom?
#
# A chapter that needs an experiment. Where a study has none, the index names it and says why it is not there.

# %% tags=["parameters"]
STUDY = "demo"
