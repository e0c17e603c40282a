/* for: items one by one, so that a filter behind `if` sees what earlier turns have changed; `loop`. */
#include <string.h>

#include "jinja/run.h"

struct tuff_jinja_loop {
    const tuff_jinja_node *node;
    tuff_jinja_scope *scope; /* around it */
    const tuff_jinja_list *source;
    size_t at;              /* in it */
    tuff_jinja_list *ahead; /* items that were looked at and have not had their turn, from `ahead->next` on */
    tuff_jinja_value before, now, changed;
    int64_t index0, depth0;
};

/* Whether the item passes the loop's filter. */
static bool passes(tuff_jinja_run *run, const tuff_jinja_loop *loop, tuff_jinja_value item, bool *out)
{
    tuff_jinja_scope *scope = run->scope;
    tuff_jinja_value test = tuff_jinja_bool(true);
    *out = true;
    if (!loop->node->d) return true;
    run->scope = loop->scope;
    const bool good = tuff_jinja_scope_push(run) && tuff_jinja_assign(run, loop->node->a, item) &&
                      tuff_jinja_eval(run, loop->node->d, &test);
    run->scope = scope;
    *out = tuff_jinja_truth(&test);
    return good;
}

/* One more item; MISSING behind the last. */
static bool pull(tuff_jinja_run *run, tuff_jinja_loop *loop, tuff_jinja_value *out)
{
    *out = (tuff_jinja_value){0};
    while (loop->at < loop->source->count) {
        const tuff_jinja_value item = loop->source->items[loop->at++];
        bool taken;
        if (!tuff_jinja_spend(run, 1) || !passes(run, loop, item, &taken)) return false;
        if (!taken) continue;
        *out = item;
        return true;
    }
    return true;
}

static bool next_turn(tuff_jinja_run *run, tuff_jinja_loop *loop, tuff_jinja_value *out)
{
    if (loop->ahead && loop->ahead->next < loop->ahead->count)
        *out = loop->ahead->items[loop->ahead->next++];
    else if (!pull(run, loop, out))
        return false;
    if (out->kind == TUFF_JINJA_MISSING) return true;
    loop->before = loop->now;
    loop->now = *out;
    loop->index0++;
    return true;
}

/* Looks at `count` items more than had their turn; *out_there: how many there are, `count` at most. */
static bool look_ahead(tuff_jinja_run *run, tuff_jinja_loop *loop, size_t count, size_t *out_there)
{
    if (!loop->ahead) loop->ahead = tuff_jinja_list_new(run, 0);
    if (!loop->ahead) return false;
    while (loop->ahead->count - loop->ahead->next < count) {
        tuff_jinja_value item;
        if (!pull(run, loop, &item)) return false;
        if (item.kind == TUFF_JINJA_MISSING) break;
        if (!tuff_jinja_list_add(run, loop->ahead, item)) return false;
    }
    *out_there = loop->ahead->count - loop->ahead->next;
    return true;
}

static tuff_jinja_value nothing(const char *what)
{
    tuff_jinja_value value = tuff_jinja_literal(what);
    value.kind = TUFF_JINJA_UNDEFINED;
    value.of = TUFF_JINJA_LOOP;
    return value;
}

bool tuff_jinja_loop_member(tuff_jinja_run *run, tuff_jinja_loop *loop, tuff_view name, tuff_jinja_value *out)
{
    static const char *const known[] = {"index", "index0",    "first",    "last",     "length", "revindex",
                                        "depth", "revindex0", "previtem", "nextitem", "depth0"};
    enum {
        INDEX,
        INDEX0,
        FIRST,
        LAST,
        LENGTH,
        REVINDEX,
        DEPTH,
        REVINDEX0,
        PREVITEM,
        NEXTITEM,
        DEPTH0,
        KNOWN
    };
    size_t which = 0, left = 0;
    while (which < KNOWN && !tuff_view_is(name, known[which]))
        which++;
    const bool all = which == LENGTH || which == REVINDEX || which == REVINDEX0;
    if ((all || which == LAST || which == NEXTITEM) && !look_ahead(run, loop, all ? SIZE_MAX : 1, &left))
        return false;
    if (which == INDEX) *out = tuff_jinja_int(loop->index0 + 1);
    if (which == INDEX0) *out = tuff_jinja_int(loop->index0);
    if (which == FIRST) *out = tuff_jinja_bool(loop->index0 == 0);
    if (which == LAST) *out = tuff_jinja_bool(left == 0);
    if (which == LENGTH) *out = tuff_jinja_int(loop->index0 + 1 + (int64_t)left);
    if (which == REVINDEX) *out = tuff_jinja_int((int64_t)left + 1);
    if (which == REVINDEX0) *out = tuff_jinja_int((int64_t)left);
    if (which == DEPTH) *out = tuff_jinja_int(loop->depth0 + 1);
    if (which == DEPTH0) *out = tuff_jinja_int(loop->depth0);
    if (which == PREVITEM) *out = loop->index0 ? loop->before : nothing("previtem");
    if (which == NEXTITEM) *out = left ? loop->ahead->items[loop->ahead->next] : nothing("nextitem");
    if (which == KNOWN) *out = (tuff_jinja_value){0};
    return true;
}

