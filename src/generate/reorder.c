/* Copies between slots of the KV cache, for searches whose texts part and take each other's place. */
#include <string.h>

#include "base/memory.h"
#include "generate/runner.h"
#include "models/model.h"
#include "models/net.h"
#include "runtime/program.h"

/* What a program is made for; `what` tells it from those that run the model. */
typedef struct shape {
    int64_t what, rows, all_rows;
} shape;

typedef struct building {
    const tuff_runner *runner;
    int64_t rows; /* that are copied, at most */
} building;

/* Of one tensor of the cache, [H, all rows, D]: rows `from` [N, H], counted over all heads, come to rows `to`
 * [N]. What is read is what was there before. */
static void copy_rows(tuff_graph *g, tuff_tensor *cache, tuff_tensor *from, tuff_tensor *to)
{
    const int64_t d = tuff_tensor_dim(cache, 2);
    tuff_tensor *rows = tuff_embedding(g, tuff_reshape(g, cache, 2, (int64_t[]){-1, d}), from, NULL);
    tuff_kv_write(g, tuff_permute(g, cache, (int[]){1, 0, 2}), rows, to);
}

static tuff_status build(void *user, tuff_graph *g)
{
    const building *b = user;
    const tuff_config *c = &b->runner->model->config;
    const int64_t dims[] = {c->kv_heads, b->runner->slots * b->runner->capacity, c->head_dim};
    tuff_net net = {.g = g, .config = c};
    tuff_tensor *from = tuff_input(g, "from", TUFF_I32, 2, (int64_t[]){b->rows, c->kv_heads});
    tuff_tensor *to = tuff_input(g, "to", TUFF_I32, 1, &b->rows);
    for (int i = 0; i < (int)c->layers; i++)
        for (int which = 0; which < 2; which++)
            copy_rows(g,
                      tuff_variable(g, tuff_net_name(&net, "cache.%c.%d", "kv"[which], i),
                                    b->runner->cache_dtype, 3, dims),
                      from, to);
    return tuff_graph_status(g);
}

static int64_t rows_of(const tuff_runner *r, const tuff_move *move)
{
    return move->end - move->begin + (move->begin ? 0 : r->virtual_tokens);
}

/* Rows of all moves, those of virtual tokens where they are of a whole slot. What is left is not written. */
static void fill(const tuff_runner *r, const tuff_move *moves, size_t n, int64_t most, int32_t *from,
                 int32_t *to)
{
    const int64_t heads = r->model->config.kv_heads, all = r->slots * r->capacity;
    int64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const int64_t first = moves[i].begin ? r->virtual_tokens + moves[i].begin : 0;
        for (int64_t k = 0; k < rows_of(r, &moves[i]); k++, at++) {
            for (int64_t h = 0; h < heads; h++)
                from[at * heads + h] = (int32_t)(h * all + moves[i].from * r->capacity + first + k);
            to[at] = (int32_t)(moves[i].to * r->capacity + first + k);
        }
    }
    for (; at < most; at++)
        to[at] = -1;
}

tuff_status tuff_runner_move(tuff_runner *r, const tuff_move *moves, size_t n, tuff_watched *work)
{
    const int64_t heads = r->model->config.kv_heads;
    int64_t rows = 0, most = 16;
    for (size_t i = 0; i < n; i++)
        rows += rows_of(r, &moves[i]);
    if (rows == 0) return TUFF_OK;
    while (most < rows)
        most *= 2;
    if (r->slots * r->capacity > INT32_MAX / heads)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "a search with %lld beams of %lld positions needs more rows of keys than %d; take fewer "
            "beams or a shorter text",
            (long long)r->slots, (long long)r->capacity, INT32_MAX);
    const shape key = {.what = -1, .rows = most, .all_rows = r->slots * r->capacity};
    building b = {r, most};
    tuff_program *program = NULL;
    TUFF_TRY(
        tuff_session_program(r->session, &key, sizeof key, build, &b, work ? work->watch : NULL, &program));
    int32_t *words = tuff_alloc_array((size_t)(most * (heads + 1)), sizeof *words);
    if (!words) return tuff_fail_memory("the rows of a search");
    int32_t *to = words + most * heads;
    fill(r, moves, n, most, words, to);
    tuff_status status = tuff_program_input(program, "from", words, (size_t)(most * heads) * sizeof *words);
    if (status == TUFF_OK) status = tuff_program_input(program, "to", to, (size_t)most * sizeof *to);
    tuff_free(words);
    return status == TUFF_OK ? tuff_program_run_until(program, work, false) : status;
}
