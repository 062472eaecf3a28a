"""How attempts go through a funnel: functions that the models of funnels call, once for each unit.

An event is given by the mask of the steps that it can serve: bit 0 is step 1. One event serves one step. Where events
happen at one instant, they may serve in any order, so which steps they can serve together is a matching of events and
steps, found with augmenting paths.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create function ops.breakdown_value(parts text[], source text, attributes jsonb) returns text
        language plpgsql immutable as $$
        -- The value of one part as it is, of several as a JSON array; null where the event has none of them. A part is
        -- `channel` or a SQL/JSON path; an empty text is no value.
        declare
            part text;
            found text;
            has_any boolean := false;
            found_all jsonb := '[]';
        begin
            foreach part in array parts loop
                found := nullif(case
                    when part = 'channel' then source
                    else jsonb_path_query_first(attributes, part::jsonpath, '{}', true) #>> '{}'
                end, '');
                has_any := has_any or found is not null;
                found_all := found_all || jsonb_build_array(found);
            end loop;
            return case when has_any then case when cardinality(parts) = 1 then found else found_all::text end end;
        end $$;

        create function ops.funnel_serve(owners integer[], event_mask integer) returns integer[]
        language plpgsql immutable as $$
        -- One more event among those that serve steps: `owners` has for each step the mask of the event that serves it,
        -- 0 for none. Returns the owners with this event among them, or null where it can serve no further step.
        declare
            steps constant integer := cardinality(owners);
            came_from integer[];  -- the step whose event can go to this one; 0: the event itself, -1: not seen
            waiting integer[] := '{}';
            head integer := 1;
            place integer;
            mask integer := event_mask;
            origin integer := 0;
        begin
            for step in 1..steps loop
                if owners[step] = 0 and event_mask & (1 << (step - 1)) <> 0 then
                    owners[step] := event_mask;
                    return owners;
                end if;
            end loop;
            came_from := array_fill(-1, array[steps]);
            loop
                for step in 1..steps loop
                    if mask & (1 << (step - 1)) <> 0 and came_from[step] < 0 then
                        came_from[step] := origin;
                        if owners[step] = 0 then
                            place := step;
                            while place > 0 loop
                                origin := came_from[place];
                                owners[place] := case when origin = 0 then event_mask else owners[origin] end;
                                place := origin;
                            end loop;
                            return owners;
                        end if;
                        waiting := waiting || step;
                    end if;
                end loop;
                if head > cardinality(waiting) then
                    return null;
                end if;
                origin := waiting[head];
                mask := owners[origin];
                head := head + 1;
            end loop;
        end $$;

        create function ops.funnel_open(owners integer[]) returns integer
        language plpgsql immutable as $$
        -- The steps (a mask) of which one more event would serve one step more: those that are free, and those whose
        -- event can give way to one of them.
        declare
            open_steps integer := 0;
            before integer := -1;
        begin
            while open_steps <> before loop
                before := open_steps;
                for step in 1..cardinality(owners) loop
                    if owners[step] = 0 or owners[step] & open_steps <> 0 then
                        open_steps := open_steps | (1 << (step - 1));
                    end if;
                end loop;
            end loop;
            return open_steps;
        end $$;

        create function ops.funnel_can_serve(masks integer[], wanted integer, steps integer) returns boolean
        language plpgsql immutable as $$
        -- Whether the events can serve all the wanted steps (a mask), each by an event of its own.
        declare
            owners integer[] := array_fill(0, array[steps]);
            after_event integer[];
            missing integer := bit_count(wanted::bit(32));
            mask integer;
        begin
            foreach mask in array masks loop
                exit when missing = 0;
                if mask & wanted <> 0 then
                    after_event := ops.funnel_serve(owners, mask & wanted);
                    if after_event is not null then
                        owners := after_event;
                        missing := missing - 1;
                    end if;
                end if;
            end loop;
            return missing = 0;
        end $$;
    """)
    for name, walk in (("ordered", ORDERED), ("strict", STRICT), ("unordered", UNORDERED)):
        op.execute(
            f"create function ops.funnel_{name}({WAY}) returns integer[] language plpgsql immutable as $$ {walk} $$"
        )
    op.execute(ATTEMPTS)


