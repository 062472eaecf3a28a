{#-
    Who sees which tenant is Postgres's to say (docs/security.md). A table of facts or marts has policies of row-level
    security; a view reads with its owner's rights, so it filters by the tenants of whoever asks. Both are readable to
    tenants' roles only then: `ops.protect` grants it, and does nothing where all is as it must be.
-#}
{% macro protect(relation) %}
    {% if is_shown(relation) %}select ops.protect('{{ relation }}');{% endif %}
{% endmacro %}

{#- After every run: what other materializations have made, and what older versions left. -#}
{% macro protect_everything() %}
    {% if execute and flags.WHICH in ('build', 'run', 'snapshot') %}select ops.protect_everything(){% endif %}
{% endmacro %}

{% macro is_shown(relation) %}
    {% do return(relation.schema in ('facts', 'marts')) %}
{% endmacro %}

{#- dbt's own way to make a view, of what the one who asks may see. -#}
{% macro postgres__create_view_as(relation, sql) %}
    {% do return(default__create_view_as(relation, visible(sql) if is_shown(relation) and 'tenant_id' in model.columns else sql)) %}
{% endmacro %}

{#- current_user is who asks, also in a view. Its owner, and who is the reader or one of its members, see everything. -#}
{% macro visible(sql) %}
    select whole.*
    from ({{ sql }}) as whole
    where
        pg_has_role((select relowner from pg_class where oid = 'ops.tenant_roles'::regclass), 'usage')
        or (
            select count(*) > 0
            from ops.tenant_roles as roles
            inner join pg_roles on roles.role_name = pg_roles.rolname
            where roles.kind = 'reader' and pg_has_role(pg_roles.oid, 'usage')
        )
        or whole.tenant_id in (
            select unnest(roles.tenant_ids) from ops.tenant_roles as roles where roles.role_name = current_user::text
        )
{% endmacro %}
