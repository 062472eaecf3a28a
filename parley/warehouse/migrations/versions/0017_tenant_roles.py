"""Row-level security on facts and marts: who sees which tenant, and the functions that see to it (docs/security.md)."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

WHOSE = """
    create table ops.tenant_roles (
        role_name text not null,
        kind text not null,
        tenant_ids text[] default '{}' not null,
        label text,
        created_at timestamptz default now() not null,
        created_by text,
        constraint tenant_roles_pkey primary key (role_name),
        constraint tenant_roles_kind_check check (kind in ('reader', 'one_tenant', 'several_tenants', 'login'))
    );
    comment on table ops.tenant_roles is
        'One row per Postgres role that reads facts and marts: three that carry the rights, and the logins.';
    comment on column ops.tenant_roles.kind is
        'reader (sees every tenant), one_tenant and several_tenants (rights of their logins), login';
    comment on column ops.tenant_roles.tenant_ids is 'what a login sees';
    comment on column ops.tenant_roles.label is 'what a login is for; null: the dashboards of `make bi`';
    alter table ops.tenant_roles enable row level security;
    create policy own_row on ops.tenant_roles for select using (role_name = current_user::text);
    -- the role of the dashboards as older versions made it
    insert into ops.tenant_roles (role_name, kind)
    select rolname, 'reader' from pg_roles where rolname = current_database() || '_reader';
"""

# What is not as it must be, by relation. What tenants may read at all is granted in `protect`, after the policies.
UNPROTECTED = """
    create function ops.unprotected() returns table (relation regclass, fault text)
    language sql stable set search_path = pg_catalog, pg_temp as $function$
        with groups as (
            select pg_roles.oid, tenant_roles.role_name, tenant_roles.kind
            from ops.tenant_roles
            inner join pg_roles on tenant_roles.role_name = pg_roles.rolname
            where tenant_roles.kind <> 'login'
        ),
        relations as (
            select
                pg_class.oid,
                pg_namespace.nspname in ('facts', 'marts') as is_shown,
                pg_class.relkind in ('r', 'p') as is_table,
                pg_class.relrowsecurity as has_security,
                exists (
                    select from pg_attribute
                    where attrelid = pg_class.oid and attname = 'tenant_id' and not attisdropped
                ) as has_tenant,
                pg_class.relkind = 'v'
                and coalesce('security_barrier=true' = any (pg_class.reloptions), false)
                and exists (
                    select from pg_depend
                    inner join pg_rewrite on pg_depend.objid = pg_rewrite.oid
                    where
                        pg_depend.classid = 'pg_rewrite'::regclass
                        and pg_depend.refobjid = 'ops.tenant_roles'::regclass
                        and pg_rewrite.ev_class = pg_class.oid
                ) as is_filtered,
                pg_class.relnamespace
            from pg_class
            inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
            where
                pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
                and pg_namespace.nspname not in ('pg_catalog', 'information_schema')
                and pg_namespace.nspname not like 'pg\\_%'
        ),
        tables as (
            select * from relations where is_shown and is_table
        )
        select oid::regclass, 'its row-level security is off' from tables where not has_security
        union all
        select tables.oid::regclass, 'it has no policy for ' || groups.role_name
        from tables
        cross join groups
        where
            (groups.kind = 'reader' or tables.has_tenant)
            and not exists (
                select from pg_policy
                where polrelid = tables.oid and polname = 'parley_' || groups.kind and polroles = array[groups.oid]
            )
        union all
        select relations.oid::regclass, groups.role_name || ' may not read it'
        from relations
        cross join groups
        where
            relations.is_shown
            and (groups.kind = 'reader' or relations.is_filtered or (relations.is_table and relations.has_tenant))
            and not has_table_privilege(groups.oid, relations.oid, 'select')
        union all
        select pg_policy.polrelid::regclass, 'its own policy ' || pg_policy.polname || ' shows tenants more'
        from pg_policy
        inner join tables on pg_policy.polrelid = tables.oid
        where
            pg_policy.polpermissive
            and pg_policy.polcmd in ('r', '*')
            and pg_policy.polname not in ('parley_reader', 'parley_one_tenant', 'parley_several_tenants')
            and exists (
                select from ops.tenant_roles
                inner join pg_roles on tenant_roles.role_name = pg_roles.rolname
                where
                    tenant_roles.kind <> 'reader'
                    and (0::oid = any (pg_policy.polroles) or pg_roles.oid = any (pg_policy.polroles))
            )
        union all
        select relations.oid::regclass, 'it is not filtered by tenant: the next build makes it so'
        from relations
        inner join pg_class on relations.oid = pg_class.oid
        where relations.is_shown and relations.has_tenant and not relations.is_filtered and pg_class.relkind = 'v'
        union all
        select relations.oid::regclass, groups.role_name || ' reads all of it'
        from relations
        cross join groups
        where
            groups.kind <> 'reader'
            and not relations.is_filtered
            and not (relations.is_shown and relations.is_table and relations.has_security)
            and has_schema_privilege(groups.oid, relations.relnamespace, 'usage')
            and has_table_privilege(groups.oid, relations.oid, 'select')
    $function$;
    revoke execute on function ops.unprotected() from public;
