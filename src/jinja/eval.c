/* Expressions to values. */
#include <string.h>

#include "jinja/run.h"

static bool eval_items(tuff_jinja_run *run, const tuff_jinja_node *first, tuff_jinja_kind kind,
                       tuff_jinja_value *out)
{
    tuff_jinja_list *list = tuff_jinja_list_new(run, 0);
    if (!list) return false;
    for (const tuff_jinja_node *one = first; one; one = one->next) {
        tuff_jinja_value item;
        if (!tuff_jinja_eval(run, one, &item) || !tuff_jinja_list_add(run, list, item)) return false;
    }
    *out = tuff_jinja_list_value(kind, list);
    return true;
}

static bool eval_dict(tuff_jinja_run *run, const tuff_jinja_node *first, tuff_jinja_value *out)
{
    tuff_jinja_dict *dict = tuff_jinja_dict_new(run);
    if (!dict) return false;
    for (const tuff_jinja_node *one = first; one; one = one->next->next) {
        tuff_jinja_value key, value;
        if (!tuff_jinja_eval(run, one, &key) || !tuff_jinja_eval(run, one->next, &value) ||
            !tuff_jinja_dict_put(run, dict, key, value))
            return false;
    }
    *out = tuff_jinja_dict_value(TUFF_JINJA_DICT, dict);
    return true;
}

static bool eval_attribute(tuff_jinja_run *run, const tuff_jinja_node *node, tuff_jinja_value *out)
{
    tuff_jinja_value of;
    if (!tuff_jinja_eval(run, node->a, &of)) return false;
    run->line = node->line;
    return tuff_jinja_attribute(run, &of, node->text, out);
}

static bool eval_item(tuff_jinja_run *run, const tuff_jinja_node *node, tuff_jinja_value *out)
{
    tuff_jinja_value of, key;
    if (!tuff_jinja_eval(run, node->a, &of) || !tuff_jinja_eval(run, node->b, &key)) return false;
    run->line = node->line;
    return tuff_jinja_item(run, &of, &key, out);
}

static bool eval_slice(tuff_jinja_run *run, const tuff_jinja_node *node, tuff_jinja_value *out)
{
    tuff_jinja_value of, ends[3] = {0};
    const tuff_jinja_node *const parts[] = {node->b, node->c, node->d};
    if (!tuff_jinja_eval(run, node->a, &of)) return false;
    for (size_t i = 0; i < 3; i++)
        if (parts[i] && !tuff_jinja_eval(run, parts[i], &ends[i])) return false;
    run->line = node->line;
    return tuff_jinja_slice(run, &of, &ends[0], &ends[1], &ends[2], out);
}

static bool eval_binary(tuff_jinja_run *run, const tuff_jinja_node *node, tuff_jinja_value *out)
{
    tuff_jinja_value a, b;
    if (!tuff_jinja_eval(run, node->a, &a) || !tuff_jinja_eval(run, node->b, &b)) return false;
    run->line = node->line;
    return tuff_jinja_operate(run, (tuff_jinja_op)node->op, &a, &b, out);
}

/* "a < b < c": each side is evaluated once, and none behind the first that does not hold. */
static bool eval_compare(tuff_jinja_run *run, const tuff_jinja_node *node, tuff_jinja_value *out)
{
    tuff_jinja_value left, right;
    bool holds = true;
    if (!tuff_jinja_eval(run, node->a, &left)) return false;
    for (const tuff_jinja_node *one = node->b; one && holds; one = one->next) {
        if (!tuff_jinja_eval(run, one->a, &right)) return false;
        run->line = one->line;
        if (!tuff_jinja_relate(run, (tuff_jinja_op)one->op, &left, &right, &holds)) return false;
        left = right;
    }
    *out = tuff_jinja_bool(holds);
    return true;
}

static bool eval_concat(tuff_jinja_run *run, const tuff_jinja_node *node, tuff_jinja_value *out)
{
    tuff_jinja_value all = tuff_jinja_literal("");
    for (const tuff_jinja_node *one = node->a; one; one = one->next) {
        tuff_jinja_value part, text;
        if (!tuff_jinja_eval(run, one, &part) || !tuff_jinja_str(run, &part, &text)) return false;
        if (one == node->a)
            all = text;
        else if (!tuff_jinja_append(run, tuff_jinja_text_of(&all), tuff_jinja_text_of(&text), &all))
            return false;
    }
    *out = all;
    return true;
}

