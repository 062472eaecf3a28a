"""What topic models know of a language stands apart: it is most of them, and does not change with each build."""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        alter table ops.topic_models add column language bytea;
        comment on column ops.topic_models.model is 'the topics: changes with each new question';
        comment on column ops.topic_models.language is
            'stays until the topics are learned again; null: they are to be'
    """)
