/* Feed-forward layers that are a choice of experts: a router's scores say which few of them a token uses, and
 * by which weights what these make of it is added up. Only those are computed. */
#include "models/net.h"

/* The weights of a token's experts [N, used], and which they are [N * used]. */
static void choose(tuff_net *net, tuff_tensor *scores, tuff_tensor **weights, tuff_tensor **chosen)
{
    const tuff_experts_spec *e = &net->config->experts;
    const int64_t pairs = tuff_tensor_dim(scores, 0) * e->used;
    tuff_graph *g = net->g;
    tuff_tensor *best = NULL, *places = NULL;
    /* shares of the best alone: a softmax over their scores is the same as over all, divided by their sum */
    tuff_top_k(g, e->shares ? scores : tuff_softmax(g, scores), e->used, &best, &places);
    *weights = e->shares ? tuff_softmax(g, best) : best;
    *chosen = tuff_reshape(g, places, 1, &pairs);
}

static tuff_tensor *add_up(tuff_graph *g, tuff_tensor *sum, tuff_tensor *x)
{
    return sum ? tuff_add(g, sum, x) : x;
}

/* Which share of the tokens uses each expert, and how probable it is on the average: added to those of other
 * layers. */
static void observe(tuff_net *net, tuff_tensor *scores, tuff_tensor *chosen)
{
    const tuff_experts_spec *e = &net->config->experts;
    const int64_t tokens = tuff_tensor_dim(scores, 0), column[] = {tokens, 1}, each[] = {tokens, e->used},
                  pairs[] = {tokens * e->used, 1};
    tuff_graph *g = net->g;
    tuff_tensor *share = tuff_reshape(g, net->balanced, 2, column);
    tuff_tensor *used = tuff_reshape(g, tuff_copy(g, tuff_expand(g, share, 2, each), TUFF_F32), 2, pairs);
    used = tuff_reshape(g, tuff_scatter_add_rows(g, used, chosen, e->count), 1, &e->count);
    tuff_tensor *probable = tuff_sum(g, tuff_mul(g, tuff_softmax(g, scores), share), 1u << 0, false);
    net->balances[0] = add_up(g, net->balances[0], used);
    net->balances[1] = add_up(g, net->balances[1], probable);
}

tuff_tensor *tuff_net_balance(tuff_net *net)
{
    const tuff_experts_spec *e = &net->config->experts;
    double layers = 0;
    if (!net->balances[0]) return NULL;
    for (int i = 0; i < (int)net->config->layers; i++)
        layers += tuff_config_layer(net->config, i)->experts;
    tuff_tensor *sum = tuff_sum(net->g, tuff_mul(net->g, net->balances[0], net->balances[1]), 1u << 0, false);
    return tuff_scale(net->g, sum, e->balance * (double)e->count / (layers * layers));
}

/* x [R, in], of which each row is given to one or more experts, times the matrices of these: [N * used, out].
 */
static tuff_tensor *product(tuff_net *net, tuff_tensor *x, const char *module, int64_t out,
                            const tuff_routes *to)
{
    const tuff_experts_spec *e = &net->config->experts;
    const int64_t shape[] = {e->count, out, tuff_tensor_dim(x, -1)};
    tuff_tensor *w = tuff_net_param(net, tuff_net_name(net, "%s.weight", module), TUFF_ROLE_MATRIX, 3, shape);
    tuff_tensor *y = tuff_matmul_grouped(net->g, x, tuff_transpose(net->g, w), to->order);
    if (!e->bias) return y;
    tuff_tensor *b = tuff_net_param(net, tuff_net_name(net, "%s.bias", module), TUFF_ROLE_BIAS, 2, shape);
    return tuff_add(net->g, y, tuff_gather_rows(net->g, b, to->chosen));
}

/* n such products of the same x, then the adapters. */
static void products(tuff_net *net, tuff_tensor *x, const char *const *modules, int n, int64_t out,
                     const tuff_routes *to, tuff_tensor **y)
{
    const tuff_net_hook *hook = net->hook;
    for (int i = 0; i < n; i++)
        y[i] = product(net, x, modules[i], out, to);
    if (hook && hook->points->experts) hook->points->experts(hook->self, net, to, modules, n, x, y);
}

/* What is multiplied with the last matrices, of the products with the first two. */
static tuff_tensor *activate(tuff_net *net, int layer, tuff_tensor *a, tuff_tensor *b)
{
    const tuff_experts_spec *e = &net->config->experts;
    const tuff_activation activation = tuff_config_layer(net->config, layer)->activation;
    const int64_t one = 1;
    tuff_graph *g = net->g;
    if (e->limit != 0) {
        tuff_tensor *most = tuff_fill(g, e->limit, 1, &one);
        a = tuff_minimum(g, a, most);
        b = tuff_maximum(g, tuff_minimum(g, b, most), tuff_fill(g, -e->limit, 1, &one));
        a = tuff_mul(g, a, tuff_sigmoid(g, tuff_scale(g, a, e->slope)));
        return tuff_mul(g, a, tuff_add(g, b, tuff_fill(g, 1, 1, &one)));
    }
    if (activation == TUFF_ACT_SILU) return tuff_swiglu(g, a, b);
    return tuff_mul(g, tuff_net_activate(net, activation, a), b);
}

tuff_tensor *tuff_net_experts(tuff_net *net, tuff_tensor *x, int layer)
{
    const tuff_config *c = net->config;
    const tuff_experts_spec *e = &c->experts;
    const int64_t tokens = tuff_tensor_dim(x, 0), pairs[] = {tokens * e->used, 1},
                  each[] = {tokens, e->used, c->hidden_size};
    const char *const inner[] = {tuff_net_module(net, "blk.#.ffn_gate_exps", layer),
                                 tuff_net_module(net, "blk.#.ffn_up_exps", layer)},
                      *const last[] = {tuff_net_module(net, "blk.#.ffn_down_exps", layer)};
    tuff_graph *g = net->g;
    tuff_tensor *weights, *made[2], *y;
    tuff_routes to;
    tuff_tensor *scores = tuff_net_linear(net, x, "blk.#.ffn_gate_inp", layer, e->count, e->router_bias);
    choose(net, scores, &weights, &to.chosen);
    if (net->balanced) observe(net, scores, to.chosen);
    to.order = tuff_group_rows(g, to.chosen, e->count);
    products(net, x, inner, 2, e->width, &to, made);
    products(net, activate(net, layer, made[0], made[1]), last, 1, c->hidden_size, &to, &y);
    y = tuff_mul(g, y, tuff_reshape(g, weights, 2, pairs));
    return tuff_sum(g, tuff_reshape(g, y, 3, each), 1u << 1, false);
}
