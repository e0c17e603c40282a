/* ALiBi: attention's bias by distance, as a table of a column for each distance that a context can have: no
 * distance is past its first one. */
#include <math.h>

#include "base/memory.h"
#include "models/model.h"
#include "models/net.h"

static const char table_name[] = "alibi"; /* f32 [heads, positions], the last column a token's own */

static float to_bf16(float x)
{
    uint16_t half;
    tuff_dtype_from_f32(TUFF_BF16, &x, &half, 1);
    tuff_dtype_to_f32(TUFF_BF16, &half, &x, 1);
    return x;
}

/* Heads up to a power of two share the range of exponents evenly; those past it lie between, every second
 * step of twice as many. */
static float slope(const tuff_config *c, int64_t head)
{
    int64_t even = 1;
    while (2 * even <= c->heads)
        even *= 2;
    double step = c->alibi.most / (double)even;
    double power = head < even ? (double)(head + 1) * step : ((double)(head - even) + 0.5) * step;
    float found = (float)pow(2, -power);
    return c->alibi.bf16 ? to_bf16(found) : found;
}

tuff_tensor *tuff_net_alibi(tuff_net *net, int64_t *out_zero)
{
    const int64_t table[] = {net->config->heads, net->rope_positions};
    *out_zero = net->rope_positions - 1;
    tuff_tensor *x = tuff_graph_leaf(net->g, table_name);
    return x ? x : tuff_variable(net->g, table_name, TUFF_F32, 2, table);
}

tuff_status tuff_alibi_upload(const tuff_config *c, int64_t positions, tuff_store *store)
{
    const double scale = c->alibi.scale != 0 ? c->alibi.scale : 1;
    tuff_buffer *buffer = NULL;
    TUFF_TRY(tuff_store_add(store, table_name, TUFF_F32, 2, (int64_t[]){c->heads, positions}, &buffer));
    float *row = tuff_alloc_array((size_t)positions, sizeof *row);
    if (!row) return tuff_fail_memory("attention's bias by distance");
    tuff_status status = TUFF_OK;
    for (int64_t head = 0; head < c->heads && status == TUFF_OK; head++) {
        const double fall = scale * (double)slope(c, head);
        for (int64_t i = 0; i < positions; i++)
            row[i] = (float)(fall * (double)(i - (positions - 1)));
        status = tuff_buffer_write(buffer, head * positions, row, positions);
    }
    tuff_free(row);
    return status;
}
