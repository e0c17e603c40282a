#include "conform/select.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/structs.h"
#include "base/text.h"
#include "conform/masks.h"
#include "conform/patterns.h"
#include "conform/runner.h"
#include "ir/op.h"

void tuff_selection_free(tuff_selection *s)
{
    tuff_free(s->family);
    tuff_free(s->cases);
    *s = (tuff_selection){0};
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

static bool matches_family(tuff_pattern p)
{
    bool soak;
    const tuff_case_family *family;
    for (size_t f = 0; (family = family_at(f, &soak)) != NULL; f++)
        if (tuff_glob(p.text, p.size, family->name)) return true;
    return false;
}

/* A name that is a family's means its table, not every graph with such a node. */
static bool graph_has_op(const tuff_graph *g, const char *ops)
{
    tuff_pattern p;
    while (tuff_next_pattern(&ops, &p))
        for (size_t i = 0; i < g->n_nodes && !matches_family(p); i++)
            if (tuff_glob(p.text, p.size, tuff_op_name(g->nodes[i]->op))) return true;
    return false;
}

/* A case is of an operation when its graph, gradients included, has one. */
static tuff_status uses_op(const tuff_case *c, const char *ops, bool *out)
{
    tuff_build_options options = {.backward = true, .no_data = true};
    tuff_case_run *run = NULL;
    tuff_status status = tuff_case_build(c, &options, &run);
    *out = status == TUFF_OK && graph_has_op(run->graph, ops);
    tuff_case_destroy(&run);
    return status;
}

static tuff_status has_gradients(const tuff_case *c, bool *out)
{
    tuff_build_options options = {.backward = true, .no_data = true};
    tuff_case_run *run = NULL;
    tuff_status status = tuff_case_build(c, &options, &run);
    *out = status == TUFF_OK && run->n_checks > run->n_results;
    tuff_case_destroy(&run);
    return status;
}

/* A pattern that stands for nothing is a mistake: it must not make a run smaller than was meant. */
static tuff_status check_ops(const char *ops)
{
    tuff_pattern p;
    while (tuff_next_pattern(&ops, &p)) {
        bool known = matches_family(p);
        for (int op = 0; op < TUFF_OP_COUNT && !known; op++)
            known = tuff_glob(p.text, p.size, tuff_op_name((tuff_op)op));
        if (known) continue;
        tuff_buf all = {0};
        bool soak;
        const tuff_case_family *family;
        for (size_t f = 0; (family = family_at(f, &soak)) != NULL; f++)
            tuff_buf_printf(&all, "%s%s", f > 0 ? ", " : "", family->name);
        tuff_status status = tuff_fail(TUFF_NOT_FOUND, "no operation is called \"%.*s\"; the families are %s",
                                       (int)p.size, p.text, all.data != NULL ? all.data : "");
        tuff_buf_free(&all);
        return status;
    }
    return TUFF_OK;
}

static tuff_status check_names(const char *names)
{
    tuff_pattern p;
    while (tuff_next_pattern(&names, &p)) {
        bool known = false, soak;
        const tuff_case_family *family;
        for (size_t f = 0; (family = family_at(f, &soak)) != NULL && !known; f++)
            for (size_t i = 0; i < family->n_cases && !known; i++)
                known = tuff_glob(p.text, p.size, family->cases[i].name);
        if (!known)
            return tuff_fail(
                TUFF_NOT_FOUND,
                "no case is called \"%.*s\"; \"tuff conform --list --level soak\" names them all",
                (int)p.size, p.text);
    }
    return TUFF_OK;
}

/* By name alone: another version's shard of the same number runs the same cases. */
static bool in_shard(uint32_t shard, uint32_t shards, const char *name)
{
    return shards == 0 || tuff_fnv1a(name, strlen(name)) % shards == shard - 1;
}

static tuff_status is_selected(const tuff_conform_params *params, const tuff_case *c, bool whole_family,
                               bool *out)
{
    *out = false;
    if (params->name != NULL && !tuff_patterns_match(params->name, c->name)) return TUFF_OK;
    if (tuff_patterns_match(params->exclude, c->name) || !in_shard(params->shard, params->shards, c->name))
        return TUFF_OK;
    *out = true;
    if (!whole_family) TUFF_TRY(uses_op(c, params->ops, out));
    return *out && params->backward_only ? has_gradients(c, out) : TUFF_OK;
}

static tuff_status select_family(const tuff_conform_params *params, const tuff_case_family *family, bool soak,
                                 tuff_selection *out)
{
    bool by_op = params->ops != NULL && tuff_patterns_match(params->ops, family->name);
    bool whole = params->ops == NULL || by_op;
    for (size_t i = 0; i < family->n_cases; i++) {
        const tuff_case *c = &family->cases[i];
        /* soak has cases of its own: at other levels they are run only where they or their family are named
         */
        if (soak && params->level != TUFF_CONFORM_SOAK && !by_op && params->name == NULL) continue;
        bool selected;
        TUFF_TRY(is_selected(params, c, whole, &selected));
        if (!selected) continue;
        out->family[out->n] = family;
        out->cases[out->n++] = c;
    }
    return TUFF_OK;
}

tuff_status tuff_select_cases(const tuff_conform_params *params, tuff_selection *out)
{
    *out = (tuff_selection){0};
    if (params->shards > 0 && (params->shard == 0 || params->shard > params->shards))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "there is no shard %u of %u; they are 1 to %u", params->shard,
                         params->shards, params->shards);
    TUFF_TRY(check_ops(params->ops));
    TUFF_TRY(check_names(params->name));
    TUFF_TRY(check_names(params->exclude));
    TUFF_TRY(check_names(params->expect_fail));
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
    tuff_status status = TUFF_OK;
    for (size_t f = 0; status == TUFF_OK && (family = family_at(f, &soak)) != NULL; f++)
        status = select_family(params, family, soak, out);
    if (status != TUFF_OK) {
        tuff_selection_free(out);
        return status;
    }
    if (out->n > 0 || params->shards > 0) return TUFF_OK; /* a shard may be empty */
    tuff_selection_free(out);
    return tuff_fail(TUFF_NOT_FOUND,
                     "no case is left by what was asked for%s; \"tuff conform --list\" names the cases",
                     params->backward_only ? " (cases that check gradients)" : "");
}

