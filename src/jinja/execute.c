/* Statements: what a template prints, sets and goes through. */
#include <string.h>

#include "jinja/run.h"

bool tuff_jinja_print(tuff_jinja_run *run, tuff_view text)
{
    if (!tuff_jinja_spend_bytes(run, text.size)) return false;
    if (text.size > run->limits.output) return tuff_jinja_fail(run, "the template prints too much");
    run->limits.output -= text.size;
    tuff_buf_bytes(&run->out, text.data, text.size);
    return run->out.failed ? tuff_jinja_no_memory(run) : true;
}

void tuff_jinja_capture_begin(tuff_jinja_run *run, tuff_jinja_capture *out_state)
{
    if (!run->captured++) run->printed = run->out.size;
    out_state->outer = run->out;
    run->out = (tuff_buf){0};
}

bool tuff_jinja_capture_end(tuff_jinja_run *run, tuff_jinja_capture *state, bool good, tuff_jinja_value *out)
{
    if (good)
        good = tuff_jinja_take(run, &run->out, out);
    else
        tuff_buf_free(&run->out);
    run->out = state->outer;
    run->captured--;
    return good;
}

bool tuff_jinja_print_text(tuff_jinja_run *run, const tuff_jinja_node *list, tuff_jinja_value *out)
{
    tuff_jinja_scope *scope = run->scope;
    tuff_jinja_capture state;
    tuff_jinja_capture_begin(run, &state);
    const bool good = tuff_jinja_scope_push(run) && tuff_jinja_execute(run, list);
    run->scope = scope;
    return tuff_jinja_capture_end(run, &state, good, out);
}

static bool assign_member(tuff_jinja_run *run, const tuff_jinja_node *target, tuff_jinja_value value)
{
    const tuff_jinja_value of = tuff_jinja_lookup(run, target->name);
    if (of.kind != TUFF_JINJA_NAMESPACE)
        return tuff_jinja_fail(run, "a member of a %s is set, but only those of a namespace can be",
                               tuff_jinja_type(&of));
    if (target->text.data[0] == '_')
        return tuff_jinja_fail(run, "a namespace has no members that begin with '_'");
    return tuff_jinja_dict_put(run, of.as.dict, tuff_jinja_view(target->text), value);
}

static bool assign(tuff_jinja_run *run, const tuff_jinja_node *target, tuff_jinja_value value)
{
    tuff_jinja_list *items;
    size_t at = 0;
    if (target->kind == TUFF_JINJA_NAME) return tuff_jinja_scope_set(run, target->name, value);
    if (target->kind == TUFF_JINJA_MEMBER_OF) return assign_member(run, target, value);
    if (!tuff_jinja_items(run, &value, &items)) return false;
    for (const tuff_jinja_node *one = target->a; one; one = one->next, at++)
        if (at < items->count && !tuff_jinja_assign(run, one, items->items[at])) return false;
    if (at == items->count) return true;
    return tuff_jinja_fail(run, "%zu values are assigned to %zu names", items->count, at);
}

bool tuff_jinja_assign(tuff_jinja_run *run, const tuff_jinja_node *target, tuff_jinja_value value)
{
    const bool good = tuff_jinja_enter(run) && tuff_jinja_spend(run, 1) && assign(run, target, value);
    tuff_jinja_leave(run);
    return good;
}

static bool print_value(tuff_jinja_run *run, const tuff_jinja_node *node)
{
    tuff_jinja_value value, text;
    return tuff_jinja_eval(run, node->a, &value) && tuff_jinja_str(run, &value, &text) &&
           tuff_jinja_print(run, tuff_jinja_text_of(&text));
}

/* A chain of filters of a block. */
static bool apply(tuff_jinja_run *run, const tuff_jinja_node *filter, tuff_jinja_value *value)
{
    const tuff_jinja_value before = *value;
    tuff_jinja_value inner = before;
    tuff_jinja_args args;
    if (!filter) return true;
    const bool good = tuff_jinja_enter(run) && apply(run, filter->a, &inner) &&
                      tuff_jinja_arguments(run, filter->b, &args) &&
                      tuff_jinja_filter(run, filter->text, &inner, &args, value);
    tuff_jinja_leave(run);
    return good;
}

static bool set_block(tuff_jinja_run *run, const tuff_jinja_node *node)
{
    tuff_jinja_value text;
    if (!tuff_jinja_print_text(run, node->c, &text) || !apply(run, node->b, &text)) return false;
    return tuff_jinja_assign(run, node->a, text);
}

static bool set(tuff_jinja_run *run, const tuff_jinja_node *node)
{
    tuff_jinja_value value;
    return tuff_jinja_eval(run, node->b, &value) && tuff_jinja_assign(run, node->a, value);
}

static bool filter_block(tuff_jinja_run *run, const tuff_jinja_node *node)
{
    tuff_jinja_value value, text;
    return tuff_jinja_print_text(run, node->c, &value) && apply(run, node->b, &value) &&
           tuff_jinja_str(run, &value, &text) && tuff_jinja_print(run, tuff_jinja_text_of(&text));
}

/* if, elif and else, which have no scope of their own. */
static bool choose(tuff_jinja_run *run, const tuff_jinja_node *node)
{
    for (;;) {
        tuff_jinja_value test;
        if (!tuff_jinja_eval(run, node->a, &test)) return false;
        if (tuff_jinja_truth(&test)) return tuff_jinja_execute(run, node->b);
        if (!node->c || !node->c->stars) return tuff_jinja_execute(run, node->c);
        node = node->c;
    }
}

