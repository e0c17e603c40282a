#include "models/heads/head.h"

bool tuff_config_has_head(const tuff_config *config, const tuff_head *head)
{
    return (config->head ? config->head->head : NULL) == head;
}

const char *tuff_config_head_title(const tuff_config *config)
{
    return config->head ? config->head->head->title : "none";
}

tuff_tensor *tuff_net_head(tuff_net *net, tuff_tensor *x)
{
    return net->config->head->head->build(net, x);
}

tuff_tensor *tuff_net_pooled(tuff_net *net, tuff_tensor *states, bool gradient)
{
    if (net->config->head_means) return tuff_segment_mean(net->g, states, net->main.segments, false);
    return tuff_net_pick(net, states, net->sequences, gradient);
}

tuff_tensor *tuff_net_pick(tuff_net *net, tuff_tensor *states, int64_t count, bool gradient)
{
    tuff_tensor *index = NULL, *picked = tuff_input(net->g, "picked", TUFF_I32, 1, &count);
    int64_t size = (int64_t)tuff_embedding_index_size((size_t)count);
    if (gradient) index = tuff_input(net->g, "picked_index", TUFF_I32, 1, &size);
    tuff_tensor *table = tuff_reshape(net->g, states, 2, (int64_t[]){-1, net->config->hidden_size});
    return tuff_embedding(net->g, table, picked, index);
}

tuff_tensor *tuff_head_transform(tuff_net *net, tuff_tensor *x)
{
    const tuff_config *c = net->config;
    const tuff_head_spec *spec = c->head;
    tuff_activation activation = spec->act == TUFF_HEAD_ACT_LAYERS   ? c->layer.activation
                                 : spec->act == TUFF_HEAD_ACT_CONFIG ? c->head_activation
                                                                     : spec->activation;
    if (!tuff_config_module(c, "cls")) return x;
    x = tuff_net_activate(net, activation,
                          tuff_net_linear(net, x, "cls", 0, c->hidden_size, !c->head_no_bias));
    return tuff_config_module(c, "cls.norm") ? tuff_net_norm(net, x, "cls.norm", 0) : x;
}

static tuff_tensor *scores(tuff_net *net, tuff_tensor *x, bool bias)
{
    const tuff_config *c = net->config;
    const tuff_net_hook *hook = net->hook;
    const bool changed = hook && hook->points->output;
    if (!c->tied) {
        tuff_tensor *y = tuff_net_linear(net, x, "output", 0, c->vocab_size, bias);
        return changed ? hook->points->output(hook->self, net, x, y) : y; /* of none with a bias */
    }
    const char *table = tuff_net_name(net, "%s.weight", tuff_net_module(net, "token_embd", 0));
    tuff_tensor *w =
        tuff_net_param(net, table, TUFF_ROLE_TABLE, 2, (int64_t[]){c->vocab_size, c->hidden_size});
    tuff_tensor *y = tuff_matmul(net->g, x, tuff_transpose(net->g, w));
    if (changed) y = hook->points->output(hook->self, net, x, y);
    if (!bias) return y;
    const char *name = tuff_net_module(net, "output.bias", 0);
    return tuff_add(net->g, y, tuff_net_param(net, name, TUFF_ROLE_BIAS, 1, &c->vocab_size));
}

tuff_tensor *tuff_head_output(tuff_net *net, tuff_tensor *x, bool bias)
{
    const tuff_config *c = net->config;
    const double cap = c->logit_softcap;
    tuff_tensor *y = scores(net, x, bias);
    if (c->logit_scale != 0) y = tuff_scale(net->g, y, c->logit_scale);
    if (c->logits_bias)
        y = tuff_add(net->g, y,
                     tuff_net_param(net, tuff_net_module(net, "output.bias", 0), TUFF_ROLE_FIXED, 2,
                                    (int64_t[]){1, c->vocab_size}));
    if (cap != 0) y = tuff_scale(net->g, tuff_tanh(net->g, tuff_scale(net->g, y, 1 / cap)), cap);
    return y;
}
