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

tuff_tensor *tuff_net_pick(tuff_net *net, tuff_tensor *states, int64_t count, bool gradient)
{
    tuff_tensor *index = NULL, *picked = tuff_input(net->g, "picked", TUFF_I32, 1, &count);
    int64_t size = (int64_t)tuff_embedding_index_size((size_t)count);
    if (gradient) index = tuff_input(net->g, "picked_index", TUFF_I32, 1, &size);
    tuff_tensor *table = tuff_reshape(net->g, states, 2, (int64_t[]){-1, net->config->hidden_size});
    return tuff_embedding(net->g, table, picked, index);
}

tuff_tensor *tuff_head_dense(tuff_net *net, tuff_tensor *x, const char *part)
{
    const tuff_config *c = net->config;
    tuff_activation activation = c->head->layers_activation ? c->layer.activation : c->head->activation;
    return tuff_net_activate(net, activation, tuff_net_linear(net, x, part, 0, c->hidden_size, true));
}

tuff_tensor *tuff_head_output(tuff_net *net, tuff_tensor *x, bool bias)
{
    const tuff_config *c = net->config;
    if (!c->tied) return tuff_net_linear(net, x, "output", 0, c->vocab_size, bias);
    const char *table = tuff_net_name(net, "%s.weight", tuff_net_module(net, "token_embd", 0));
    tuff_tensor *w =
        tuff_net_param(net, table, TUFF_ROLE_TABLE, 2, (int64_t[]){c->vocab_size, c->hidden_size});
    tuff_tensor *y = tuff_matmul(net->g, x, tuff_transpose(net->g, w));
    if (!bias) return y;
    const char *name = tuff_net_module(net, "output.bias", 0);
    return tuff_add(net->g, y, tuff_net_param(net, name, TUFF_ROLE_BIAS, 1, &c->vocab_size));
}