bool tuff_was_asked_for(const tuff_asked *asked, tuff_conform_level level, const char *name)
{
    char family[64];
    snprintf(family, sizeof family, "%.*s", (int)strcspn(name, "."), name);
    if (*asked->name != '\0' && !tuff_patterns_match(asked->name, name)) return false;
    if (*asked->ops != '\0' && !tuff_patterns_match(asked->ops, family)) return false;
    if (tuff_patterns_match(asked->exclude, name)) return false;
    bool soak = strcmp(family, tuff_family_large_graphs.name) == 0,
         named = *asked->name != '\0' || *asked->ops != '\0';
    return in_shard(asked->shard, asked->shards, name) && (!soak || named || level == TUFF_CONFORM_SOAK);
}

tuff_status tuff_conform_list(const tuff_conform_params *params, tuff_conform_case ***out_cases,
                              size_t *out_count)
{
    TUFF_NEED_OUT(out_cases);
    TUFF_NEED_OUT(out_count);
    tuff_conform_params p = TUFF_CONFORM_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_CONFORM_PARAMS_INIT, record));
    tuff_mask mask;
    if (p.mask != NULL) TUFF_TRY(tuff_mask_parse(p.mask, &mask));
    tuff_selection s;
    TUFF_TRY(tuff_select_cases(&p, &s));
    /* One block: the pointers, then what they point to. */
    tuff_conform_case **cases = tuff_alloc_array(s.n + 1, sizeof *cases + sizeof **cases);
    if (cases == NULL) {
        tuff_selection_free(&s);
        return tuff_fail_memory("the list of cases");
    }
    for (size_t i = 0; i < s.n; i++) {
        cases[i] = (tuff_conform_case *)(cases + s.n) + i;
        *cases[i] = (tuff_conform_case){.family = s.family[i]->name,
                                        .name = s.cases[i]->name,
                                        .held = true,
                                        .verdict = "",
                                        .message = "",
                                        .listed = tuff_patterns_match(p.expect_fail, s.cases[i]->name)};
    }
    *out_cases = cases;
    *out_count = s.n;
    tuff_selection_free(&s);
    return TUFF_OK;
}
