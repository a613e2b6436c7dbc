"""The staff's side: authoring, isolation, hidden checks, reports. Students never get this."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # of the repository
