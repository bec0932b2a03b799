"""Trading calendars: when exchanges are open, as arrays, from the library exchange_calendars.

To build a calendar takes a second, pandas included, and no run is to pay that: what is built is kept in the user's
cache, by version of the library. Lunch breaks are not modelled: a session lasts from its opening to its close. This
module is light; numpy and the library are loaded where they are used.
"""

from __future__ import annotations

import tempfile
import warnings
import zipfile
from collections import Counter
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    import numpy as np

    from engine.spec import Sessions

    Array = np.ndarray[Any, Any]

ALWAYS = "24/7"
COMMON = ("XNYS", "XNAS", ALWAYS)  # known without a look at the library
FIRST, LAST = "1970-01-01", "2050-12-31"  # or as much of that as a calendar knows
LAYOUT = 1  # of what is kept; another number where it changes
YEARS = range(2000, 2025)  # from which the days of a typical year are counted
DAY_NS = 86_400 * 10**9


class CalendarError(ValueError):
    """There is no such calendar, or the library cannot build it."""


class _Calendar(NamedTuple):
    zone: str
    days: Array  # (n,) int64, midnight UTC of each session's date
    opens: Array  # (n,) int64 ns UTC
    closes: Array


def sessions(name: str, whole_days: bool) -> Sessions:
    """When a calendar is open, 1970 to 2050 or as far as it is known; read-only, and empty for 24/7.

    whole_days: each session is its date's whole UTC day, as for instruments that are fed by daily bars; otherwise from
    the exchange's opening to its close, half days and daylight saving included. Raises CalendarError.
    """
    import numpy as np

    from engine.spec import Sessions

    if name == ALWAYS:
        none = np.zeros(0, np.int64)
        return Sessions(none, none)
    found = _calendar(name)
    if whole_days:
        return Sessions(found.days, found.days + DAY_NS)
    return Sessions(found.opens, found.closes)


def inside(open_times: Sessions, ts: Array) -> Array:
    """(n,) bool: which times (int64 ns UTC, in any order) lie within a session; all where there are none."""
    import numpy as np

    if not len(open_times.opens):
        return np.ones(len(ts), bool)
    before = np.searchsorted(open_times.opens, ts, side="right")  # sessions that have begun
    return np.asarray((before > 0) & (ts < open_times.closes[before - 1]))


def days_per_year(name: str) -> int:
    """Sessions in a typical year: 365 for 24/7, else the mean of 2000 to 2024, rounded: 252 for XNYS.

    Raises CalendarError.
    """
    if name == ALWAYS:
        return 365
    of_year = Counter(
        _calendar(name).days.astype("datetime64[ns]").astype("datetime64[Y]").astype(int) + 1970
    )
    first, last = min(of_year), max(of_year)  # the calendar may begin or end within these
    counted = [of_year[year] for year in YEARS if first < year < last] or list(of_year.values())
    return round(sum(counted) / len(counted))


def time_zone(name: str) -> str:
    """Where the exchange is, such as America/New_York; UTC for 24/7. Raises CalendarError."""
    return "UTC" if name == ALWAYS else _calendar(name).zone


def check(name: str) -> None:
    """Raise CalendarError, with the names that are near, where there is no such calendar.

    It is quick for the common ones and for those used before; others are built, and kept.
    """
    if name not in COMMON and not _path(name).is_file():
        _calendar(name)


@cache
def _calendar(name: str) -> _Calendar:
    found = _kept(_path(name))
    if found is None:
        found = _build(name)
        _keep(_path(name), found)
    for array in found[1:]:
        array.flags.writeable = False  # all users of the process share them
    return found


def _path(name: str) -> Path:
    from daemon.compiled import cache_root

    folder = f"{version('exchange_calendars')}-{FIRST[:4]}-{LAST[:4]}-{LAYOUT}"
    return cache_root().parent / "calendars" / folder / f"{quote(name, safe='')[:50]}.npz"


def _kept(path: Path) -> _Calendar | None:
    import numpy as np

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return _Calendar(str(kept["zone"]), kept["days"], kept["opens"], kept["closes"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # not there, or damaged: built anew
        return None


def _keep(path: Path, made: _Calendar) -> None:
    import numpy as np

    hidden = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
            hidden = Path(file.name)
            np.savez(file, **made._asdict())
        hidden.chmod(0o644)  # a cache may be shared
        hidden.replace(path)
    except OSError:  # it is built again next time
        if hidden:
            hidden.unlink(missing_ok=True)


def _build(name: str) -> _Calendar:
    import numpy as np
    import pandas as pd

    with warnings.catch_warnings():
        # the library's own use of pandas, about which its users can do nothing
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        import exchange_calendars

        names = exchange_calendars.get_calendar_names(include_aliases=True)
        if name not in names:
            raise CalendarError(_unknown(name, names))
        try:
            # how far it is known, by an instance with the least of it
            kind = type(exchange_calendars.get_calendar(name))
            first, last = kind.bound_min(), kind.bound_max()
            made = exchange_calendars.get_calendar(
                name,
                start=max(pd.Timestamp(FIRST), first) if first else FIRST,
                end=min(pd.Timestamp(LAST), last) if last else LAST,
            )
        except (ValueError, NotImplementedError) as error:  # five of them, in 4.13
            raise CalendarError(
                f"exchange_calendars {version('exchange_calendars')} lists {name} and fails to build it; "
                "choose the calendar of an exchange with the same hours"
            ) from error
        moments = [pd.DatetimeIndex(x).tz_localize(None) for x in (made.sessions, made.opens, made.closes)]
        return _Calendar(str(made.tz), *(np.array(m.as_unit("ns").asi8) for m in moments))


def _unknown(name: str, names: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name.upper(), names, 3, 0.7)
    meant = (
        f"did you mean {' or '.join(near)}?"
        if near
        else "write an exchange's code, such as XNYS, XLON, or 24/7"
    )
    return f"there is no calendar {name!r}; {meant}"
