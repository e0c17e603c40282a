/* DoRA (Liu et al. 2024): LoRA's W + scale B A with rows of unit length, times magnitudes that are trained.
 * The lengths count as constants to gradients, as in PEFT. */
#include <math.h>

#include "adapters/lora.h"
#include "base/memory.h"

/* Of a module: the squared lengths of W's rows, for adapters that are trained, whose lengths the graph
 * computes; and what rows of an adapter from files are multiplied with. */
enum { SQUARES, FACTORS, FIXED };

enum { PIECE = 1 << 20 }; /* numbers of W that are read at once */

tuff_status tuff_dora_add(tuff_adapter *a, tuff_lora_module *m)
{
    m->fixed = a->fixed_count;
    TUFF_TRY(tuff_adapter_add_fixed(a, tuff_arena_printf(&a->arena, "dora.squares.%s", m->name),
                                    m->param->shape[0], 0));
    return tuff_adapter_add_fixed(a, tuff_arena_printf(&a->arena, "dora.factors.%s", m->name),
                                  m->param->shape[0], 0);
}

/* Lengths of the rows of W, or, of an adapter from files, of W + scale B A. */
static tuff_status lengths(const tuff_adapter *a, const tuff_lora_module *m, bool adapted, double *out)
{
    const int64_t all = m->param->shape[0], columns = m->param->shape[1];
    /* a transposed file is read whole each time */
    const int64_t step = m->param->hf.layout == TUFF_LAYOUT_TRANSPOSED ? all : PIECE / columns + 1;
    float *rows = tuff_alloc_array((size_t)((step < all ? step : all) * columns), sizeof *rows);
    tuff_status status = rows ? TUFF_OK : tuff_fail_memory("rows of a weight");
    for (int64_t r = 0, end; r < all && status == TUFF_OK; r = end) {
        end = r + step < all ? r + step : all;
        status = tuff_model_read(a->model, m->param, NULL, r, end, rows);
        if (status == TUFF_OK && adapted) status = tuff_lora_rows(a, m, r, end, rows, out + r);
        for (int64_t i = r; !adapted && i < end && status == TUFF_OK; i++) {
            const float *row = rows + (i - r) * columns;
            double square = 0;
            for (int64_t k = 0; k < columns; k++)
                square += (double)row[k] * row[k];
            out[i] = sqrt(square);
        }
    }
    tuff_free(rows);
    return status;
}

/* Calls lengths() and makes `values` of them: the lengths, their squares, or magnitudes over them. */
static tuff_status with_lengths(const tuff_adapter *a, const tuff_lora_module *m, bool squares, bool factors,
                                float *values)
{
    const int64_t n = m->param->shape[0];
    double *all = tuff_alloc_array((size_t)n, sizeof *all);
    tuff_status status = all ? lengths(a, m, factors, all) : tuff_fail_memory("lengths of rows");
    if (status == TUFF_OK && factors) status = tuff_adapter_read(a, m->first + 2, 0, 1, values);
    for (int64_t i = 0; i < n && status == TUFF_OK; i++)
        values[i] = (float)(factors ? values[i] / all[i] : squares ? all[i] * all[i] : all[i]);
    tuff_free(all);
    return status;
}

tuff_status tuff_dora_start(const tuff_adapter *a, const tuff_lora_module *m, float *values)
{
    return with_lengths(a, m, false, false, values);
}

tuff_status tuff_dora_fill(const tuff_adapter *a, size_t index, float *values)
{
    const tuff_lora *l = a->own;
    const tuff_lora_module *m = &l->modules[index / FIXED];
    const bool factors = index % FIXED == FACTORS;
    return factors && !a->weights ? TUFF_OK : with_lengths(a, m, true, factors, values);
}

/* 1 over the lengths of the rows of W + scale B A: from W's own, and the products of all with A and B, so
 * that no matrix of W's size is made. */
static tuff_tensor *inverse_lengths(const tuff_adapter *adapter, tuff_net *net, const tuff_lora_module *m,
                                    tuff_tensor *w)
{
    tuff_graph *g = net->g;
    tuff_tensor *a = tuff_detach(g, tuff_adapter_variable(adapter, net, m->first)),
                *b = tuff_detach(g, tuff_adapter_variable(adapter, net, m->first + 1)),
                *own = tuff_adapter_fixed(adapter, net, m->fixed + SQUARES),
                *mixed = tuff_transpose(g, tuff_matmul_of(g, a, tuff_transpose(g, w), TUFF_F32)),
                *product =
                    tuff_matmul_of(g, b, tuff_matmul_of(g, a, tuff_transpose(g, a), TUFF_F32), TUFF_F32);
    tuff_tensor *inner =
        tuff_add(g, tuff_scale(g, mixed, 2 * m->scale), tuff_scale(g, product, m->scale * m->scale));
    return tuff_rsqrt(g, tuff_add(g, own, tuff_sum(g, tuff_mul(g, b, inner), 2, false)));
}

tuff_tensor *tuff_dora_linear(const tuff_adapter *adapter, tuff_net *net, const tuff_lora_module *m,
                              tuff_tensor *dropped, tuff_tensor *w, tuff_tensor *y, tuff_tensor *low)
{
    tuff_graph *g = net->g;
    tuff_tensor *bias = tuff_graph_leaf(g, tuff_net_name(net, "%s.bias", m->name)), *factors, *base = y;
    if (!adapter->training && adapter->weights) {
        factors = tuff_adapter_fixed(adapter, net, m->fixed + FACTORS);
    } else {
        tuff_tensor *magnitudes = tuff_adapter_variable(adapter, net, m->first + 2);
        factors = tuff_mul(g, magnitudes, inverse_lengths(adapter, net, m, w));
    }
    if (dropped) { /* what LoRA is given; the layer's own output, of all, stays beside it */
        const int64_t n = m->param->shape[0];
        tuff_tensor *more = tuff_sub(g, factors, tuff_fill(g, 1, 1, &n));
        base = tuff_mul(g, tuff_matmul(g, dropped, tuff_transpose(g, w)), more);
        return tuff_add(g, y, tuff_add(g, base, tuff_mul(g, low, factors)));
    }
    if (bias) base = tuff_sub(g, y, bias);
    tuff_tensor *all = tuff_mul(g, tuff_add(g, base, low), factors);
    return bias ? tuff_add(g, all, bias) : all;
}
