/* The layers of all architectures: built from the specs of the config, whose readers filled them. */
#include "base/rng.h"
#include "models/net.h"

tuff_tensor *tuff_net_activate(tuff_net *net, tuff_activation activation, tuff_tensor *x)
{
    tuff_graph *g = net->g;
    switch (activation) {
    case TUFF_ACT_GELU:
        return tuff_gelu(g, x, false);
    case TUFF_ACT_GELU_TANH:
        return tuff_gelu(g, x, true);
    case TUFF_ACT_SILU:
        return tuff_silu(g, x);
    case TUFF_ACT_RELU:
        return tuff_relu(g, x);
    case TUFF_ACT_TANH:
        return tuff_tanh(g, x);
    }
    return NULL;
}

static tuff_tensor *bound(tuff_net *net, tuff_tensor *x, double most)
{
    const int64_t one = 1;
    x = tuff_maximum(net->g, x, tuff_fill(net->g, -most, 1, &one));
    return tuff_minimum(net->g, x, tuff_fill(net->g, most, 1, &one));
}

/* Queries, keys and values of one layer: [N, heads, D] each, not rotated yet. */
static void project(tuff_net *net, tuff_tensor *x, int i, tuff_tensor *out[3])
{
    static const char *const parts[] = {"blk.#.attn_q", "blk.#.attn_k", "blk.#.attn_v"};
    const tuff_config *c = net->config;
    const tuff_layer_spec *spec = tuff_config_layer(c, i);
    const int64_t heads[] = {c->heads, c->kv_heads, c->kv_heads};
    const int64_t columns = (c->heads + 2 * c->kv_heads) * c->head_dim;
    tuff_tensor *fused =
        spec->fused_qkv ? tuff_net_linear(net, x, "blk.#.attn_qkv", i, columns, spec->qkv_bias) : NULL;
    if (fused && c->qkv_bound != 0) fused = bound(net, fused, c->qkv_bound);
    if (spec->qkv_by_head)
        fused = tuff_reshape(net->g, fused, 3, (int64_t[]){tuff_tensor_dim(x, 0), c->kv_heads, -1});
    for (int part = 0, at = 0; part < 3; part++) {
        int64_t n = heads[part] * c->head_dim;
        if (spec->qkv_by_head) {
            n /= c->kv_heads;
            out[part] = tuff_slice(net->g, fused, -1, at, n);
            if (n != c->head_dim) out[part] = tuff_net_split_heads(net, out[part], heads[part]);
            at += (int)n;
            continue;
        }
        tuff_tensor *y = spec->fused_qkv ? tuff_slice(net->g, fused, -1, at, n)
                                         : tuff_net_linear(net, x, parts[part], i, n, spec->qkv_bias);
        out[part] = tuff_net_split_heads(net, y, heads[part]);
        at += (int)n;
    }
}

/* A norm over each head of x [N, heads, D], of which each has a weight of its own. */
static tuff_tensor *norm_each(tuff_net *net, tuff_tensor *x, const char *part, int layer)
{
    tuff_graph *g = net->g;
    const int64_t heads = tuff_tensor_dim(x, 1), d = tuff_tensor_dim(x, 2), shape[] = {heads, d};
    const char *module = tuff_net_module(net, part, layer);
    tuff_tensor **weights = tuff_arena_alloc(&g->arena, (size_t)heads * sizeof(tuff_tensor *));
    if (!weights) return tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of host memory for norms of heads");
    for (int64_t i = 0; i < heads; i++)
        weights[i] = tuff_net_param(net, tuff_net_name(net, "%s.%lld.weight", module, (long long)i),
                                    TUFF_ROLE_NORM, 1, &d);
    tuff_tensor *w = tuff_reshape(g, tuff_concat(g, weights, (size_t)heads, 0), 2, shape);
    x = tuff_layer_norm(g, x, tuff_fill(g, 1, 1, &d), tuff_fill(g, 0, 1, &d), net->config->norm_eps);
    return tuff_mul(g, x, w);
}

