"""The input gate: each day of raw events is validated before a build takes it in.

    expectations   what is expected, as seeds/input_expectations.csv has it
    measures       what a day was like: one statement over its events, figures in ops.input_measures
    suite          Great Expectations over those figures
    data_docs      its pages, for people
    results       passed, warned, blocked or released, per day, and whom that stops

Days are those of UTC.
"""
