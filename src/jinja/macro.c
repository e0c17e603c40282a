/* Macros, and calls of whatever can be called. */
#include "jinja/run.h"

struct tuff_jinja_macro {
    const tuff_jinja_node *node;
    tuff_jinja_scope *scope; /* where it was defined */
};

bool tuff_jinja_macro_new(tuff_jinja_run *run, const tuff_jinja_node *node, tuff_jinja_value *out)
{
    tuff_jinja_macro *macro = tuff_jinja_alloc(run, sizeof *macro);
    if (!macro) return false;
    *macro = (tuff_jinja_macro){node, run->scope};
    *out = (tuff_jinja_value){.kind = TUFF_JINJA_MACRO, .as.macro = macro};
    return true;
}

/* Arguments to the macro's parameters, in its scope; what is left over goes to varargs and kwargs where the
 * macro names them. */
static bool bind(tuff_jinja_run *run, const tuff_jinja_node *node, const tuff_jinja_args *args)
{
    size_t at = 0;
    bool takes_caller = false;
    for (const tuff_jinja_node *one_of = node->a; one_of; one_of = one_of->next, at++) {
        tuff_jinja_value value = {0};
        takes_caller |= one_of->name == run->template->caller;
        if (at < args->count) value = args->items[at];
        for (size_t i = 0; i < args->named_count; i++) {
            if (args->named[i].name != one_of->name) continue;
            if (at < args->count) return tuff_jinja_fail(run, "a macro is given an argument twice");
            value = args->named[i].value;
        }
        if (value.kind == TUFF_JINJA_MISSING && one_of->a && !tuff_jinja_eval(run, one_of->a, &value))
            return false;
        if (value.kind == TUFF_JINJA_MISSING) {
            value = tuff_jinja_view(run->template->names[one_of->name]);
            value.kind = TUFF_JINJA_UNDEFINED;
        }
        if (!tuff_jinja_scope_set(run, one_of->name, value)) return false;
    }
    tuff_jinja_list *rest = tuff_jinja_list_new(run, args->count > at ? args->count - at : 0);
    tuff_jinja_dict *named = tuff_jinja_dict_new(run);
    if (!rest || !named) return false;
    for (size_t i = at; i < args->count; i++)
        rest->items[rest->count++] = args->items[i];
    for (size_t i = 0; i < args->named_count; i++) {
        const uint32_t name = args->named[i].name;
        bool known = false;
        for (const tuff_jinja_node *one_of = node->a; one_of; one_of = one_of->next)
            known |= one_of->name == name;
        if (known) continue;
        if (name == run->template->caller && node->uses_caller && !takes_caller) {
            if (!tuff_jinja_scope_set(run, name, args->named[i].value)) return false;
            continue;
        }
        if (!node->uses_kwargs)
            return tuff_jinja_fail(run, "a macro has no parameter '%.*s'",
                                   (int)run->template->names[name].size, run->template->names[name].data);
        if (!tuff_jinja_dict_put(run, named, tuff_jinja_view(run->template->names[name]),
                                 args->named[i].value))
            return false;
    }
    if (rest->count && !node->uses_varargs)
        return tuff_jinja_fail(run, "a macro is called with %zu arguments and takes %zu", args->count, at);
    if (node->uses_varargs &&
        !tuff_jinja_scope_set(run, run->template->varargs, tuff_jinja_list_value(TUFF_JINJA_TUPLE, rest)))
        return false;
    return !node->uses_kwargs ||
           tuff_jinja_scope_set(run, run->template->kwargs, tuff_jinja_dict_value(TUFF_JINJA_DICT, named));
}

static bool call_macro(tuff_jinja_run *run, const tuff_jinja_macro *macro, const tuff_jinja_args *args,
                       tuff_jinja_value *out)
{
    tuff_jinja_scope *scope = run->scope;
    run->scope = macro->scope;
    const bool good = tuff_jinja_scope_push(run) && bind(run, macro->node, args) &&
                      tuff_jinja_print_text(run, macro->node->c, out);
    run->scope = scope;
    return good;
}

bool tuff_jinja_call(tuff_jinja_run *run, const tuff_jinja_value *function, const tuff_jinja_args *args,
                     tuff_jinja_value *out)
{
    switch ((tuff_jinja_kind)function->kind) {
    case TUFF_JINJA_MACRO:
        return call_macro(run, function->as.macro, args, out);
    case TUFF_JINJA_FUNCTION:
        return tuff_jinja_call_global(run, function->as.function, args, out);
    case TUFF_JINJA_METHOD:
        return tuff_jinja_call_method(run, function->as.method, args, out);
    case TUFF_JINJA_LOOP:
        return tuff_jinja_call_loop(run, function->as.loop, args, out);
    case TUFF_JINJA_UNDEFINED:
        return tuff_jinja_fail_undefined(run, function);
    default:
        return tuff_jinja_fail(run, "a %s is called, which is no function", tuff_jinja_type(function));
    }
}
