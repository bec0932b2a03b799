"""vectorbt with its optional compiled engine, `vectorbt[rust]`: the same code as vectorbt_run.py."""

import vectorbt as vbt
from common import main
from vectorbt_run import CASES

if __name__ == "__main__":
    vbt.settings["engine"] = "rust"
    main("vectorbt-rust", "vectorbt-rust", CASES)