bool tuff_jinja_loop_cycle(tuff_jinja_run *run, const tuff_jinja_loop *loop, const tuff_jinja_args *args,
                           tuff_jinja_value *out)
{
    if (!args->count) return tuff_jinja_fail(run, "loop.cycle has nothing to go through");
    *out = args->items[(size_t)loop->index0 % args->count];
    return true;
}

bool tuff_jinja_loop_changed(tuff_jinja_run *run, tuff_jinja_loop *loop, const tuff_jinja_args *args,
                             tuff_jinja_value *out)
{
    tuff_jinja_list *list = tuff_jinja_list_new(run, args->count);
    if (!list) return false;
    for (size_t i = 0; i < args->count; i++)
        list->items[list->count++] = args->items[i];
    const tuff_jinja_value now = tuff_jinja_list_value(TUFF_JINJA_TUPLE, list);
    *out = tuff_jinja_bool(loop->changed.kind == TUFF_JINJA_MISSING ||
                           !tuff_jinja_equal(run, &now, &loop->changed));
    loop->changed = now;
    return run->status == TUFF_OK;
}

/* One turn, in a scope of its own. */
static bool turn(tuff_jinja_run *run, tuff_jinja_loop *loop, tuff_jinja_value item)
{
    const tuff_jinja_value self = {.kind = TUFF_JINJA_LOOP, .as.loop = loop};
    run->scope = loop->scope;
    const bool good = tuff_jinja_scope_push(run) && tuff_jinja_scope_set(run, run->template->loop, self) &&
                      tuff_jinja_assign(run, loop->node->a, item) && tuff_jinja_execute(run, loop->node->c);
    run->scope = loop->scope;
    return good;
}

bool tuff_jinja_for(tuff_jinja_run *run, const tuff_jinja_node *node, const tuff_jinja_value *over,
                    const tuff_jinja_loop *outer)
{
    tuff_jinja_list *source;
    tuff_jinja_value item;
    if (!tuff_jinja_items(run, over, &source)) return false;
    tuff_jinja_loop *loop = tuff_jinja_alloc(run, sizeof *loop);
    if (!loop) return false;
    *loop = (tuff_jinja_loop){.node = node, .scope = run->scope, .source = source, .index0 = -1};
    loop->depth0 = outer ? outer->depth0 + 1 : 0;
    for (;;) {
        if (!next_turn(run, loop, &item)) return false;
        if (item.kind == TUFF_JINJA_MISSING) break;
        if (!turn(run, loop, item)) return false;
        const bool ends = run->jump == TUFF_JINJA_BREAK;
        run->jump = TUFF_JINJA_GOES_ON;
        if (ends) break;
    }
    if (loop->index0 >= 0 || !node->e) return true;
    const bool good = tuff_jinja_scope_push(run) && tuff_jinja_execute(run, node->e);
    run->scope = loop->scope;
    return good;
}

/* "loop(children)" of a recursive loop: what the same loop prints over them. */
bool tuff_jinja_call_loop(tuff_jinja_run *run, tuff_jinja_loop *loop, const tuff_jinja_args *args,
                          tuff_jinja_value *out)
{
    tuff_jinja_scope *scope = run->scope;
    tuff_jinja_capture state;
    if (!loop->node->stars)
        return tuff_jinja_fail(run, "loop is called, but the loop is not marked 'recursive'");
    if (args->count != 1 || args->named_count)
        return tuff_jinja_fail(run, "loop takes what it is to go through");
    run->scope = loop->scope;
    tuff_jinja_capture_begin(run, &state);
    const bool good = tuff_jinja_for(run, loop->node, &args->items[0], loop);
    run->scope = scope;
    return tuff_jinja_capture_end(run, &state, good, out);
}