WAY = """
    entry integer,            -- the event that opens the attempt
    entry_instant integer,
    until timestamptz,        -- the end of its window, which is in it
    steps integer,
    required integer[],       -- the steps that are not optional, in order
    only_later boolean,       -- whether an instant serves one step at most
    overlap boolean,          -- whether anything can serve several steps, so that it must be matched with one
    masks integer[],          -- of the unit's events, in order
    first_event integer[],    -- of each instant, and one more at the end
    instant_at timestamptz[],
    instant_masks integer[],
    next_instant integer[]    -- for each instant and step, the nearest instant after it that can serve it; 0 for none
"""

# The instant at which each step is reached, null for those that are not. Taking the nearest instant for the next step,
# and going as far as it allows, loses nothing: whoever is further, or as far and earlier, can do all that the other
# can. The optional steps are then served, one after the other, by what the required ones leave.
ORDERED = """
declare
    reached integer[] := array_fill(null::integer, array[steps]);
    instant integer := entry_instant;
    at_instant integer[];
    done integer := 1;
    here integer;
    wanted integer;
    before integer;
    limit_instant integer;
    is_served boolean;
begin
    reached[1] := entry_instant;
    loop
        if not only_later and first_event[instant + 1] - first_event[instant] > 1 then
            if instant = entry_instant then  -- what else happened at the opening instant
                here := 0;
                at_instant := masks[first_event[instant] : entry - 1]
                    || masks[entry + 1 : first_event[instant + 1] - 1];
            else
                here := 1 << (required[done] - 1);
                at_instant := masks[first_event[instant] : first_event[instant + 1] - 1];
            end if;
            while done < cardinality(required) loop
                wanted := here | (1 << (required[done + 1] - 1));
                exit when instant_masks[instant] & wanted <> wanted
                    or not ops.funnel_can_serve(at_instant, wanted, steps);
                here := wanted;
                done := done + 1;
                reached[required[done]] := instant;
            end loop;
        end if;
        exit when done = cardinality(required);
        instant := next_instant[(instant - 1) * steps + required[done + 1]];
        exit when instant = 0 or instant_at[instant] > until;
        done := done + 1;
        reached[required[done]] := instant;
    end loop;

    if cardinality(required) = steps then
        return reached;
    end if;
    before := entry_instant;
    for step in 2..steps loop
        if step = any(required) then
            exit when reached[step] is null;
            before := reached[step];
            continue;
        end if;
        limit_instant := null;
        for later in step + 1..steps loop
            limit_instant := coalesce(limit_instant, reached[later]);
        end loop;
        instant := case
            when instant_masks[before] & (1 << (step - 1)) <> 0 then before
            else next_instant[(before - 1) * steps + step]
        end;
        while instant > 0 and instant <= coalesce(limit_instant, instant) and instant_at[instant] <= until loop
            wanted := 1 << (step - 1);
            for other in 2..steps loop
                if reached[other] = instant then
                    wanted := wanted | (1 << (other - 1));
                end if;
            end loop;
            if only_later then
                is_served := instant > entry_instant and wanted = 1 << (step - 1);
            elsif instant = entry_instant then
                is_served := ops.funnel_can_serve(
                    masks[first_event[instant] : entry - 1] || masks[entry + 1 : first_event[instant + 1] - 1],
                    wanted,
                    steps
                );
            else
                is_served := ops.funnel_can_serve(
                    masks[first_event[instant] : first_event[instant + 1] - 1], wanted, steps
                );
            end if;
            if is_served then
                reached[step] := instant;
                before := instant;
                exit;
            end if;
            instant := next_instant[(instant - 1) * steps + step];
        end loop;
    end loop;
    return reached;
end
"""

# The unit's very next instant must go on with the attempt and all of its events must serve. At the opening instant
# other events may stand before the opening one or after it, so each number of steps done there is tried: the furthest
# way counts, the fastest among equals.
STRICT = """
declare
    best integer[];
    best_done integer := 0;
    reached integer[];
    at_instant integer[];
    instant integer;
    done integer;
    here integer;
    events integer;
    opening constant integer[]
        := masks[first_event[entry_instant] : entry - 1] || masks[entry + 1 : first_event[entry_instant + 1] - 1];
begin
    for start in 1..steps loop
        exit when start > 1 and (only_later or not ops.funnel_can_serve(opening, (1 << start) - 2, steps));
        reached := array_fill(entry_instant, array[start]);
        done := start;
        instant := entry_instant + 1;
        while done < steps and instant <= cardinality(instant_at) and instant_at[instant] <= until loop
            at_instant := masks[first_event[instant] : first_event[instant + 1] - 1];
            events := cardinality(at_instant);
            here := 0;
            while done + here < steps and here < case when only_later then 1 else events end loop
                exit when not ops.funnel_can_serve(at_instant, ((1 << (here + 1)) - 1) << done, steps);
                here := here + 1;
                reached := reached || instant;
            end loop;
            done := done + here;
            exit when here < events;
            instant := instant + 1;
        end loop;
        if done > best_done or done = best_done and (reached[done], reached) < (best[done], best) then
            best := reached;
            best_done := done;
        end if;
    end loop;
    return best || array_fill(null::integer, array[steps - best_done]);
end
"""

