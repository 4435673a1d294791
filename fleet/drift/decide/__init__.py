"""Pure decisions about drift: rules for findings, comparison of scans, fixes.

Why decisions are pure, here and in every ``decide``: what fleet does in a shop at night has to be
explained, repeated and tested without the shop. What was observed, what is wanted, the policy and
the time go in as values; a value with a reason comes out. No module of a ``decide`` reads a clock,
a file, the environment or AWS, which ruff and import-linter enforce.

- A plan is the value that a rollout executes, so what was shown and what is done cannot differ, and
  there is no dry run inside code that acts.
- After a crash the same function decides again from what is then observed. Nothing is replayed.
- A behaviour is a small data file in ``tests/cases``: what is seen, and what has to come out.
- Properties (input order does not matter, no store over the budget, a second fix finds nothing to
  do) are tested on thousands of made-up fleets, and whole rollouts are simulated in seconds.

The price is that a rule cannot ask for more when it needs it. It says what is missing instead
(``Need`` of a finding, ``deeper`` of a judgement), and the edge reads that before the next
decision.
"""
