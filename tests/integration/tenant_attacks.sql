-- What a tenant's login tries in tests/integration/test_isolation.py, one attack per line. :owner, :reader, :group and
-- :other are roles. Whatever Postgres answers or refuses with may say nothing of another tenant.
select * from facts.conversations where tenant_id <> 'salon-paris' or 1 = 1
select * from facts.conversations where ((1 = 1 or 1 = 1)) is true and (tenant_id = 'nordic-bank')
select (select string_agg(tenant_id, ',') from marts.daily_metrics) from marts.tenants_overview
with everything as materialized (select * from marts.daily_metrics) select tenant_id from everything
select a.tenant_id from facts.conversations as a right join facts.responses as b on true
select tenant_id from marts.alerts union all select tenant_id from marts.input_metrics
select m.* from marts.tenants_overview t cross join lateral (select tenant_id from facts.user_days where tenant_id <> t.tenant_id) m
table marts.tenants_overview
select query_to_xml('select tenant_id from marts.daily_metrics', true, false, '')
select table_to_xml('marts.daily_metrics', true, false, '')
select schema_to_xml('marts', true, false, '')
select database_to_xml(true, false, '')
select * from ts_stat('select to_tsvector(''simple'', tenant_id) from marts.daily_metrics')
select ts_rewrite('a'::tsquery, 'select ''a''::tsquery, tenant_id::tsquery from marts.daily_metrics')
do $$ declare found text; begin select string_agg(tenant_id, ',') into found from marts.daily_metrics; raise exception '%', found; end $$
prepare q as select tenant_id from marts.daily_metrics; execute q
begin; declare c cursor for select tenant_id from marts.daily_metrics; fetch all c; rollback
copy marts.daily_metrics to stdout
copy (select tenant_id from facts.conversations) to stdout
copy (select tenant_id from facts.conversations) to '/tmp/parley-isolation'
copy (select tenant_id from facts.conversations) to program 'cat'
set role :reader; select tenant_id from marts.daily_metrics
set role :owner; select tenant_id from marts.daily_metrics
set role :other; select tenant_id from marts.daily_metrics
set role :group; select tenant_id from marts.daily_metrics
set role none; select tenant_id from marts.daily_metrics
reset role; reset session authorization; select tenant_id from marts.daily_metrics
set session authorization :owner; select tenant_id from marts.daily_metrics
select set_config('role', ':owner', false); select tenant_id from marts.daily_metrics
select set_config('session_authorization', ':other', false); select tenant_id from marts.daily_metrics
set row_security = off; select tenant_id from marts.daily_metrics
set session_replication_role = replica; select tenant_id from marts.daily_metrics
set parley.tenant = 'nordic-bank'; select tenant_id from marts.daily_metrics
set search_path = pg_temp, public, ops, marts; select * from tenant_roles
set default_transaction_read_only = off; update marts.daily_metrics set tenant_id = 'salon-paris' returning *
set default_transaction_read_only = off; insert into ops.tenant_roles (role_name, kind, tenant_ids) values ('x', 'login', '{nordic-bank}')
set default_transaction_read_only = off; create temporary table mine as select * from marts.daily_metrics; select tenant_id from mine
set default_transaction_read_only = off; create table public.mine as select tenant_id from marts.daily_metrics
set default_transaction_read_only = off; create view public.mine as select tenant_id from marts.daily_metrics
set default_transaction_read_only = off; create function pg_temp.leak(text) returns boolean language plpgsql cost 0.0001 as 'begin raise notice ''%'', $1; return true; end'; select from marts.daily_metrics where pg_temp.leak(tenant_id)
set default_transaction_read_only = off; alter table marts.daily_metrics disable row level security
set default_transaction_read_only = off; drop policy parley_one_tenant on marts.daily_metrics
set default_transaction_read_only = off; create policy mine on marts.daily_metrics using (true)
set default_transaction_read_only = off; grant :reader to current_user
set default_transaction_read_only = off; grant select on all tables in schema raw to current_user
set default_transaction_read_only = off; alter role current_user bypassrls
set default_transaction_read_only = off; alter role current_user createrole
set default_transaction_read_only = off; create extension dblink
set default_transaction_read_only = off; select lo_from_bytea(0, 'x')
select * from marts.daily_metrics where tenant_id::int > 0
select * from marts.daily_metrics where 1 / (case when tenant_id = 'nordic-bank' then 0 else 1 end) > 0
select * from marts.daily_metrics where cast(tenant_id || ' ' || total_conversations as int) > 0
select * from facts.conversations order by (tenant_id || conversation_id)::int
select max(tenant_id), min(tenant_id), count(distinct tenant_id) from facts.sessions
select * from pg_stats where schemaname in ('facts', 'marts', 'staging', 'raw', 'ops', 'seeds')
select stavalues1 from pg_statistic
select * from pg_stats_ext
select * from pg_stats_ext_exprs
select most_common_vals from pg_stats where most_common_vals::text like '%nordic%'
select query from pg_stat_activity
select * from pg_roles
select * from pg_authid
select * from pg_policies
select * from pg_db_role_setting
select setting from pg_settings
select pg_get_viewdef('marts.alerts'::regclass)
select oid::regclass, obj_description(oid) from pg_class where relname = 'daily_metrics'
select role_name, tenant_ids from ops.tenant_roles
select ops.protect('marts.daily_metrics')
select * from ops.unprotected()
select pg_read_file('pg_hba.conf')
select pg_ls_dir('.')
select pg_advisory_lock(1)
select pg_terminate_backend(pid) from pg_stat_activity where usename = ':owner'
explain (analyze, verbose, format json) select tenant_id from marts.daily_metrics
load 'auto_explain'
select * from dagster.runs
select * from pg_sequences
select pg_sequence_last_value('raw.batch_id'::regclass)
select * from pg_stat_user_tables
select * from pg_stat_progress_analyze
select * from pg_prepared_statements
select * from pg_cursors
select * from pg_listening_channels()
select * from pg_get_publication_tables('all')
select pg_current_logfile(), pg_ls_logdir()
select pg_stat_file('base')
select pg_get_functiondef(oid) from pg_proc where pronamespace = 'ops'::regnamespace
select pg_get_constraintdef(oid) from pg_constraint
select pg_get_indexdef(oid) from pg_class where relkind = 'i'
select pg_get_expr(polqual, polrelid) from pg_policy
select srvname, srvoptions from pg_foreign_server
select * from pg_user_mappings
select ops.owe_readers('daily_metrics')
select ops.content_of('marts.daily_metrics')
select ops.forget_taken_changes(array['daily_metrics'])
select ops.breakdown_value(array['tenant_id'], null, null)
select * from marts.daily_metrics where ctid = '(0,1)'
select tableoid::regclass, ctid, * from marts.daily_metrics where ctid < '(9,1)'
select * from marts.daily_metrics tablesample system (100)
select * from only marts.daily_metrics for update
select * from marts.daily_metrics order by tenant_id <> 'salon-paris' desc
select tenant_id from marts.daily_metrics group by grouping sets ((tenant_id), ()) having max(tenant_id) <> 'salon-paris'
merge into marts.daily_metrics using (values (1)) as v (a) on true when matched then delete
set default_transaction_read_only = off; delete from marts.daily_metrics returning *
set default_transaction_read_only = off; insert into marts.daily_metrics select * from marts.daily_metrics on conflict do nothing returning *
set default_transaction_read_only = off; truncate marts.daily_metrics
set default_transaction_read_only = off; lock table marts.daily_metrics in access exclusive mode
set default_transaction_read_only = off; analyze verbose marts.daily_metrics
set default_transaction_read_only = off; create statistics mine on tenant_id, date from marts.daily_metrics
set default_transaction_read_only = off; create index mine on marts.daily_metrics (tenant_id)
set default_transaction_read_only = off; create publication mine for table marts.daily_metrics
set default_transaction_read_only = off; alter view marts.alerts set (security_barrier = false)
set default_transaction_read_only = off; alter default privileges grant select on tables to public
set default_transaction_read_only = off; alter system set row_security = off
set default_transaction_read_only = off; create operator public.<<< (leftarg = text, rightarg = text, procedure = pg_catalog.texteq)
set default_transaction_read_only = off; create schema mine; create table mine.t as select tenant_id from marts.daily_metrics
set default_transaction_read_only = off; select lo_import('/etc/hostname')
set default_transaction_read_only = off; select loread(lo_open(1, 262144), 100)
set default_transaction_read_only = off; copy marts.daily_metrics from program 'echo'
do language plpgsql $$ declare r record; begin for r in execute 'select tenant_id from marts.daily_metrics' loop raise notice '%', r.tenant_id; end loop; end $$
set debug_print_plan = on; set client_min_messages = debug5; select * from marts.daily_metrics where tenant_id = 'nordic-bank'
set log_statement = 'all'; set log_min_messages = debug5
set enable_indexscan = off; set enable_seqscan = off; select * from marts.daily_metrics where tenant_id like '%bank%'
