"""What customers are worth and what changes it: repeat purchase, value of a purchase, naive against identified effects."""

from cxlib.revenue.causal import Effect, Ladder, adjusted, difference, ladder
from cxlib.revenue.history import history
from cxlib.revenue.value import BGNBD, Forecast, GammaGamma, fit_bgnbd, fit_gamma_gamma

__all__ = [
    "BGNBD",
    "Effect",
    "Forecast",
    "GammaGamma",
    "Ladder",
    "adjusted",
    "difference",
    "fit_bgnbd",
    "fit_gamma_gamma",
    "history",
    "ladder",
]
