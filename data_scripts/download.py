"""Fetch a published archive: `python data_scripts/download.py v2 OUT`.

The same as `kws data download`.
"""

import sys

from kws.cli import run

if __name__ == "__main__":
    sys.exit(run(["data", "download", *sys.argv[1:]]))
