"""Run the measures; they are apart, so that they can start processes of their own."""

from tests.bench.measures import main

main()