static bool with(tuff_jinja_run *run, const tuff_jinja_node *node)
{
    tuff_jinja_scope *scope = run->scope, *inner;
    if (!tuff_jinja_scope_push(run)) return false;
    inner = run->scope;
    bool good = true;
    for (const tuff_jinja_node *one = node->a; one && good; one = one->next) {
        tuff_jinja_value value;
        run->scope = scope; /* values do not see each other's names */
        good = tuff_jinja_eval(run, one->b, &value);
        run->scope = inner;
        if (good) good = tuff_jinja_assign(run, one->a, value);
    }
    good = good && tuff_jinja_execute(run, node->c);
    run->scope = scope;
    return good;
}

static bool go_through(tuff_jinja_run *run, const tuff_jinja_node *node)
{
    tuff_jinja_value over;
    return tuff_jinja_eval(run, node->b, &over) && tuff_jinja_for(run, node, &over, NULL);
}

static bool define(tuff_jinja_run *run, const tuff_jinja_node *node)
{
    tuff_jinja_value macro;
    return tuff_jinja_macro_new(run, node, &macro) && tuff_jinja_scope_set(run, node->name, macro);
}

/* What a call block calls gets its body as `caller`. */
static bool call_block(tuff_jinja_run *run, const tuff_jinja_node *node)
{
    tuff_jinja_value function, caller, result, text;
    tuff_jinja_args args;
    if (!tuff_jinja_eval(run, node->b->a, &function) || !tuff_jinja_arguments(run, node->b->b, &args) ||
        !tuff_jinja_macro_new(run, node, &caller))
        return false;
    tuff_jinja_named *named = tuff_jinja_array(run, args.named_count + 1, sizeof *named);
    if (!named) return false;
    if (args.named_count) memcpy(named, args.named, args.named_count * sizeof *named);
    named[args.named_count++] = (tuff_jinja_named){run->template->caller, caller};
    args.named = named;
    return tuff_jinja_call(run, &function, &args, &result) && tuff_jinja_str(run, &result, &text) &&
           tuff_jinja_print(run, tuff_jinja_text_of(&text));
}

/* Places are those of what is printed for good, as transformers counts them: what a macro prints has the
 * place of its call. */
static bool generation(tuff_jinja_run *run, const tuff_jinja_node *node)
{
    const size_t start = run->captured ? run->printed : run->out.size;
    tuff_jinja_value text;
    if (!tuff_jinja_print_text(run, node->c, &text)) return false;
    if (!tuff_grow((void **)&run->spans, run->span_count, &run->span_capacity, sizeof *run->spans))
        return tuff_jinja_no_memory(run);
    run->spans[run->span_count++] = (tuff_jinja_span){start, start + text.size};
    return tuff_jinja_print(run, tuff_jinja_text_of(&text));
}

static bool one(tuff_jinja_run *run, const tuff_jinja_node *node)
{
    switch ((tuff_jinja_node_kind)node->kind) {
    case TUFF_JINJA_DATA:
        return tuff_jinja_print(run, tuff_jinja_text_of(&node->value));
    case TUFF_JINJA_PRINT:
        return print_value(run, node);
    case TUFF_JINJA_SET:
        return set(run, node);
    case TUFF_JINJA_SET_BLOCK:
        return set_block(run, node);
    case TUFF_JINJA_IF:
        return choose(run, node);
    case TUFF_JINJA_FOR:
        return go_through(run, node);
    case TUFF_JINJA_WITH:
    case TUFF_JINJA_STATEMENTS:
        return with(run, node);
    case TUFF_JINJA_MACRO_OF:
        return define(run, node);
    case TUFF_JINJA_CALL_BLOCK:
        return call_block(run, node);
    case TUFF_JINJA_FILTER_OF:
        return filter_block(run, node);
    case TUFF_JINJA_GENERATION:
        return generation(run, node);
    case TUFF_JINJA_BREAK_LOOP:
        run->jump = TUFF_JINJA_BREAK;
        return true;
    case TUFF_JINJA_NEXT_TURN:
        run->jump = TUFF_JINJA_CONTINUE;
        return true;
    default:
        return tuff_jinja_fail(run, "this is no statement");
    }
}

bool tuff_jinja_execute(tuff_jinja_run *run, const tuff_jinja_node *list)
{
    bool good = tuff_jinja_enter(run);
    for (const tuff_jinja_node *node = list; node && good && run->jump == TUFF_JINJA_GOES_ON;
         node = node->next) {
        run->line = node->line;
        good = tuff_jinja_spend(run, 1) && one(run, node);
    }
    tuff_jinja_leave(run);
    return good;
}

tuff_status tuff_jinja_render(tuff_jinja_run *run, tuff_view *out_text, const tuff_jinja_span **out_spans,
                              size_t *out_count)
{
    *out_text = (tuff_view){0};
    *out_spans = NULL;
    *out_count = 0;
    if (!tuff_jinja_scope_push(run) || !tuff_jinja_execute(run, run->template->body)) return run->status;
    *out_text = (tuff_view){run->out.size ? run->out.data : "", run->out.size};
    *out_spans = run->spans;
    *out_count = run->span_count;
    return TUFF_OK;
}