/* The norms of queries and keys, each [N, heads, D]. */
static void norm_heads(tuff_net *net, int i, tuff_tensor *qk[2])
{
    static const char *const parts[] = {"blk.#.attn_q_norm", "blk.#.attn_k_norm"};
    const tuff_config *c = net->config;
    const tuff_qk_norm kind = tuff_config_layer(c, i)->qk_norm;
    for (int part = 0; part < 2 && kind != TUFF_QK_NORM_NONE; part++) {
        bool whole = kind == TUFF_QK_NORM_WHOLE;
        if (kind == TUFF_QK_NORM_EACH) {
            qk[part] = norm_each(net, qk[part], parts[part], i);
            continue;
        }
        tuff_tensor *x = whole ? tuff_net_join_heads(net, qk[part]) : qk[part];
        x = tuff_net_norm(net, x, parts[part], i);
        qk[part] = whole ? tuff_net_split_heads(net, x, part ? c->kv_heads : c->heads) : x;
    }
}

/* x [N, heads, D], whose first dims rotate with their neighbours, with the first of each pair before the
 * second of each. Queries and keys have that order alike, so that their products stay what they are. */
static tuff_tensor *halve(tuff_net *net, tuff_tensor *x)
{
    tuff_graph *g = net->g;
    const int64_t n = tuff_tensor_dim(x, 0), heads = tuff_tensor_dim(x, 1),
                  rotated = tuff_rope_dims(net->config);
    const int64_t rest = net->config->head_dim - rotated;
    tuff_tensor *pairs = tuff_slice(g, x, 2, 0, rotated);
    pairs = tuff_permute(g, tuff_reshape(g, pairs, 4, (int64_t[]){n, heads, rotated / 2, 2}),
                         (int[]){0, 1, 3, 2});
    tuff_tensor *both[] = {tuff_reshape(g, pairs, 3, (int64_t[]){n, heads, rotated}), NULL};
    if (rest == 0) return both[0];
    both[1] = tuff_slice(g, x, 2, rotated, rest);
    return tuff_concat(g, both, 2, 2);
}

static tuff_tensor *attend(tuff_net *net, tuff_tensor *x, int i)
{
    const tuff_config *c = net->config;
    const tuff_layer_spec *spec = tuff_config_layer(c, i);
    tuff_tensor *qkv[3];
    project(net, x, i, qkv);
    norm_heads(net, i, qkv);
    for (int part = 0; part < 3 && c->qkv_bound != 0 && !spec->fused_qkv; part++)
        qkv[part] = bound(net, qkv[part], c->qkv_bound);
    for (int part = 0; part < 2; part++)
        qkv[part] = tuff_net_rope(net, spec->rope, spec->rope_pairs ? halve(net, qkv[part]) : qkv[part]);
    tuff_tensor *y = tuff_net_attention(net, i, qkv[0], qkv[1], qkv[2]);
    y = tuff_net_linear(net, tuff_net_join_heads(net, y), "blk.#.attn_output", i, c->hidden_size,
                        spec->out_bias);
    /* a mask that both branches have is that of their sum */
    return tuff_net_drop(net, c->drops_sum ? TUFF_DROP_FFN_OUT : TUFF_DROP_ATTENTION_OUT, i, y);
}

/* Keys and values of the encoder's states for one layer of the decoder. */
static void cross_keys(tuff_net *net, int i, tuff_tensor *out[2])
{
    static const char *const parts[] = {"blk.#.cross_attn_k", "blk.#.cross_attn_v"};
    const tuff_config *c = net->config;
    for (int part = 0; part < 2; part++) {
        tuff_tensor *y = tuff_net_linear(net, net->memory, parts[part], i, c->kv_heads * c->head_dim,
                                         tuff_config_layer(c, i)->qkv_bias);
        out[part] = tuff_net_split_heads(net, y, c->kv_heads);
    }
}

