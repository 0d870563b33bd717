"""Opening a study: contract tables on an engine, and the one log that all journeys are counted on."""

from cxlib.study.log import Log
from cxlib.study.opening import check, open_study, studies
from cxlib.study.study import Study

__all__ = ["Log", "Study", "check", "open_study", "studies"]
