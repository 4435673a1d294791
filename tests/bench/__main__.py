"""``python -m tests.bench``: apart from the measures, so that they can start processes of theirs."""

from tests.bench.measures import main

main()