static tuff_tensor *attend_across(tuff_net *net, tuff_tensor *x, int i)
{
    const tuff_config *c = net->config;
    const tuff_layer_spec *spec = tuff_config_layer(c, i);
    tuff_tensor *kv[2] = {NULL, NULL};
    tuff_tensor *q = tuff_net_linear(net, x, "blk.#.cross_attn_q", i, c->heads * c->head_dim, spec->qkv_bias);
    if (net->memory) cross_keys(net, i, kv);
    tuff_tensor *y = tuff_net_cross_attention(net, i, tuff_net_split_heads(net, q, c->heads), kv[0], kv[1]);
    y = tuff_net_linear(net, tuff_net_join_heads(net, y), "blk.#.cross_attn_output", i, c->hidden_size,
                        spec->out_bias);
    return tuff_net_drop(net, TUFF_DROP_CROSS_OUT, i, y);
}

/* The first half of the rows gives what is activated, where both are one matrix. */
static tuff_tensor *gate(tuff_net *net, tuff_tensor *x, int i)
{
    const tuff_config *c = net->config;
    const tuff_layer_spec *spec = tuff_config_layer(c, i);
    const int64_t ff = c->intermediate_size;
    tuff_tensor *a, *b;
    if (spec->fused_gate) {
        tuff_tensor *both = tuff_net_linear(net, x, "blk.#.ffn_up", i, 2 * ff, spec->mlp_bias);
        a = tuff_slice(net->g, both, -1, 0, ff);
        b = tuff_slice(net->g, both, -1, ff, ff);
    } else {
        a = tuff_net_linear(net, x, "blk.#.ffn_gate", i, ff, spec->mlp_bias);
        b = tuff_net_linear(net, x, "blk.#.ffn_up", i, ff, spec->mlp_bias);
    }
    if (spec->activation == TUFF_ACT_SILU) return tuff_swiglu(net->g, a, b);
    return tuff_mul(net->g, tuff_net_activate(net, spec->activation, a), b);
}

static tuff_tensor *feed_forward(tuff_net *net, tuff_tensor *x, int i)
{
    const tuff_config *c = net->config;
    const tuff_layer_spec *spec = tuff_config_layer(c, i);
    if (spec->experts) return tuff_net_experts(net, x, i);
    /* architectures that may have a gate or none can call it otherwise where there is none */
    const char *only = "blk.#.ffn_only", *up = tuff_config_module(c, only) ? only : "blk.#.ffn_up";
    if (spec->gated)
        x = gate(net, x, i);
    else
        x = tuff_net_activate(net, spec->activation,
                              tuff_net_linear(net, x, up, i, c->intermediate_size, spec->mlp_bias));
    x = tuff_net_drop(net, TUFF_DROP_FFN_INSIDE, i, x);
    return tuff_net_linear(net, x, "blk.#.ffn_down", i, c->hidden_size, spec->mlp_bias);
}

static tuff_tensor *drop_ffn(tuff_net *net, tuff_tensor *y, int i)
{
    return tuff_net_drop(net, TUFF_DROP_FFN_OUT, i, y);
}

/* x and what attention or feed-forward gives. */
static tuff_tensor *join(tuff_net *net, tuff_branch at, tuff_tensor *x, tuff_tensor *y)
{
    const tuff_net_hook *hook = net->hook;
    if (hook && hook->points->branch) y = hook->points->branch(hook->self, net, &at, x, y);
    x = tuff_add(net->g, x, y);
    return at.norm ? tuff_net_norm(net, x, at.norm, at.layer) : x;
}

static tuff_tensor *add_branch(tuff_net *net, tuff_branch at, tuff_tensor *x, tuff_tensor *y,
                               const char *norm)
{
    if (tuff_config_layer(net->config, at.layer)->branch_norms) y = tuff_net_norm(net, y, norm, at.layer);
    if (net->config->branch_scale != 0) y = tuff_scale(net->g, y, net->config->branch_scale);
    return join(net, at, x, y);
}

