"""Results that Python works out between two dbt models (ops.experiment_results, ops.customer_predictions)."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create table ops.experiment_results (
            tenant_id text not null,
            experiment text not null,
            metric text not null,
            variant text not null,
            is_control boolean not null,
            kind text not null,
            users bigint not null,
            conversions bigint not null,
            rate double precision,
            mean_value double precision,
            lift double precision,
            lift_ci_low double precision,
            lift_ci_high double precision,
            p_value double precision,
            p_value_adjusted double precision,
            is_significant boolean,
            lift_sequential_low double precision,
            lift_sequential_high double precision,
            sequential_p_value double precision,
            sequential_p_value_adjusted double precision,
            is_significant_sequential boolean,
            difference double precision,
            difference_ci_low double precision,
            difference_ci_high double precision,
            difference_p_value double precision,
            srm_p_value double precision,
            multiple_exposures bigint not null,
            reason text,
            constraint experiment_results_pkey primary key (tenant_id, experiment, metric, variant)
        );
        create table ops.customer_predictions (
            tenant_id text not null,
            user_id text not null,
            probability_alive double precision,
            churn_probability double precision,
            expected_orders_90d double precision,
            expected_order_value double precision,
            expected_revenue_90d double precision,
            lifetime_value_to_date double precision,
            predicted_lifetime_value double precision,
            model text,
            fitted_at timestamptz not null,
            reason text,
            constraint customer_predictions_pkey primary key (tenant_id, user_id)
        );
        comment on table ops.experiment_results is 'One row per tenant, experiment, metric and variant.';
        comment on table ops.customer_predictions is 'One row per tenant and customer with an order.';
    """)
