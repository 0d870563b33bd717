"""San Francisco airport's passenger survey, 2010-2018: nine yearly files, no two with the same columns.

In come the files as published, out comes `surveys`: one row an answer, also where it is empty. Codes that
are no scores (0 blank, 6 never used, 11 blank of the likelihood to recommend) are empty scores; `answer`
says which it was. See data/cards/sfo_survey.md.

>>> YEARS[2018]["nps"], YEARS[2013]["restaurants"], "wifi" in YEARS[2012]
('NETPRO', 'Q7B_FOOD', False)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cxlib.readers.text import read_columns, refuse

SETTINGS: dict[str, Any] = {
    "name": "sfo_survey",
    "title": "San Francisco airport, passenger survey 2010-2018",
    "time_zone": "UTC",
    "licence": "Public Domain Dedication and License (PDDL)",
    "source": "City and County of San Francisco, DataSF: SFO Customer Survey",
    "notes": [
        "Days: 2016 states dates; 2017 and 2018 state a day and a weekday, which only fit May. 2010 to 2015 "
        "state a day of an unnamed month at most: their ts is 1 January, and `dated` says `year`.",
        "A day carries no time: ts is midnight UTC.",
        "Each year is a new sample; nobody can be followed. 2011 and 2012 carry no weights.",
        "2010 and 2011 name their items by letter; cleanliness and safety are taken in the order of 2012, "
        "which has the same letters and names. Who never used a place says so in both questions of it.",
        "csat is the airport as a whole, 1 unacceptable to 5 outstanding. Cleanliness: 1 dirty to 5 clean.",
        "Passengers of one flight were interviewed together (`flight`; 2010 and 2012 do not say): they share its "
        "delay, so flights are the clusters. In 2016 to 2018 a weight depends on the airline alone.",
    ],
}

FILES = tuple(f"{year}_SFO_Customer_Survey.csv" for year in range(2010, 2019))

# The questions, and under them each year's columns; "-" where the year did not ask.
QUESTIONS = """artwork restaurants shops signs walkways screens booth_arrivals booth_departures wifi roads parking
    airtrain long_term_parking rental_cars csat clean_boarding_areas clean_parking clean_airtrain
    clean_rental_cars clean_restaurants clean_restrooms clean_airport safety nps"""
_LATER = """Q7ART Q7FOOD Q7STORE Q7SIGN Q7WALKWAYS Q7SCREENS Q7INFODOWN Q7INFOUP Q7WIFI Q7ROADS Q7PARK Q7AIRTRAIN
    Q7LTPARKING Q7RENTAL Q7ALL Q9BOARDING - Q9AIRTRAIN Q9RENTAL Q9FOOD Q9RESTROOM Q9ALL Q10SAFE"""
_COLUMNS = {
    2010: "Q6A Q6B Q6C Q6D Q6E Q6F Q6G Q6H - Q6I Q6J Q6K Q6L Q6M Q6N Q8A Q8B Q8C Q8D Q8E Q8F - Q9 -",
    2011: "Q8A Q8B Q8C Q8D Q8E Q8F Q8G Q8H - Q8I Q8J Q8K Q8L Q8M Q8N Q10A Q10B Q10C Q10D Q10E Q10F - Q11 -",
    2012: """Q8A_ART Q8B_FOOD Q8C_SHOP Q8D_SIGNS Q8E_WALK Q8F_SCREENS Q8G_INFOARR Q8H_INFODEP - Q8I_ROAD Q8J_PARK
        Q8K_AIRTRAIN Q8L_LTPARK Q8M_RENTAL Q8N_WHOLE Q10A_CLNBOARD Q10B_CLNPARK Q10C_CLNAIRTRAIN Q10D_CLNRENT
        Q10E_CLNFOOD Q10F_CLNBATH - Q11SAFE -""",
    2013: """Q7A_ART Q7B_FOOD Q7C_SHOPS Q7D_SIGNS Q7E_WALK Q7F_SCREENS Q7G_INFOARR Q7H_INFODEP Q7I_WIFI Q7J_ROAD
        Q7K_PARK Q7L_AIRTRAIN Q7M_LTPARK Q7N_RENTAL Q7O_WHOLE Q9A_CLNBOARD - Q9B_CLNAIRTRAIN Q9C_CLNRENT
        Q9D_CLNFOOD Q9E_CLNBATH Q9F_CLNWHOLE Q10SAFE -""",
    2014: f"{_LATER} -",
    2015: f"{_LATER} -",
    2016: f"{_LATER} -",
    2017: f"{_LATER} NETPRO",
    2018: f"{_LATER} NETPRO".replace("WALKWAYS", "WALKWAY"),
}
YEARS: dict[int, dict[str, str]] = {
    year: {
        question: column
        for question, column in zip(QUESTIONS.split(), columns.split(), strict=True)
        if column != "-"
    }
    for year, columns in _COLUMNS.items()
}
"""Year -> question -> that year's column, without blanks and stars around it, in capitals."""