static tuff_tensor *layer(tuff_net *net, tuff_tensor *x, int i)
{
    tuff_graph *g = net->g;
    const tuff_layer_spec *spec = tuff_config_layer(net->config, i);
    if (spec->norm_after) {
        x = join(net, (tuff_branch){i, false, "blk.#.attn_output_norm"}, x, attend(net, x, i));
        if (spec->cross)
            x = tuff_net_norm(net, tuff_add(g, x, attend_across(net, x, i)), "blk.#.cross_attn_output_norm",
                              i);
        tuff_tensor *y = drop_ffn(net, feed_forward(net, x, i), i);
        return join(net, (tuff_branch){i, true, "blk.#.layer_output_norm"}, x, y);
    }
    const char *first = spec->two_norms ? "blk.#.attn_norm_2" : "blk.#.attn_norm";
    const char *second = spec->two_norms ? "blk.#.ffn_norm_2" : "blk.#.ffn_norm";
    tuff_tensor *a = spec->no_attn_norm ? x : tuff_net_norm(net, x, first, i);
    const tuff_branch attention = {.layer = i}, rest = {.layer = i, .feed_forward = true};
    tuff_tensor *sum = add_branch(net, attention, x, attend(net, a, i), "blk.#.post_attention_norm");
    if (spec->cross)
        sum = tuff_add(g, sum, attend_across(net, tuff_net_norm(net, sum, "blk.#.cross_attn_norm", i), i));
    tuff_tensor *b = spec->parallel ? x : sum;
    if (!spec->no_ffn_norm)
        b = tuff_net_norm(net, b, second, i);
    else if (spec->parallel)
        b = a;
    return add_branch(net, rest, sum, drop_ffn(net, feed_forward(net, b, i), i), "blk.#.post_ffw_norm");
}

/* NEFTune (Jain et al. 2023): uniform noise on rows [N, C] of the tokens' table. */
static tuff_tensor *add_noise(tuff_net *net, tuff_tensor *x)
{
    const bool source = net->at == &net->source;
    const int64_t n = tuff_tensor_dim(x, 0), column[] = {n, 1}, shape[] = {n, net->config->hidden_size};
    tuff_tensor *most = tuff_input(net->g, source ? "source.noise" : "noise", TUFF_F32, 2, column);
    tuff_tensor *drawn = tuff_uniform(net->g, tuff_net_seed(net), TUFF_STREAM_NOISE + source, 2, shape);
    return tuff_add(net->g, x, tuff_mul(net->g, drawn, most));
}

/* The stack of the net's config, on the stream at hand. */
static tuff_tensor *run_stack(tuff_net *net)
{
    const tuff_config *c = net->config;
    const tuff_net_hook *hook = net->hook;
    const tuff_stream *at = net->at;
    tuff_tensor *x = tuff_net_embed(net, "token_embd", c->vocab_size, at->ids, "ids_index");
    if (c->embed_scale != 0) x = tuff_scale(net->g, x, c->embed_scale);
    if (hook && hook->points->rows) x = hook->points->rows(hook->self, net, x);
    if (net->noise) x = add_noise(net, x);
    if (hook && hook->points->embeddings) x = hook->points->embeddings(hook->self, net, x);
    if (c->token_types)
        x = tuff_add(net->g, x, tuff_net_embed(net, "token_types", c->token_types, at->types, "types_index"));
    if (c->learned_positions)
        x = tuff_add(net->g, x,
                     tuff_net_embed(net, "position_embd", c->max_positions + c->position_offset,
                                    at->positions, "positions_index"));
    if (c->embed_norm) x = tuff_net_norm(net, x, "token_embd_norm", 0);
    x = tuff_net_drop(net, TUFF_DROP_EMBEDDINGS, 0, x);
    for (int i = 0; i < (int)c->layers; i++)
        x = layer(net, x, i);
    if (c->final_norm) x = tuff_net_norm(net, x, "output_norm", 0);
    return tuff_net_drop(net, TUFF_DROP_FINAL, 0, x);
}

static void encode(tuff_net *net)
{
    const tuff_config *c = net->config;
    net->config = c->encoder;
    net->at = &net->source;
    net->memory = run_stack(net);
    net->config = c;
    net->at = &net->main;
}

tuff_tensor *tuff_net_hidden(tuff_net *net)
{
    if (net->source_tokens) encode(net);
    return run_stack(net);
}

void tuff_net_remember(tuff_net *net)
{
    encode(net);
    for (int i = 0; i < (int)net->config->layers; i++) {
        tuff_tensor *kv[2];
        cross_keys(net, i, kv);
        tuff_net_cross_write(net, "k", i, kv[0]);
        tuff_net_cross_write(net, "v", i, kv[1]);
    }
}
