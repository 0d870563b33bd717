"""Guessing what exports nobody has seen hold, so that `cx new` can write a first mapping of them."""

from cxlib.guess.guess import Guess, guess

__all__ = ["Guess", "guess"]
