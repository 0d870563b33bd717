"""What customers write, asked or not: comments, themes with their errors counted, quotes, and what is overheard."""

from cxlib.text import plots
from cxlib.text.comments import Comments, comments
from cxlib.text.effects import ThemeEffects, effects
from cxlib.text.learned import Sentiment, Themes, noted, sentiment, themes
from cxlib.text.listening import Mentions, engagement, mentions, reasons, telling
from cxlib.text.prevalence import Prevalence, prevalence
from cxlib.text.quotes import Quotes, quotes

__all__ = [
    "Comments",
    "Mentions",
    "Prevalence",
    "Quotes",
    "Sentiment",
    "ThemeEffects",
    "Themes",
    "comments",
    "effects",
    "engagement",
    "mentions",
    "noted",
    "plots",
    "prevalence",
    "quotes",
    "reasons",
    "sentiment",
    "telling",
    "themes",
]
