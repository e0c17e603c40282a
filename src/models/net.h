/* What architectures build their graphs from: parameters by name, linear layers that ask the adapters,
 * attention with or without a cache. */
#ifndef TUFF_MODELS_NET_H
#define TUFF_MODELS_NET_H

#include "models/arch.h"

/* Adapters change linear layers: given x and y = W x + b of a module, returns what the layer shall give. */
typedef struct tuff_linear_hook {
    tuff_tensor *(*linear)(void *self, tuff_net *net, const char *module, tuff_tensor *x, tuff_tensor *y);
    void *self;
} tuff_linear_hook;

/* Names of a net's inputs: ids i32 [B, T], ids_index (for the gradient of the table), positions i32 [B, T],
 * positions_index, start i32 [B] (with a cache: the position of the first id), last i32 [B] (which id of each
 * row, counted over all rows, gives the logits), labels i32 [B * T]. */
struct tuff_net {
    tuff_graph *g;
    const tuff_config *config;
    int64_t batch, length;
    const tuff_params *params;    /* of the model, in whose types it is stored; NULL: f32 */
    tuff_params *declare;         /* not NULL: the parameters that are asked for are listed here */
    bool train_base;              /* base parameters get gradients: embeddings need their index inputs */
    int64_t capacity;             /* positions of the KV cache; 0: no cache */
    tuff_dtype cache_dtype;       /* f32 or f16 */
    int64_t rope_positions;       /* rows of the rope tables */
    const tuff_linear_hook *hook; /* NULL: none */

    /* made by tuff_net_begin */
    tuff_tensor *ids, *positions, *start;
};

/* Makes the inputs. */
void tuff_net_begin(tuff_net *net);

/* The variable of a parameter; the same tensor when asked again. */
tuff_tensor *tuff_net_param(tuff_net *net, const char *name, tuff_role role, int rank, const int64_t *shape);
/* Formats a name; the text lives as long as the graph. */
const char *tuff_net_name(tuff_net *net, const char *format, ...) TUFF_PRINTF(2, 3);

/* Rows of the token table, and of a table of positions. */
tuff_tensor *tuff_net_embed_tokens(tuff_net *net);
tuff_tensor *tuff_net_embed_positions(tuff_net *net, const char *table);
/* x [..., in] W^T + b of module "….q_proj" (parameters module.weight [out, in], module.bias [out]), then the
 * adapters. */
tuff_tensor *tuff_net_linear(tuff_net *net, tuff_tensor *x, const char *module, int64_t out, bool bias);
tuff_tensor *tuff_net_layer_norm(tuff_net *net, tuff_tensor *x, const char *module);
tuff_tensor *tuff_net_rms_norm(tuff_net *net, tuff_tensor *x, const char *module);
/* x [B, T, H, D] turned by the net's positions. */
tuff_tensor *tuff_net_rope(tuff_net *net, tuff_tensor *x);
/* q [B, T, H, D], k and v [B, T, Hkv, D] of one layer: causal attention, over the cache where there is one.
 */
tuff_tensor *tuff_net_attention(tuff_net *net, int layer, tuff_tensor *q, tuff_tensor *k, tuff_tensor *v);

/* Whole nets: hidden states, logits [B * T, V] of all positions, or logits [B, V] at the input "last" only.
 */
tuff_tensor *tuff_net_logits(tuff_net *net, tuff_tensor *hidden, bool last_only);

#endif
