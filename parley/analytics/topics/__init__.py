"""Topics of short questions: what is asked, grouped without being told into how many groups.

    model = learn(tenant_id, questions)               # once: the tenant's language
    assignments, model = model.assign(new_questions)  # each time: they join topics, or found some
    descriptions = describe(model, placed)            # names, examples, confidence
    stored = model.to_bytes()                         # kept between runs; TopicModel.from_bytes(stored)

`refit` starts again when the language has moved on, and keeps the ids of the topics it finds again.
`docs/decisions/topics.md` says why it is done so, and how well it does.
"""

from parley.analytics.topics.model import Assignment, Question, Stored, TopicModel, learn, refit
from parley.analytics.topics.naming import Description, describe
from parley.analytics.topics.vocabulary import Vocabulary

__all__ = ["Assignment", "Description", "Question", "Stored", "TopicModel", "Vocabulary", "describe", "learn", "refit"]
