"""What customers are worth, what changes it, and what to do: realised and expected value, designs, scenarios."""

from cxlib.revenue import plots
from cxlib.revenue.causal import Effect, Ladder, adjusted, difference, ladder
from cxlib.revenue.chance import as_good_as_random
from cxlib.revenue.drivers import Cases, adopters, failures, monthly, nudged
from cxlib.revenue.encouragement import encouraged
from cxlib.revenue.history import history
from cxlib.revenue.ladders import adoption, service_failure
from cxlib.revenue.models import BGNBD, Forecast, GammaGamma, fit_bgnbd, fit_gamma_gamma
from cxlib.revenue.outlook import Check, Value, value
from cxlib.revenue.realised import Realised, realised
from cxlib.revenue.rollouts import Rollout, rollout
from cxlib.revenue.scenarios import Scenario, scenario
from cxlib.revenue.summary import summary
from cxlib.revenue.units import Unit

__all__ = [
    "BGNBD",
    "Cases",
    "Check",
    "Effect",
    "Forecast",
    "GammaGamma",
    "Ladder",
    "Realised",
    "Rollout",
    "Scenario",
    "Unit",
    "Value",
    "adjusted",
    "adopters",
    "adoption",
    "as_good_as_random",
    "difference",
    "encouraged",
    "failures",
    "fit_bgnbd",
    "fit_gamma_gamma",
    "history",
    "ladder",
    "monthly",
    "nudged",
    "plots",
    "realised",
    "rollout",
    "scenario",
    "service_failure",
    "summary",
    "value",
]