static bool add_stars(tuff_jinja_run *run, const tuff_jinja_value *value, tuff_jinja_list *items)
{
    tuff_jinja_list *more;
    if (!tuff_jinja_items(run, value, &more)) return false;
    for (size_t i = 0; i < more->count; i++)
        if (!tuff_jinja_list_add(run, items, more->items[i])) return false;
    return true;
}

/* **more: names that the template does not have go nowhere but into kwargs, which takes no such. */
static bool add_named(tuff_jinja_run *run, const tuff_jinja_value *value, tuff_jinja_named *named,
                      size_t *count)
{
    if (value->kind != TUFF_JINJA_DICT) return tuff_jinja_fail(run, "what stands behind ** is no dict");
    for (size_t i = 0; i < value->as.dict->count; i++) {
        const tuff_jinja_value *key = &value->as.dict->pairs[2 * i];
        uint32_t symbol = 0;
        if (key->kind != TUFF_JINJA_TEXT ||
            !tuff_map_get(&run->template->symbols, key->as.text, key->size, &symbol))
            return tuff_jinja_fail(run, "an argument behind ** is not known to what is called");
        named[(*count)++] = (tuff_jinja_named){symbol, value->as.dict->pairs[2 * i + 1]};
    }
    return true;
}

bool tuff_jinja_arguments(tuff_jinja_run *run, const tuff_jinja_node *first, tuff_jinja_args *out)
{
    *out = (tuff_jinja_args){0};
    if (!first) return true;
    tuff_jinja_list *items = tuff_jinja_list_new(run, 0);
    tuff_jinja_named *named = NULL;
    size_t count = 0, room = 0;
    if (!items) return false;
    for (const tuff_jinja_node *one = first; one; one = one->next) {
        tuff_jinja_value value;
        if (!tuff_jinja_eval(run, one->a, &value)) return false;
        if (one->stars == 1) {
            if (!add_stars(run, &value, items)) return false;
        } else if (!one->stars && one->name == TUFF_JINJA_NO_NAME) {
            if (!tuff_jinja_list_add(run, items, value)) return false;
        } else {
            const size_t more = value.kind == TUFF_JINJA_DICT && one->stars ? value.as.dict->count : 1;
            if (count + more > room) {
                tuff_jinja_named *larger = tuff_jinja_array(run, 2 * (count + more), sizeof *named);
                if (!larger) return false;
                if (count) memcpy(larger, named, count * sizeof *named);
                named = larger;
                room = 2 * (count + more);
            }
            if (!one->stars)
                named[count++] = (tuff_jinja_named){one->name, value};
            else if (!add_named(run, &value, named, &count))
                return false;
        }
    }
    *out = (tuff_jinja_args){items->items, items->count, named, count};
    return true;
}

static bool eval_call(tuff_jinja_run *run, const tuff_jinja_node *node, tuff_jinja_value *out)
{
    tuff_jinja_value function;
    tuff_jinja_args args;
    if (!tuff_jinja_eval(run, node->a, &function) || !tuff_jinja_arguments(run, node->b, &args)) return false;
    run->line = node->line;
    return tuff_jinja_call(run, &function, &args, out);
}

static bool eval_filter(tuff_jinja_run *run, const tuff_jinja_node *node, tuff_jinja_value *out)
{
    tuff_jinja_value value;
    tuff_jinja_args args;
    if (!tuff_jinja_eval(run, node->a, &value) || !tuff_jinja_arguments(run, node->b, &args)) return false;
    run->line = node->line;
    return tuff_jinja_filter(run, node->text, &value, &args, out);
}