"""

PROTECT = """
    create function ops.protect(relation regclass) returns void
    language plpgsql set search_path = pg_catalog, pg_temp as $function$
    declare
        shape record;
        part record;
        seen constant text := 'from ops.tenant_roles where role_name = current_user::text';
        condition text;
    begin
        select
            relkind in ('r', 'p') as is_table,
            relkind = 'v' as is_view,
            relrowsecurity as has_security,
            exists (
                select from pg_attribute where attrelid = relation and attname = 'tenant_id' and not attisdropped
            ) as has_tenant,
            relkind = 'v' and exists (
                select from pg_depend
                inner join pg_rewrite on pg_depend.objid = pg_rewrite.oid
                where
                    pg_depend.classid = 'pg_rewrite'::regclass
                    and pg_depend.refobjid = 'ops.tenant_roles'::regclass
                    and pg_rewrite.ev_class = relation
            ) as is_filtered
        into shape
        from pg_class where oid = relation;
        if shape.is_table and not shape.has_security then
            execute format('alter table %s enable row level security', relation);
        elsif shape.is_filtered then
            execute format('alter view %s set (security_barrier = true)', relation);
        end if;
        for part in
            select pg_roles.oid, tenant_roles.role_name, tenant_roles.kind
            from ops.tenant_roles
            inner join pg_roles on tenant_roles.role_name = pg_roles.rolname
            where tenant_roles.kind <> 'login'
        loop
            if part.kind = 'reader' then
                condition := 'true';
            elsif part.kind = 'one_tenant' then
                -- a constant of the query, and an equality: the planner joins it with the one that a dashboard asks for
                condition := 'tenant_id = (select tenant_ids[1] ' || seen || ')';
            else
                condition := 'tenant_id = any ((select tenant_ids ' || seen || ')::text[])';
            end if;
            if shape.is_table and (part.kind = 'reader' or shape.has_tenant) and not exists (
                select from pg_policy
                where polrelid = relation and polname = 'parley_' || part.kind and polroles = array[part.oid]
            ) then
                execute format('drop policy if exists %I on %s', 'parley_' || part.kind, relation);
                execute format(
                    'create policy %I on %s for select to %I using (%s)',
                    'parley_' || part.kind, relation, part.role_name, condition
                );
            end if;
            if part.kind = 'reader' or shape.is_filtered or (shape.is_table and shape.has_tenant) then
                if not has_table_privilege(part.oid, relation, 'select') then
                    execute format('grant select on %s to %I', relation, part.role_name);
                end if;
            elsif has_table_privilege(part.oid, relation, 'select') then
                execute format('revoke all on %s from %I', relation, part.role_name);
            end if;
        end loop;
    end
    $function$;
    revoke execute on function ops.protect(regclass) from public;

    create function ops.protect_everything() returns void
    language plpgsql set search_path = pg_catalog, pg_temp as $function$
    declare
        part record;
    begin
        for part in
            select distinct pg_class.oid
            from ops.unprotected() as unprotected
            inner join pg_class on unprotected.relation = pg_class.oid
            inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
            where pg_namespace.nspname in ('facts', 'marts') and pg_has_role(pg_class.relowner, 'usage')
        loop
            perform ops.protect(part.oid);
        end loop;
    end
    $function$;
    revoke execute on function ops.protect_everything() from public;
"""


def upgrade() -> None:
    for statements in (WHOSE, UNPROTECTED, PROTECT, "select ops.protect_everything()"):
        op.execute(statements)
