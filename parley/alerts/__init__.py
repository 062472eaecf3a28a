"""Alerts: rules over the marts (and over runs, checks and builds), the life of each alert, and its messages.

rules       what a user wants to be told of: seeds/alert_rules.csv
metrics     the figures that rules measure
conditions  whether a series breaks a rule (pure)
states      the life of an alert (pure)
evaluation  rules and reports meet the database
ledger      ops.alerts, its transitions, and the messages to send
messages    what they say
channels    where they go
outbox      sends them, at least once
"""