static bool eval_test(tuff_jinja_run *run, const tuff_jinja_node *node, tuff_jinja_value *out)
{
    tuff_jinja_value value;
    tuff_jinja_args args;
    bool holds;
    if (!tuff_jinja_eval(run, node->a, &value) || !tuff_jinja_arguments(run, node->b, &args)) return false;
    run->line = node->line;
    if (!tuff_jinja_test(run, node->text, &value, &args, &holds)) return false;
    *out = tuff_jinja_bool(holds);
    return true;
}

/* `and` and `or` give one of their sides. */
static bool eval_logic(tuff_jinja_run *run, const tuff_jinja_node *node, tuff_jinja_value *out)
{
    if (!tuff_jinja_eval(run, node->a, out)) return false;
    if (tuff_jinja_truth(out) == (node->kind == TUFF_JINJA_OR)) return true;
    return tuff_jinja_eval(run, node->b, out);
}

static bool eval_choice(tuff_jinja_run *run, const tuff_jinja_node *node, tuff_jinja_value *out)
{
    if (!tuff_jinja_eval(run, node->a, out)) return false;
    if (tuff_jinja_truth(out)) return tuff_jinja_eval(run, node->b, out);
    if (node->c) return tuff_jinja_eval(run, node->c, out);
    *out = tuff_jinja_literal("the value of an 'if' without 'else'");
    out->kind = TUFF_JINJA_UNDEFINED;
    return true;
}

static bool eval_not(tuff_jinja_run *run, const tuff_jinja_node *node, tuff_jinja_value *out)
{
    if (!tuff_jinja_eval(run, node->a, out)) return false;
    *out = tuff_jinja_bool(!tuff_jinja_truth(out));
    return true;
}

static bool eval_sign(tuff_jinja_run *run, const tuff_jinja_node *node, tuff_jinja_value *out)
{
    tuff_jinja_value value;
    if (!tuff_jinja_eval(run, node->a, &value)) return false;
    run->line = node->line;
    return tuff_jinja_negate(run, node->op == TUFF_JINJA_SUB, &value, out);
}

static bool eval(tuff_jinja_run *run, const tuff_jinja_node *node, tuff_jinja_value *out)
{
    switch ((tuff_jinja_node_kind)node->kind) {
    case TUFF_JINJA_CONST:
        *out = node->value;
        return true;
    case TUFF_JINJA_NAME:
        *out = tuff_jinja_lookup(run, node->name);
        return true;
    case TUFF_JINJA_LIST_OF:
        return eval_items(run, node->a, TUFF_JINJA_LIST, out);
    case TUFF_JINJA_TUPLE_OF:
        return eval_items(run, node->a, TUFF_JINJA_TUPLE, out);
    case TUFF_JINJA_DICT_OF:
        return eval_dict(run, node->a, out);
    case TUFF_JINJA_ATTRIBUTE:
        return eval_attribute(run, node, out);
    case TUFF_JINJA_ITEM:
        return eval_item(run, node, out);
    case TUFF_JINJA_SLICE:
        return eval_slice(run, node, out);
    case TUFF_JINJA_CALL:
        return eval_call(run, node, out);
    case TUFF_JINJA_FILTER:
        return eval_filter(run, node, out);
    case TUFF_JINJA_TEST:
        return eval_test(run, node, out);
    case TUFF_JINJA_NOT:
        return eval_not(run, node, out);
    case TUFF_JINJA_SIGN:
        return eval_sign(run, node, out);
    case TUFF_JINJA_BINARY:
        return eval_binary(run, node, out);
    case TUFF_JINJA_COMPARE:
        return eval_compare(run, node, out);
    case TUFF_JINJA_AND:
    case TUFF_JINJA_OR:
        return eval_logic(run, node, out);
    case TUFF_JINJA_CONCAT:
        return eval_concat(run, node, out);
    case TUFF_JINJA_CHOOSE:
        return eval_choice(run, node, out);
    default:
        return tuff_jinja_fail(run, "this is no expression");
    }
}

bool tuff_jinja_eval(tuff_jinja_run *run, const tuff_jinja_node *node, tuff_jinja_value *out)
{
    run->line = node->line;
    const bool good = tuff_jinja_enter(run) && tuff_jinja_spend(run, 1) && eval(run, node, out);
    tuff_jinja_leave(run);
    return good;
}