# Step i is the instant by which i different steps have been served. An event that serves no further step when it
# happens never will, so only those are looked at that do.
UNORDERED = """
declare
    reached integer[] := '{}';
    owners integer[] := array_fill(0, array[steps]);
    after_event integer[];
    open_steps integer;
    instant integer := entry_instant;
    nearest integer;
    here integer := 0;
begin
    if not overlap then  -- the nearest instant of every other step
        if first_event[instant + 1] - first_event[instant] > 1 then
            for event in first_event[instant]..first_event[instant + 1] - 1 loop
                here := here | case when event <> entry then masks[event] else 0 end;
            end loop;
        end if;
        for step in 1..steps loop
            continue when masks[entry] & (1 << (step - 1)) <> 0;
            nearest := next_instant[(instant - 1) * steps + step];
            if here & (1 << (step - 1)) <> 0 then
                reached := reached || instant;
            elsif nearest > 0 and instant_at[nearest] <= until then
                reached := reached || nearest;
            end if;
        end loop;
        reached := instant || array(select place from unnest(reached) as place order by place);
        return reached || array_fill(null::integer, array[steps - cardinality(reached)]);
    end if;

    owners := ops.funnel_serve(owners, masks[entry]);
    reached := reached || entry_instant;
    open_steps := ops.funnel_open(owners);
    loop
        if only_later then
            after_event := null;
            if instant > entry_instant then
                after_event := ops.funnel_serve(owners, instant_masks[instant]);
            end if;
            if after_event is not null then
                owners := after_event;
                reached := reached || instant;
                open_steps := ops.funnel_open(owners);
            end if;
        elsif instant > entry_instant or first_event[instant + 1] - first_event[instant] > 1 then
            for event in first_event[instant]..first_event[instant + 1] - 1 loop
                if event <> entry and masks[event] & open_steps <> 0 then
                    owners := ops.funnel_serve(owners, masks[event]);
                    reached := reached || instant;
                    open_steps := ops.funnel_open(owners);
                end if;
            end loop;
        end if;
        exit when cardinality(reached) = steps;
        nearest := 0;
        for step in 1..steps loop
            if
                open_steps & (1 << (step - 1)) <> 0
                and next_instant[(instant - 1) * steps + step] > 0
                and (nearest = 0 or next_instant[(instant - 1) * steps + step] < nearest)
            then
                nearest := next_instant[(instant - 1) * steps + step];
            end if;
        end loop;
        instant := nearest;
        exit when instant = 0 or instant_at[instant] > until;
    end loop;
    return reached || array_fill(null::integer, array[steps - cardinality(reached)]);
end
"""

