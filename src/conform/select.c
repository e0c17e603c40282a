#include "conform/select.h"

#include <string.h>

#include "base/text.h"
#include "conform/runner.h"
#include "ir/op.h"

void tuff_selection_free(tuff_selection *s)
{
    tuff_free(s->family);
    tuff_free(s->cases);
    *s = (tuff_selection){0};
}

/* Calls fn for each of the names separated by commas until it gives true. */
static bool any_name(const char *names, bool (*fn)(const char *name, size_t size, const void *context),
                     const void *context)
{
    for (const char *at = names; *at != '\0';) {
        size_t size = strcspn(at, ",");
        if (size > 0 && fn(at, size, context)) return true;
        at += size;
        if (*at == ',') at++;
    }
    return false;
}

static bool is_text(const char *name, size_t size, const void *text)
{
    return strlen(text) == size && memcmp(text, name, size) == 0;
}

/* All families, those of soak last; NULL past the end. */
static const tuff_case_family *family_at(size_t index, bool *out_soak)
{
    size_t n = 0;
    while (tuff_case_families[n] != NULL)
        n++;
    *out_soak = index >= n;
    return index < n ? tuff_case_families[index] : index == n ? &tuff_family_large_graphs : NULL;
}

static bool is_family(const char *name, size_t size)
{
    bool soak;
    const tuff_case_family *family;
    for (size_t f = 0; (family = family_at(f, &soak)) != NULL; f++)
        if (is_text(name, size, family->name)) return true;
    return false;
}

/* A name that is a family's means its table, not every graph with such a node. */
static bool graph_has_op(const char *name, size_t size, const void *context)
{
    const tuff_graph *g = context;
    if (is_family(name, size)) return false;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (is_text(name, size, tuff_op_name(g->nodes[i]->op))) return true;
    return false;
}

/* A case is of an operation when its graph, gradients included, has one. */
static bool uses_op(const tuff_case *c, const char *ops)
{
    tuff_build_options options = {.backward = true, .no_data = true};
    tuff_case_run *run = NULL;
    bool found = tuff_case_build(c, &options, &run) == TUFF_OK && any_name(ops, graph_has_op, run->graph);
    tuff_case_destroy(&run);
    return found;
}

static bool has_gradients(const tuff_case *c)
{
    tuff_build_options options = {.backward = true, .no_data = true};
    tuff_case_run *run = NULL;
    bool found = tuff_case_build(c, &options, &run) == TUFF_OK && run->n_checks > run->n_results;
    tuff_case_destroy(&run);
    return found;
}

static bool is_known(const char *name, size_t size)
{
    for (int op = 0; op < TUFF_OP_COUNT; op++)
        if (is_text(name, size, tuff_op_name((tuff_op)op))) return true;
    return is_family(name, size);
}

static bool is_unknown(const char *name, size_t size, const void *context)
{
    (void)context;
    if (is_known(name, size)) return false;
    tuff_buf all = {0};
    bool soak;
    const tuff_case_family *family;
    for (size_t f = 0; (family = family_at(f, &soak)) != NULL; f++)
        tuff_buf_printf(&all, "%s%s", f > 0 ? ", " : "", family->name);
    (void)tuff_fail(TUFF_NOT_FOUND, "no operation is called \"%.*s\"; the families are %s", (int)size, name,
                    all.data != NULL ? all.data : "");
    tuff_buf_free(&all);
    return true;
}

tuff_status tuff_select_cases(const tuff_conform_params *params, tuff_selection *out)
{
    *out = (tuff_selection){0};
    if (params->ops != NULL && any_name(params->ops, is_unknown, NULL)) return TUFF_NOT_FOUND;
    size_t capacity = 0;
    bool soak;
    const tuff_case_family *family;
    for (size_t f = 0; (family = family_at(f, &soak)) != NULL; f++)
        capacity += family->n_cases;
    out->family = tuff_alloc_array(capacity, sizeof *out->family);
    out->cases = tuff_alloc_array(capacity, sizeof *out->cases);
    if (out->family == NULL || out->cases == NULL) {
        tuff_selection_free(out);
        return tuff_fail_memory("the list of cases");
    }
    for (size_t f = 0; (family = family_at(f, &soak)) != NULL; f++) {
        bool named = params->ops != NULL && any_name(params->ops, is_text, family->name);
        bool whole = params->ops == NULL || named;
        if (soak && params->level != TUFF_CONFORM_SOAK && !named) continue;
        for (size_t i = 0; i < family->n_cases; i++) {
            const tuff_case *c = &family->cases[i];
            if (params->name != NULL && strcmp(params->name, c->name) != 0) continue;
            if (!whole && !uses_op(c, params->ops)) continue;
            if (params->backward_only && !has_gradients(c)) continue;
            out->family[out->n] = family;
            out->cases[out->n++] = c;
        }
    }
    if (out->n > 0) return TUFF_OK;
    tuff_selection_free(out);
    if (params->name == NULL)
        return tuff_fail(TUFF_NOT_FOUND, "no case of %s%s", params->ops != NULL ? params->ops : "the suite",
                         params->backward_only ? " checks gradients" : "");
    return tuff_fail(TUFF_NOT_FOUND, "no case%s%s is called \"%s\"; \"tuff conform --list\" names them",
                     params->ops != NULL ? " of " : "", params->ops != NULL ? params->ops : "", params->name);
}

tuff_status tuff_conform_list(const tuff_conform_params *params, tuff_conform_case **out_cases,
                              size_t *out_count)
{
    *out_cases = NULL;
    *out_count = 0;
    tuff_selection s;
    TUFF_TRY(tuff_select_cases(params, &s));
    tuff_conform_case *cases = tuff_alloc_array(s.n, sizeof *cases);
    if (cases == NULL) {
        tuff_selection_free(&s);
        return tuff_fail_memory("the list of cases");
    }
    for (size_t i = 0; i < s.n; i++)
        cases[i] = (tuff_conform_case){.family = s.family[i]->name,
                                       .name = s.cases[i]->name,
                                       .held = true,
                                       .verdict = "",
                                       .message = ""};
    *out_cases = cases;
    *out_count = s.n;
    tuff_selection_free(&s);
    return TUFF_OK;
}

void tuff_conform_list_free(tuff_conform_case **cases)
{
    tuff_free(*cases);
    *cases = NULL;
}