RUNS = {2011: "RUNID", 2013: "RUN", 2014: "RUN"} | dict.fromkeys(range(2015, 2019), "RUNID")
"""Year -> the column that says who was interviewed together."""

LANGUAGES = {"1": "en", "2": "es", "3": "zh", "4": "ja"}
STRATA = {"1": "departs before 11", "2": "departs 11 to 17", "3": "departs after 17"}
BLANK = ("", "0", "BLANK")
CODES = "codes of the survey"
UNUSED = {"safety": "don't know"}


def read(files: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """Contract table `surveys` of all nine years: 28,665 responses, one row for each question of their year.

    `response_id` is year and respondent number, `question` an item's name, `csat` (the airport as a whole)
    or `nps` (2017 and 2018), `touchpoint` what was asked about. Scores are 1 to 5 (nps: 0 to 10). Further
    columns: `answer` (given, blank, never used, don't know), `year`, `strata`, `dated` (day or year), `flight`
    (year and run of interviews, null where the file does not say). Raises `CxLookupError` for a missing file, `CxValueError` for a missing column or a code that is not known.
    """
    return {"surveys": pd.concat([_year(files, year) for year in YEARS], ignore_index=True)}


def _year(files: Mapping[str, Path], year: int) -> pd.DataFrame:
    file = f"{year}_SFO_Customer_Survey.csv"
    asked = YEARS[year]
    weighed = ["WEIGHT"] if year not in (2011, 2012) else []
    together = [RUNS[year]] if year in RUNS else []
    own = ["RESPNUM", "INTDATE", "LANG", "STRATA", *weighed, *together]
    raw = read_columns(files, file, [*own, *asked.values()], tidy=_tidy)
    raw = raw.fillna("").apply(lambda codes: codes.str.upper())
    days = _days(raw["INTDATE"], year)
    who = pd.DataFrame(
        {
            "response_id": f"{year}-" + raw["RESPNUM"],
            "ts": days.fillna(pd.Timestamp(year, 1, 1)).astype("datetime64[us]"),
            "language": _named(raw["LANG"], LANGUAGES, file),
            "weight": pd.to_numeric(raw["WEIGHT"]) if weighed else float("nan"),
            "year": year,
            "strata": _named(raw["STRATA"], STRATA, file),
            "dated": days.notna().map({True: "day", False: "year"}),
            "flight": f"{year}-" + raw[together[0]].where(raw[together[0]] != "") if together else None,
        }
    )
    return pd.concat([_answers(who, raw[column], question, file) for question, column in asked.items()])


def _answers(who: pd.DataFrame, codes: pd.Series, question: str, file: str) -> pd.DataFrame:
    """One question's answers: the codes that are scores as numbers, the others as empty."""
    low, high = (0, 10) if question == "nps" else (1, 5)
    scores = [str(score) for score in range(low, high + 1)]
    blank = codes.isin(["", "11"] if question == "nps" else BLANK)
    unused = codes.eq("6") & (high == 5)
    refuse(codes[~(codes.isin(scores) | blank | unused)], file, CODES)
    return who.assign(
        question=question,
        touchpoint="airport" if question in ("nps", "csat") else question.removeprefix("clean_"),
        score=pd.to_numeric(codes.where(codes.isin(scores))).astype("float64"),
        scale_min=low,
        scale_max=high,
        answer=blank.map({True: "blank", False: "given"}).mask(unused, UNUSED.get(question, "never used")),
    )


def _days(stated: pd.Series, year: int) -> pd.Series:
    """The day of the interview, where the file gives a date, or a weekday that tells the month."""
    if year < 2016:
        return pd.Series(pd.NaT, index=stated.index)
    text = stated.str.slice(0, 10) if year == 2016 else "05/" + stated.str.zfill(2) + f"/{year}"
    return pd.to_datetime(text, format="%m/%d/%Y")


def _named(codes: pd.Series, names: Mapping[str, str], file: str) -> pd.Series:
    refuse(codes[~codes.isin([*names, *BLANK])], file, CODES)
    return codes.map(names)


def _tidy(name: str) -> str:
    return name.strip(" *").upper()