ATTEMPTS = """
create function ops.funnel_attempts(
    step_order text,
    only_later boolean,
    steps integer,
    required integer[],
    conversion_window interval,
    exclusion_after integer[],   -- of each exclusion, the step after which it voids an attempt
    exclusion_before integer[],  -- and the one before which it does
    touch text,                  -- whose value counts: first, last, step, all_events; null without breakdown
    touch_step integer,
    occurred_at timestamptz[],   -- of the unit's events, in order
    masks integer[],
    exclusion_masks integer[],
    breakdown_values text[]
) returns table (
    entry integer, reached_at timestamptz[], served_mask integer, is_grouped boolean, breakdown_value text
)
language plpgsql immutable as $$
-- The attempts of a unit that no exclusion voids: the event that opened each, when it reached each step up to the
-- furthest (null for optional steps it skipped), which steps these are, whether it counts under a value of the
-- breakdown, and under which (null: it has none).
declare
    events constant integer := cardinality(occurred_at);
    exclusions constant integer := coalesce(cardinality(exclusion_after), 0);
    openers constant integer := case when step_order = 'unordered' then (1 << steps) - 1 else 1 end;
    first_event integer[] := '{}';
    instant_at timestamptz[] := '{}';
    instant_masks integer[] := '{}';
    instant_exclusions integer[] := '{}';
    next_instant integer[];
    next_exclusion integer[];
    ahead integer[] := array_fill(0, array[steps]);
    ahead_exclusion integer[] := array_fill(0, array[exclusions]);
    instants integer := 0;
    instant integer := 0;
    overlap boolean := false;
    until timestamptz;
    reached integer[];
    is_void boolean;
    next_step integer;
    step integer;
begin
    for event in 1..events loop
        if event = 1 or occurred_at[event] <> occurred_at[event - 1] then
            instants := instants + 1;
            first_event[instants] := event;
            instant_at[instants] := occurred_at[event];
            instant_masks[instants] := masks[event];
            instant_exclusions[instants] := exclusion_masks[event];
        else
            instant_masks[instants] := instant_masks[instants] | masks[event];
            instant_exclusions[instants] := instant_exclusions[instants] | exclusion_masks[event];
        end if;
    end loop;
    first_event[instants + 1] := events + 1;
    foreach step in array case when only_later then instant_masks else masks end loop
        overlap := overlap or step & (step - 1) <> 0;
    end loop;

    next_instant := array_fill(0, array[instants * steps]);
    next_exclusion := array_fill(0, array[instants * exclusions]);
    for place in reverse instants..1 loop
        for number in 1..steps loop
            if ahead[number] > 0 then
                next_instant[(place - 1) * steps + number] := ahead[number];
            end if;
            if instant_masks[place] & (1 << (number - 1)) <> 0 then
                ahead[number] := place;
            end if;
        end loop;
        for number in 1..exclusions loop
            next_exclusion[(place - 1) * exclusions + number] := ahead_exclusion[number];
            if instant_exclusions[place] & (1 << (number - 1)) <> 0 then
                ahead_exclusion[number] := place;
            end if;
        end loop;
    end loop;

    for event in 1..events loop
        if event = first_event[instant + 1] then
            instant := instant + 1;
        end if;
        continue when masks[event] & openers = 0;
        until := occurred_at[event] + conversion_window;
        if step_order = 'ordered' then
            reached := ops.funnel_ordered(
                event, instant, until, steps, required, only_later, overlap,
                masks, first_event, instant_at, instant_masks, next_instant
            );
        elsif step_order = 'strict' then
            reached := ops.funnel_strict(
                event, instant, until, steps, required, only_later, overlap,
                masks, first_event, instant_at, instant_masks, next_instant
            );
        else
            reached := ops.funnel_unordered(
                event, instant, until, steps, required, only_later, overlap,
                masks, first_event, instant_at, instant_masks, next_instant
            );
        end if;

        -- between its two steps or, where no later one was reached, up to the end of the window
        is_void := false;
        for number in 1..exclusions loop
            if reached[exclusion_after[number]] is not null then
                next_step := exclusion_before[number];
                while next_step < steps and reached[next_step] is null loop
                    next_step := next_step + 1;
                end loop;
                step := next_exclusion[(reached[exclusion_after[number]] - 1) * exclusions + number];
                is_void := is_void or step > 0 and case
                    when reached[next_step] is not null then step < reached[next_step]
                    else instant_at[step] <= until
                end;
            end if;
        end loop;
        continue when is_void;

        entry := event;
        reached_at := '{}';
        served_mask := 0;
        for number in 1..steps loop
            if reached[number] is not null then
                reached_at[number] := instant_at[reached[number]];
                served_mask := served_mask | (1 << (number - 1));
            end if;
        end loop;
        is_grouped := touch is not null and (touch <> 'step' or reached[touch_step] is not null);
        breakdown_value := null;
        if is_grouped then
            for number in 1..steps loop
                step := case
                    when touch = 'step' then touch_step when touch = 'last' then steps + 1 - number else number
                end;
                if step = 1 then
                    breakdown_value := breakdown_values[event];
                elsif reached[step] is not null then
                    for serving in first_event[reached[step]]..first_event[reached[step] + 1] - 1 loop
                        if serving <> event and masks[serving]
                            & (case when step_order = 'unordered' then openers else 1 << (step - 1) end) <> 0
                        then
                            breakdown_value := coalesce(breakdown_value, breakdown_values[serving]);
                        end if;
                    end loop;
                end if;
                exit when breakdown_value is not null or touch in ('step', 'all_events');
            end loop;
        end if;
        return next;
    end loop;
end $$
"""
